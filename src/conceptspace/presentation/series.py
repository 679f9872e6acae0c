"""The numbers behind the curves: one value per checkpoint and run, their mean and its interval."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from conceptspace.analysis.intervals import over_seeds, wilson
from conceptspace.analysis.trajectories import Array
from conceptspace.errors import UserError
from conceptspace.tables import JOINT, NAIVE

RUN = ["run", "seed"]


@dataclass(frozen=True)
class Series:
    """One quantity over training.

    Attributes:
        steps: gradient steps of the checkpoints, shape (T,).
        runs: the value of each run, shape (R, T).
        low, high: 95 % interval of the mean over runs, shape (T,).
        interval: what the interval is, in words.
    """

    steps: NDArray[np.int64]
    runs: Array
    low: Array
    high: Array
    interval: str

    @property
    def mean(self) -> Array:
        """Average over runs, shape (T,)."""
        mean: Array = self.runs.mean(axis=0)
        return mean


def series(
    table: pd.DataFrame,
    concept_class: str,
    concept: str = JOINT,
    column: str = "accuracy",
    protocol: str = NAIVE,
) -> Series:
    """One class and concept of a trajectory table that has one setting per checkpoint.

    With three runs or more the interval is Student's over runs, cut to [0, 1]; two runs give the
    range that they span. With one run it is a binomial (Wilson) interval of its images, which
    bounds the sampling noise of a mean of numbers in [0, 1].

    Args:
        table: columns :data:`conceptspace.tables.TRAJECTORY_COLUMNS`; see :func:`highest`.
        concept_class: e.g. ``"11"``.
        concept: a concept's name, or ``joint``.
        column: ``accuracy`` or ``coordinate``.
        protocol: which protocol's rows.

    Raises:
        UserError: there are no such rows, or no step that all runs have.
    """
    rows = table[
        (table["concept_class"] == concept_class)
        & (table["concept"] == concept)
        & (table["protocol"] == protocol)
    ]
    if rows.empty:
        raise UserError(
            f"the trajectory has no {protocol} rows of class {concept_class}, {concept}"
        )
    values = rows.pivot(index=RUN, columns="step", values=column).dropna(axis="columns")
    if values.empty:
        raise UserError("the runs have no step in common")
    runs = values.to_numpy(dtype=float)
    if len(runs) > 1:
        low, high = over_runs(runs)
        student = f"95 % Student interval over {len(runs)} runs"
        interval = student if len(runs) > 2 else "range of 2 runs"
    else:
        samples = rows.set_index("step")["samples"].loc[values.columns].to_numpy(dtype=float)
        low, high = wilson(runs[0], samples) if samples.all() else (runs[0], runs[0])
        interval = f"95 % binomial interval of {samples.min():.0f} images"
        interval = interval if samples.all() else "no interval, as numbers of samples are unknown"
    return Series(values.columns.to_numpy(dtype=np.int64), runs, low, high, interval)


def over_runs(runs: Array) -> tuple[Array, Array]:
    """The interval of the mean of numbers in [0, 1], which it does not leave.

    Args:
        runs: shape (R, T), R > 1; see :func:`conceptspace.analysis.intervals.over_seeds`.
    """
    low, high = over_seeds(runs)
    return np.clip(low, 0, 1), np.clip(high, 0, 1)


def of_protocol(table: pd.DataFrame, protocol: str) -> pd.DataFrame:
    """The rows of one protocol.

    Raises:
        UserError: there are none.
    """
    rows = table[table["protocol"] == protocol]
    if rows.empty:
        raise UserError(f"the trajectory has no rows of the protocol {protocol!r}")
    return rows


def highest(table: pd.DataFrame) -> pd.DataFrame:
    """Only the rows of the setting with the highest joint accuracy.

    It is chosen for every run, step, protocol and class on its own (ties: the first), as the paper
    does; that is an optimistic statistic where a protocol has several settings.
    """
    keys = [*RUN, "step", "protocol", "concept_class"]
    joint = table[table["concept"] == JOINT].reset_index(drop=True)
    winners = joint.loc[joint.groupby(keys, sort=False)["accuracy"].idxmax(), [*keys, "setting"]]
    return table.merge(winners, on=[*keys, "setting"], how="inner")
