"""The trajectory table as arrays: one condition, one replicate for each seed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from conceptspace.errors import UserError
from conceptspace.tables import JOINT, TRAJECTORY_COLUMNS, require_keys
from conceptspace.values import Axes, along, columns_of

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Paths:
    """Trajectories of one class under one protocol, one for each seed.

    Attributes:
        seeds: the replicates, S of them.
        steps: checkpoints that all seeds share, shape (T,).
        concepts: names of the d axes, in the order of the bits of a class.
        values: mean coordinates (or accuracies), shape (S, T, d).
        samples: images behind each value, shape (S, T).
    """

    seeds: tuple[int, ...]
    steps: Array
    concepts: tuple[str, ...]
    values: Array
    samples: Array


def require(table: pd.DataFrame, columns: Iterable[str]) -> None:
    """Refuse a table that lacks a column.

    Raises:
        UserError: names the columns that are missing.
    """
    missing = [column for column in columns if column not in table.columns]
    if missing:
        raise UserError(f"the table lacks the columns {', '.join(missing)}")


def concepts_of(table: pd.DataFrame) -> tuple[str, ...]:
    """Names of the concepts in order of appearance, without the joint one."""
    return tuple(str(name) for name in table["concept"].unique() if name != JOINT)


def shared_steps(rows: pd.DataFrame) -> NDArray[np.int64]:
    """The checkpoints at which every seed has every concept of these rows, in order."""
    there = rows[["step", "seed", "concept"]].drop_duplicates().groupby("step").size()
    whole = rows["seed"].nunique() * rows["concept"].nunique()
    return there.index[there == whole].to_numpy(dtype=np.int64)


def probabilities(table: pd.DataFrame) -> Array:
    """The probability of each value of a concept, a row of the table each.

    Of two values that is one minus the coordinate, and the coordinate.

    Returns:
        Shape (rows, n), n the largest number of values; 0 where a concept has fewer.
    """
    columns = columns_of(table)
    found = np.zeros((len(table), max(2, len(columns))))
    coordinate = table["coordinate"].to_numpy(dtype=np.float64)
    found[:, 0], found[:, 1] = 1 - coordinate, coordinate
    if columns:
        single = table[columns].to_numpy(dtype=np.float64)
        many = np.isfinite(single).any(axis=1)
        found[many, : len(columns)] = np.nan_to_num(single[many])
    return found


def condition(
    table: pd.DataFrame, protocol: str, concept_class: str, setting: str | None = None
) -> pd.DataFrame:
    """Rows of one protocol, class and setting, in which every seed is one run.

    Args:
        table: trajectory table or per-sample scores.
        protocol: e.g. ``"naive"``.
        concept_class: e.g. ``"11"``.
        setting: may be left out if the protocol has only one.

    Raises:
        UserError: no such rows, a missing key, several settings, or several runs with
            the same seed, which would be conditions mixed up rather than replicates.
    """
    require(table, ("run", "seed", "step", "protocol", "setting", "concept_class", "concept"))
    if len(table) and not isinstance(table["concept_class"].iloc[0], str):
        raise UserError(
            "the column concept_class holds numbers, in which 01 and 1 are the same; read the "
            "table with conceptspace.analysis.reading.read_trajectory"
        )
    rows = table[(table["protocol"] == protocol) & (table["concept_class"] == concept_class)]
    if setting is not None:
        rows = rows[rows["setting"] == setting]
    what = f"class {concept_class} under {protocol}"
    if rows.empty:
        raise UserError(f"the table has no rows for {what}")
    require_keys(rows, ("run", "seed", "step", "setting", "concept"))
    settings = [str(name) for name in rows["setting"].unique()]
    if len(settings) > 1:
        raise UserError(f"{what} has {len(settings)} settings, choose one of {', '.join(settings)}")
    repeated = rows.groupby("seed")["run"].nunique()
    if (repeated > 1).any():
        seed = repeated.index[repeated > 1][0]
        raise UserError(f"several runs have seed {seed}: select the runs of one condition first")
    return rows


def paths(
    table: pd.DataFrame,
    protocol: str,
    concept_class: str,
    *,
    setting: str | None = None,
    column: str = "coordinate",
    concepts: tuple[str, ...] | None = None,
    values: Axes | None = None,
) -> Paths:
    """Trajectories in concept space at the checkpoints that all seeds share.

    Args:
        table: trajectory table.
        protocol: e.g. ``"naive"``.
        concept_class: e.g. ``"11"``.
        setting: may be left out if the protocol has only one.
        column: ``"coordinate"`` or ``"accuracy"``.
        concepts: the axes; all but the joint one if left out. ``("joint",)`` is allowed.
        values: digits of the two values between which the coordinate of a concept with more than
            two runs, ``{"hue": (0, 2)}``; as in the table if left out. ``ConceptSpace.between``
            gives them for names of values.

    Raises:
        UserError: columns, rows or values are missing, or there are two values for one checkpoint.
    """
    table = along(table, values or {})
    require(table, TRAJECTORY_COLUMNS)
    rows = condition(table, protocol, concept_class, setting)
    names = concepts_of(rows) if concepts is None else concepts
    rows = rows[rows["concept"].isin(names)]
    if rows.duplicated(["seed", "step", "concept"]).any():
        raise UserError(f"class {concept_class} under {protocol} has a checkpoint twice")
    wide = rows.pivot(index=["seed", "step"], columns="concept", values=column)
    counts = rows.groupby(["seed", "step"])["samples"].min().unstack("seed").dropna()
    seeds = sorted({int(seed) for seed in rows["seed"]})
    if len(counts) == 0 or set(names) - set(wide.columns):
        raise UserError(f"class {concept_class} under {protocol}: no checkpoint has all values")
    drawn = np.stack([wide.loc[seed].loc[counts.index, list(names)] for seed in seeds])
    if not np.isfinite(drawn).all():
        raise UserError(f"class {concept_class} under {protocol}: some values of {column} are NaN")
    return Paths(
        tuple(seeds),
        counts.index.to_numpy(dtype=np.float64),
        names,
        drawn.astype(np.float64),
        counts[seeds].to_numpy(dtype=np.float64).T,
    )
