"""Collections of any number of runs, by writing tables and not by training."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd

from conceptspace.collection.write import Member, write
from conceptspace.config import RunConfig, merged, nested
from conceptspace.experiment.parts import world
from conceptspace.presets import quick
from conceptspace.recording.space import record_of
from conceptspace.space import ConceptSpace
from conceptspace.tables import JOINT, TRAJECTORY_COLUMNS

PROTOCOLS = {"naive": 1300, "overprompting-color": 1000, "patching": 900, "unpatching": 1500}
"""The step at which held-out classes turn under each."""

SEPARATIONS = (0.1, 0.15, 0.2, 0.25, 0.3)
RATES = (5e-4, 1e-3, 2e-3, 4e-3)
DROPOUTS = (0.0, 0.05, 0.1, 0.2, 0.4)


def mean_table(space: ConceptSpace, checkpoints: int) -> pd.DataFrame:
    """A trajectory without noise: one setting of each protocol at every checkpoint and class."""
    steps = np.linspace(2400 / checkpoints, 2400, checkpoints).astype(int)
    parts = []
    for (protocol, turn), name in product(PROTOCOLS.items(), space.classes):
        bits = np.array([float(bit) for bit in name])
        sure = 1 / (1 + np.exp(-(steps - 300) / 120))
        late = 1 / (1 + np.exp(-(steps - turn) / 150))
        target = np.tile(bits, (checkpoints, 1))
        if name in space.ood_classes:
            target[:, 0] *= late
        place = 0.5 + (target - 0.5) * sure[:, None]
        right = np.where(bits == 1, place, 1 - place)
        columns = [
            *zip(space.names, right.T, place.T, strict=True),
            (JOINT, right.prod(1), np.full(checkpoints, np.nan)),
        ]
        for concept, accuracy, coordinate in columns:
            values = ("run", 0, steps, protocol, "", str(name), concept, accuracy, coordinate, 24)
            parts.append(pd.DataFrame(dict(zip(TRAJECTORY_COLUMNS, values, strict=True))))
    return pd.concat(parts, ignore_index=True)


def members(count: int, checkpoints: int) -> Iterator[Member]:
    """Runs of up to a hundred settings and as many seeds as it takes."""
    base = quick()
    space = world(base.data).space
    table, kept = mean_table(space, checkpoints), record_of(space)
    grid = list(product(SEPARATIONS, RATES, DROPOUTS))[: max(1, count // 4)]
    for at, (separation, rate, dropout) in enumerate(grid):
        changes = {
            "data.color_separation": separation,
            "train.learning_rate": rate,
            "model.dropout": dropout,
        }
        config = merged(base, nested(changes), "generated")
        text, settings = config.text(), config.settings()
        name = f"color_separation-{separation},learning_rate-{rate},dropout-{dropout}"
        for seed in range(count // len(grid) + (at < count % len(grid))):
            assert "\nseed = 0\n" in text
            yield Member(
                f"{name}/seed-{seed}",
                seed,
                settings | {"seed": seed},
                text.replace("\nseed = 0\n", f"\nseed = {seed}\n"),
                {"status": "finished", "seconds": 100.0},
                kept,
                lambda at=at, seed=seed: noisy(table, at, seed),
                lambda: None,
                f"{at} {seed}",
            )


def noisy(table: pd.DataFrame, at: int, seed: int) -> pd.DataFrame:
    """The table of one run: its seed, and noise of its own."""
    rng = np.random.default_rng([at, seed])
    noise = rng.normal(0, 0.02, len(table))
    return table.assign(
        seed=seed,
        accuracy=(table["accuracy"] + noise).clip(0, 1),
        coordinate=(table["coordinate"] + noise).clip(0, 1),
    )


def write_many(folder: Path, runs: int, checkpoints: int = 24) -> None:
    """A collection of so many runs, under four protocols."""
    write(list(members(runs, checkpoints)), folder)


def config_of(member: Member) -> RunConfig:
    """The config of a generated run."""
    return merged(quick(), nested(dict(member.settings)), "generated")
