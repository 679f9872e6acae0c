"""Runs without any training: plausible numbers, images and folders."""

from __future__ import annotations

import functools
import itertools
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from conceptspace.analysis.turning import Turn
from conceptspace.config import RunConfig
from conceptspace.recording.sheets import encoded
from conceptspace.space import Concept, ConceptSpace, all_classes, paper_split
from conceptspace.store import Run
from conceptspace.tables import JOINT, NAIVE, TRAJECTORY_COLUMNS

STEPS = tuple(int(s) for s in np.linspace(np.sqrt(100), np.sqrt(4400), 30) ** 2)
TILE = 16
SAMPLES = 32
PROTOCOLS: dict[str, dict[str, float]] = {
    NAIVE: {"": 2900.0},
    "overprompting": {"0.35,0.35,0.65": 2300.0, "0.15,0.15,0.85": 1500.0, "0.05,0.05,0.95": 1900.0},
}
"""Of each setting, the step at which the OOD class turns."""


def make_turn(step: float, low: float, high: float, detected: bool = True) -> Turn:
    """A turn of one seed by a right angle."""
    interval = (float(low), float(high))
    angles = (80.0, 100.0)
    return Turn(detected, 0.01, float(step), interval, 90.0, angles, 0.5, (0.1, 0.9), 1)


def make_space(dimensions: int) -> ConceptSpace:
    """The first of colour, size and background."""
    concepts = (
        Concept("color", ("red", "blue"), ((0.8, 0.2, 0.2), (0.2, 0.2, 0.8))),
        Concept("size", ("large", "small"), ((0.65,), (0.25,))),
        Concept("background", ("bright", "dark"), ((0.9,) * 3, (0.4,) * 3)),
    )[:dimensions]
    train, ood = paper_split(dimensions) if dimensions > 1 else (all_classes(1), ())
    return ConceptSpace(concepts, train, ood)


def draw(coordinates: np.ndarray, rng: np.random.Generator, resolution: int = TILE) -> np.ndarray:
    """A disc whose color, size and background lie at the coordinates; (H, W, 3) floats."""
    c = np.r_[coordinates, [0.0] * (3 - len(coordinates))]
    grid = np.linspace(-1, 1, resolution)
    x, y = rng.uniform(-0.25, 0.25, 2)
    distance = np.hypot(grid[None] - x, grid[:, None] - y)
    mask = 1 / (1 + np.exp((distance - (0.65 - 0.4 * c[1])) * 25))[..., None]
    color = np.array([0.8 - 0.6 * c[0], 0.2, 0.2 + 0.6 * c[0]])
    back = 0.9 - 0.5 * c[2] + rng.uniform(-0.08, 0.08, 3)
    return np.clip(mask * color + (1 - mask) * back, 0, 1)


def path_of(name: str, ood: bool, step: float, turn: float) -> np.ndarray:
    """Expected coordinates: training classes go straight; OOD keeps the last bits for late."""
    bits = np.array([int(b) for b in name], dtype=float)
    early = 0.5 + (bits - 0.5) / (1 + np.exp(-(step - 500) / 180))
    if not ood:
        return early
    late = 1 / (1 + np.exp(-(step - turn) / 260))
    first = int(np.argmax(bits))
    memorized = 0.5 + (np.eye(len(bits))[first] - 0.5) / (1 + np.exp(-(step - 450) / 200))
    return memorized + (bits - memorized) * late


def make_table(space: ConceptSpace, seed: int, run: str, protocols: dict[str, dict[str, float]]):
    """A trajectory table of one run, with binomial noise of 32 images."""
    rng = np.random.default_rng(seed)
    shift = rng.normal(0, 350)
    rows = []
    for (protocol, settings), step in itertools.product(protocols.items(), STEPS):
        for (setting, turn), name in itertools.product(settings.items(), space.classes):
            ood = name in space.ood_classes
            mean = np.clip(path_of(name, ood, step, turn + shift), 0.01, 0.99)
            images = rng.beta(6 * mean, 6 * (1 - mean), (SAMPLES, len(mean)))
            target = np.array([int(b) for b in name])
            hits = np.where(target == 1, images, 1 - images)
            for concept, accuracy, coordinate in [
                *zip(space.names, hits.mean(0), images.mean(0), strict=True),
                (JOINT, hits.prod(1).mean(), np.nan),
            ]:
                key = (run, seed, step, protocol, setting, name, concept)
                rows.append((*key, accuracy, coordinate, SAMPLES))
    return pd.DataFrame(rows, columns=list(TRAJECTORY_COLUMNS))


def make_training(seed: int, steps: int = 4400) -> pd.DataFrame:
    """A loss curve that falls and never shows the turn."""
    rng = np.random.default_rng(seed)
    step = np.arange(1, steps + 1)
    loss = (3.5 + 60 * np.exp(-step / 90) + 6 * np.exp(-step / 900)) * rng.lognormal(0, 0.12, steps)
    return pd.DataFrame({"step": step, "loss": loss})


def write_sheets(
    folder: Path,
    space: ConceptSpace,
    settings: dict[str, float],
    seed: int,
    steps: Sequence[int] = STEPS,
) -> None:
    """One contact sheet per checkpoint."""
    folder.mkdir(parents=True)
    classes = tuple((str(name), name in space.ood_classes) for name in space.classes)
    for step in steps:
        sheet = sheet_of(classes, tuple(settings.items()), seed, step)
        (folder / f"step-{step:08d}.png").write_bytes(sheet)


@functools.cache
def sheet_of(
    classes: tuple[tuple[str, bool], ...],
    settings: tuple[tuple[str, float], ...],
    seed: int,
    step: int,
) -> bytes:
    """The PNG of a checkpoint, which is drawn once for all tests."""
    rows, strips = [], []
    for (setting, turn), (name, ood) in itertools.product(settings, classes):
        rng = np.random.default_rng([seed, int(name, 2)])
        mean = path_of(name, ood, step, turn)
        rows.append({"setting": setting, "concept_class": name})
        drawn = (mean + rng.normal(0, 0.12, len(mean)) for _ in range(SAMPLES))
        strips.append(np.concatenate([draw(np.clip(c, 0, 1), rng) for c in drawn], axis=1))
    sheet = (np.concatenate(strips) * 255).astype(np.uint8)
    return encoded(sheet, {"step": step, "tile": TILE, "rows": rows, "columns": SAMPLES})


def write_run(
    folder: Path,
    space: ConceptSpace,
    seed: int = 0,
    protocols: dict[str, dict[str, float]] = PROTOCOLS,
    *,
    sheets: bool = True,
) -> Run:
    """A complete run folder; contact sheets take most of the time."""
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text(RunConfig(seed=seed, preset="quick").to_toml())
    information = {"versions": {"torch": "2.9"}, "status": "finished", "seconds": 201.5}
    (folder / "run.json").write_text(json.dumps(information))
    make_table(space, seed, folder.name, protocols).to_parquet(folder / "trajectory.parquet")
    make_training(seed).to_parquet(folder / "training.parquet")
    for protocol, settings in protocols.items() if sheets else ():
        write_sheets(folder / "samples" / protocol, space, settings, seed)
    return Run(folder)


def make_images(space: ConceptSpace) -> dict[str, np.ndarray]:
    """An image of each class, shape (3, H, W)."""
    rng = np.random.default_rng(0)
    return {
        name: draw(np.array([float(b) for b in name]), rng).transpose(2, 0, 1)
        for name in space.classes
    }
