"""Weights & Biases: offline unless ``WANDB_MODE`` says otherwise; ``wandb sync`` uploads later."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import wandb

from conceptspace.files import make_folders, sha256
from conceptspace.store import Run


class WeightsAndBiases:
    """Writes to ``RUN/loggers/wandb``; the runs of a sweep are one group.

    Numbers have an axis of their own, ``step``, since protocols are asked after training. A
    resumed run keeps its identity.
    """

    def __init__(self, run: Run, home: Path) -> None:
        folder = run.path / "loggers"
        make_folders(folder)
        path, top = run.path.resolve(), home.resolve()
        self.run = wandb.init(
            project="conceptspace",
            dir=str(folder),
            mode="online" if os.environ.get("WANDB_MODE") == "online" else "offline",
            name=path.relative_to(top).as_posix() if path != top else run.name,
            group=top.name,
            id=sha256(str(path).encode())[:16],
            resume="allow",
            reinit="create_new",
            config=run.description.settings(),
            settings=wandb.Settings(console="off", silent=True),
        )
        self.run.define_metric("*", step_metric="step")

    def numbers(self, step: int, values: Mapping[str, float]) -> None:
        self.run.log({**values, "step": step})

    def picture(self, step: int, name: str, pixels: np.ndarray) -> None:
        self.run.log({name: wandb.Image(pixels), "step": step})

    def close(self) -> None:
        self.run.finish()
