"""For which training class is an OOD class mistaken, how strongly, for how long? Paper Fig. 4.

Before it composes concepts, a model answers an OOD prompt with the images of a training class, that
of the concept with the stronger signal. In concept space the trajectory heads for that class's
corner.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from conceptspace.analysis.intervals import Estimate, mean
from conceptspace.analysis.trajectories import (
    Array,
    Paths,
    concepts_of,
    condition,
    paths,
    probabilities,
    require,
)
from conceptspace.errors import UserError
from conceptspace.tables import SCORE_COLUMNS

COLUMNS = ("seed", "step", "nearest", "strength", "own", "memorized")


@dataclass(frozen=True)
class Episode:
    """The memorization of one run.

    Attributes:
        seed: the run's seed.
        mistaken_for: the training class that it is mistaken for at most checkpoints, the stronger
            one in a tie; empty if it never is.
        strength: largest probability mass of that class, 0 if never.
        first: first checkpoint of memorization, NaN if never.
        last: last checkpoint of it, NaN if never.
        checkpoints: number of checkpoints of memorization, which need not be consecutive.
    """

    seed: int
    mistaken_for: str
    strength: float
    first: float
    last: float
    checkpoints: int


def mass(probabilities: Array, concept_class: str) -> Array:
    """Probability of being read as a class: product over concepts of the probability of its value.

    Args:
        probabilities: of each value of each concept, shape (..., d, n).
        concept_class: d digits.

    Raises:
        UserError: another number of digits than of concepts, or a value beyond n.
    """
    *_, concepts, values = probabilities.shape
    if len(concept_class) != concepts:
        raise UserError(
            f"class {concept_class!r} has {len(concept_class)} digits, but there are {concepts} "
            "concepts"
        )
    digits = np.array([int(digit) for digit in concept_class])
    if digits.max() >= values:
        raise UserError(
            f"class {concept_class!r} has the value {digits.max()}, and the table holds the "
            f"probabilities of the values 0 to {values - 1}"
        )
    return np.asarray(probabilities[..., np.arange(concepts), digits].prod(-1))


def memorization(
    trajectory: pd.DataFrame,
    train_classes: Sequence[str],
    ood_class: str,
    *,
    protocol: str = "naive",
    setting: str | None = None,
    scores: pd.DataFrame | None = None,
    concepts: tuple[str, ...] | None = None,
) -> pd.DataFrame:
    """Which training class the OOD class looks like, at each checkpoint of each seed.

    Args:
        trajectory: trajectory table.
        train_classes: those that it may be mistaken for.
        ood_class: the prompted class.
        protocol: e.g. ``"naive"``.
        setting: may be left out if the protocol has only one.
        scores: per-sample scores. With them strength is the mean over images of the mass of a
            class; without, it is the mass of the mean coordinates, which takes the concepts to be
            independent and so calls a mixture of 01 and 10 images a quarter of everything.
        concepts: in the order of the digits of a class; by default as they appear in the table.

    Returns:
        Columns seed, step, nearest (the training class of the corner nearest to the mean
        probabilities), strength (its mass), own (mass of the OOD class itself), memorized (strength
        is larger than own).

    Raises:
        UserError: rows are missing or ambiguous, or classes do not fit the concepts.
    """
    found = paths(trajectory, protocol, ood_class, setting=setting, concepts=concepts)
    if not train_classes:
        raise UserError("memorization needs at least one training class")
    classes = [*train_classes, ood_class]
    seen = _probabilities(condition(trajectory, protocol, ood_class, setting), found)
    masses = {name: mass(seen, name) for name in classes}
    if scores is not None:
        require(scores, SCORE_COLUMNS)
        rows = condition(scores, protocol, ood_class, setting)
        masses = _sample_masses(rows, classes, found.concepts, found.seeds, found.steps)
    digits = np.array([[int(digit) for digit in name] for name in train_classes])
    corners = np.eye(seen.shape[-1])[digits]
    distances = ((seen[:, :, None] - corners) ** 2).sum((-2, -1))
    frames = []
    for index, seed in enumerate(found.seeds):
        names = [train_classes[i] for i in distances[index].argmin(-1)]
        strength = np.array([masses[name][index, i] for i, name in enumerate(names)])
        own = masses[ood_class][index]
        columns = (seed, found.steps, names, strength, own, strength > own)
        frames.append(pd.DataFrame(dict(zip(COLUMNS, columns, strict=True))))
    return pd.concat(frames, ignore_index=True)


def _probabilities(rows: pd.DataFrame, found: Paths) -> Array:
    """The mean probability of each value, shape (S, T, d, n)."""
    rows = rows[rows["concept"].isin(found.concepts)]
    keys = pd.MultiIndex.from_frame(rows[["seed", "step", "concept"]])
    seen = pd.DataFrame(probabilities(rows), index=keys)
    order = pd.MultiIndex.from_product([found.seeds, found.steps, found.concepts])
    shape = (len(found.seeds), len(found.steps), len(found.concepts), seen.shape[1])
    return np.asarray(seen.reindex(order).to_numpy(dtype=np.float64).reshape(shape))


def episodes(memorized: pd.DataFrame) -> list[Episode]:
    """The memorization of each seed, from the table that :func:`memorization` returns."""
    require(memorized, COLUMNS)
    return [
        _episode(int(seed), memorized[memorized["seed"] == seed])
        for seed in sorted(memorized["seed"].unique())
    ]


def bias(
    table: pd.DataFrame,
    concept_class: str,
    *,
    protocol: str = "naive",
    setting: str | None = None,
    concepts: tuple[str, str] | None = None,
    until: int | float | None = None,
) -> Estimate:
    """How far the first concept is ahead of the second, as a mean over checkpoints and seeds.

    Positive: the first is learned first, so the class is mistaken for the one that shares it. Its
    sign is what changes along the paper's sweep of the color separation.

    Args:
        table: trajectory table.
        concept_class: the prompted class.
        protocol: e.g. ``"naive"``.
        setting: may be left out if the protocol has only one.
        concepts: the two to compare; the first two of the table if left out.
        until: last checkpoint that counts, all if left out. Differences vanish once both concepts
            are learned, so a long tail dilutes the bias.

    Returns:
        Mean of accuracy of concept 0 - accuracy of concept 1, between -1 and 1.

    Raises:
        UserError: rows are missing or ambiguous, or no checkpoint is left.
    """
    names = concepts_of(table)[:2] if concepts is None else concepts
    found = paths(
        table, protocol, concept_class, setting=setting, column="accuracy", concepts=names
    )
    early = found.steps <= (np.inf if until is None else until)
    if len(names) < 2 or not early.any():
        raise UserError("a bias needs two concepts and at least one checkpoint")
    ahead = found.values[:, early, 0] - found.values[:, early, 1]
    return mean(ahead.mean(1))


def _sample_masses(
    rows: pd.DataFrame,
    classes: Sequence[str],
    concepts: tuple[str, ...],
    seeds: tuple[int, ...],
    steps: Array,
) -> dict[str, Array]:
    index = ["seed", "step", "sample"]
    seen = pd.DataFrame(probabilities(rows), index=rows.index)
    wide = rows[[*index, "concept"]].join(seen).pivot(index=index, columns="concept")
    if set(concepts) - set(wide.columns.get_level_values(1)):
        raise UserError(f"the per-sample scores lack one of the concepts {', '.join(concepts)}")
    values = [wide.xs(name, axis=1, level=1).to_numpy(np.float64) for name in concepts]
    shown = np.stack(values, axis=1)
    keys = pd.MultiIndex.from_product([seeds, steps])
    result: dict[str, Array] = {}
    for name in classes:
        each = pd.Series(mass(shown, name), index=wide.index)
        means = each.groupby(level=["seed", "step"]).mean().reindex(keys).to_numpy(np.float64)
        if not np.isfinite(means).all():
            raise UserError("the per-sample scores lack checkpoints of the trajectory table")
        result[name] = np.asarray(means.reshape(len(seeds), len(steps)), dtype=np.float64)
    return result


def _episode(seed: int, rows: pd.DataFrame) -> Episode:
    during = rows[rows["memorized"]]
    if during.empty:
        return Episode(seed, "", 0.0, float("nan"), float("nan"), 0)
    ranks = during.groupby("nearest")["strength"].agg(["size", "max"])
    name = str(ranks.sort_values(["size", "max"]).index[-1])
    during = during[during["nearest"] == name]
    steps = during["step"].to_numpy(dtype=np.float64)
    strongest = float(during["strength"].max())
    return Episode(seed, name, strongest, float(steps.min()), float(steps.max()), len(steps))
