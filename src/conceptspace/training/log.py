"""The training log: what happened in every step, written at checkpoints."""

from __future__ import annotations

import time
from pathlib import Path

import pandas as pd

from conceptspace import files
from conceptspace.files import DamagedTable, read_table, write_table
from conceptspace.store import ASIDE
from conceptspace.training.loop import StepRecord


class TrainingLog:
    """The training log: records wait on the device and are written at checkpoints.

    It is no input of training, so a damaged one does not end the run: it is renamed, and a new log
    goes on without its rows. ``aside`` is the sentence about it, and is empty otherwise.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows = pd.DataFrame()
        self.aside = ""
        if path.exists():
            aside = path.with_suffix(ASIDE)
            try:
                self.rows = read_table(path, f"it is kept as {aside.name}.")
            except DamagedTable as error:
                self.aside = str(error)
                files.DISK.rename(path, aside)
        self.waiting: list[tuple[StepRecord, float]] = []
        self.rest()

    def forget_after(self, step: int) -> None:
        """Drop rows of steps that will be done again."""
        if len(self.rows):
            self.rows = self.rows[self.rows["step"] <= step]

    def rest(self) -> None:
        """Leave the time since the last step out of the speed."""
        self.clock = time.perf_counter()

    def add(self, record: StepRecord, images: int) -> None:
        """Keep a record, with the speed of its step."""
        now = time.perf_counter()
        self.waiting.append((record, images / (now - self.clock)))
        self.clock = now

    def write(self) -> None:
        """Write all rows."""
        new = pd.DataFrame([_row(record, speed) for record, speed in self.waiting])
        self.rows = pd.concat([self.rows, new], ignore_index=True) if len(self.rows) else new
        self.waiting.clear()
        if len(self.rows):
            write_table(self.path, self.rows)


def _row(record: StepRecord, speed: float) -> dict[str, int | float]:
    loss = record.loss
    return {
        "step": record.step,
        "loss": loss.total.item(),
        "diffusion": loss.diffusion.item(),
        "prior": loss.prior.item(),
        "reconstruction": loss.reconstruction.item(),
        "grad_norm": record.grad_norm.item(),
        "gamma_0": record.gamma_0.item(),
        "gamma_1": record.gamma_1.item(),
        "images_per_second": speed,
    }
