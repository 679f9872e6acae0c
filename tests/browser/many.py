"""A folder of many fabricated runs, to measure the page with."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pandas as pd

from conceptspace.config import merged, nested
from conceptspace.experiment.parts import world
from conceptspace.files import write_table
from conceptspace.presets import quick
from conceptspace.tables import JOINT, TRAJECTORY_COLUMNS

SWEEP = [f"alpha={a},beta={b}" for a in (0.1, 0.5, 1, 2) for b in (0.1, 0.5)]

SETTINGS = {
    "naive": [""],
    "overprompting-color": ["1.5", "2.5", "3.5", "4.5"],
    "latent-intervention": SWEEP,
    "latent-control-random": SWEEP,
}
"""Four protocols; somewhat more settings than the quick preset has."""


def write_many(folder: Path, runs: int = 100, checkpoints: int = 60) -> None:
    """Runs of four color separations and many seeds, under four protocols."""
    for number in range(runs):
        separation = (0.2, 0.3, 0.4, 0.5)[number % 4]
        write_one(folder / f"run-{number:03d}", number // 4, separation, checkpoints)


def write_one(folder: Path, seed: int, separation: float, checkpoints: int) -> None:
    """One run without images: every protocol and setting at every checkpoint and class."""
    changes = {"seed": seed, "data.color_separation": separation}
    config = merged(quick(), nested(changes), "fabricated")
    space = world(config.data).space
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text(config.to_toml())
    (folder / "run.json").write_text(json.dumps({"status": "finished"}))
    rng = np.random.default_rng([seed, int(separation * 10)])
    steps = np.linspace(40, 2400, checkpoints).astype(int)
    parts = []
    keys = itertools.product(SETTINGS.items(), space.classes)
    for (protocol, settings), name in keys:
        bits = np.array([int(bit) for bit in name], dtype=float)
        for setting in settings:
            turn = rng.normal(1300, 250) - (500 if protocol == "latent-intervention" else 0)
            late = 1 / (1 + np.exp(-(steps - turn) / 150))
            sure = 1 / (1 + np.exp(-(steps - 300) / 120))
            target = np.tile(bits, (checkpoints, 1))
            if name in space.ood_classes:
                target[:, int(separation > 0.3)] *= late
            place = 0.5 + (target - 0.5) * sure[:, None]
            place = np.clip(place + rng.normal(0, 0.03, place.shape), 0.001, 0.999)
            accuracy = np.where(bits == 1, place, 1 - place)
            columns = [
                *zip(space.names, accuracy.T, place.T, strict=True),
                (JOINT, accuracy.prod(1), np.full(checkpoints, np.nan)),
            ]
            for concept, right, where in columns:
                known = (folder.name, seed, steps, protocol, setting, str(name), concept)
                values = (*known, right, where, 24)
                parts.append(pd.DataFrame(dict(zip(TRAJECTORY_COLUMNS, values, strict=True))))
    write_table(folder / "trajectory.parquet", pd.concat(parts, ignore_index=True))
