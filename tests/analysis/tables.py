"""Planted trajectory and score tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

CONCEPTS = ("color", "size")


def trajectory(
    points: np.ndarray,
    steps: Sequence[float],
    *,
    concept_class: str = "11",
    protocol: str = "naive",
    setting: str = "",
    samples: int = 48,
) -> pd.DataFrame:
    """A trajectory table of coordinates (seeds, checkpoints, 2)."""
    rows = []
    for seed, curve in enumerate(points):
        for step, coordinates in zip(steps, curve, strict=True):
            bits = [int(bit) for bit in concept_class]
            accuracy = [c if b else 1 - c for c, b in zip(coordinates, bits, strict=True)]
            values = [*zip(CONCEPTS, accuracy, coordinates, strict=True)]
            values.append(("joint", float(np.prod(accuracy)), float("nan")))
            rows += [
                (f"run{seed}", seed, step, protocol, setting, concept_class, *value, samples)
                for value in values
            ]
    names = "run seed step protocol setting concept_class concept accuracy coordinate samples"
    return pd.DataFrame(rows, columns=names.split())


def scores(
    settings: Mapping[str, np.ndarray], *, seed: int = 0, step: int = 100, protocol: str = "over"
) -> pd.DataFrame:
    """Per-sample scores of class 11 at one checkpoint; coordinates (samples, 2) of each setting."""
    rows = [
        (f"run{seed}", seed, step, protocol, setting, "11", sample, concept, value, value)
        for setting, coordinates in settings.items()
        for sample, values in enumerate(coordinates)
        for concept, value in zip(CONCEPTS, values, strict=True)
    ]
    names = "run seed step protocol setting concept_class sample concept accuracy coordinate"
    return pd.DataFrame(rows, columns=names.split())
