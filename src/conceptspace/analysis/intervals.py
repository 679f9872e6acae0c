"""Every interval that tables, figures and pages show, 95 % each.

Seeds are what counts as independent: images of one network share its fate.

- :func:`student`: of a mean over seeds. With three to five of them it is as wide as so few deserve,
  where a percentile bootstrap covers about 80 % and says 95 %. :func:`mean`,
  :func:`paired_difference` and :func:`curves` give it with the mean; of two seeds they give the
  range (:func:`over_seeds`).
- :func:`wilson`: of a share of images of one network, or of a share of seeds.
- :func:`binomial`: of a probability, where so many of so few seeds show something.
- :func:`middle`: of a number that was drawn again and again.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.special import stdtrit

from conceptspace.analysis.trajectories import Array, require
from conceptspace.errors import UserError

CONFIDENCE = 0.95
KEY = ["step", "protocol", "setting", "concept_class", "concept"]


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds with its interval.

    Attributes:
        value: the mean.
        low: lower end of the interval; NaN for a single seed, whose spread is unknown.
        high: upper end, NaN likewise.
        seeds: how many seeds it comes from.
    """

    value: float
    low: float
    high: float
    seeds: int

    @property
    def kind(self) -> str:
        """What the interval is, in words."""
        return "range" if self.seeds == 2 else "95 % interval"


def mean(values: ArrayLike) -> Estimate:
    """Mean over seeds with its interval, see :func:`over_seeds`.

    Args:
        values: one number per seed, shape (S,).

    Returns:
        The estimate; with one seed its interval is NaN, not of width zero.

    Raises:
        UserError: no values, or a value is not finite.
    """
    data = np.asarray(values, dtype=np.float64)
    if data.ndim != 1 or len(data) == 0 or not np.isfinite(data).all():
        raise UserError("a mean over seeds needs one finite number for each of at least one seed")
    (low,), (high,) = over_seeds(data[:, None])
    return Estimate(float(data.mean()), float(low), float(high), len(data))


def paired_difference(first: ArrayLike, second: ArrayLike) -> Estimate:
    """Mean of first - second, whose entries belong to the same seeds in the same order.

    Raises:
        UserError: the two have different lengths, or as for :func:`mean`.
    """
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if a.shape != b.shape:
        raise UserError(f"a paired difference needs the same seeds, not {len(a)} and {len(b)}")
    return mean(a - b)


def curves(table: pd.DataFrame, column: str = "accuracy") -> pd.DataFrame:
    """Mean over seeds at each checkpoint, with pointwise intervals: what a figure draws.

    Args:
        table: trajectory table of one condition.
        column: ``"accuracy"`` or ``"coordinate"``.

    Returns:
        Columns step, protocol, setting, concept_class, concept, value, low, high, seeds. Where some
        seed has no value the interval is over the others.
    """
    require(table, [*KEY, "seed", column])
    wide = table.pivot_table(index=KEY, columns="seed", values=column, aggfunc="mean").T
    result = wide.columns.to_frame(index=False)
    data = wide.to_numpy(dtype=np.float64)
    present = np.isfinite(data)
    result["value"] = np.nanmean(data, axis=0)
    result["low"] = result["high"] = np.nan
    result["seeds"] = present.sum(axis=0)
    for pattern in np.unique(present, axis=1).T:
        cells = (present == pattern[:, None]).all(axis=0)
        low, high = over_seeds(data[np.ix_(pattern, cells)])
        result.loc[cells, "low"], result.loc[cells, "high"] = low, high
    return result


def over_seeds(values: ArrayLike) -> tuple[Array, Array]:
    """The interval of a mean over seeds: Student's; of two seeds their range, of one NaN.

    Student's interval of two is 13 standard errors wide to either side, and says nothing.

    Args:
        values: shape (S, ...), S > 0.

    Returns:
        Both ends, shape (...).
    """
    data = np.asarray(values, dtype=np.float64)
    if len(data) == 1:
        unknown = np.full(data.shape[1:], np.nan)
        return unknown, unknown
    return (data.min(axis=0), data.max(axis=0)) if len(data) == 2 else student(data)


def student(values: ArrayLike) -> tuple[Array, Array]:
    """Student's interval of a mean over seeds.

    Args:
        values: shape (S, ...), S > 1.

    Returns:
        Both ends, shape (...); unbounded where a value is infinite.
    """
    data = np.asarray(values, dtype=np.float64)
    bounded = np.isfinite(data).all(axis=0)
    with np.errstate(invalid="ignore"):
        middle, error = data.mean(axis=0), data.std(axis=0, ddof=1) / np.sqrt(len(data))
    reach = student_quantile(len(data) - 1) * error
    low = np.where(bounded, middle - reach, -np.inf)
    return low, np.where(bounded, middle + reach, np.inf)


def student_quantile(freedom: int) -> float:
    """How many standard errors an interval reaches to either side, with degrees of freedom."""
    return float(stdtrit(freedom, (1 + CONFIDENCE) / 2))


def middle(draws: Array) -> tuple[float, float]:
    """The two numbers between which the middle 95 % of draws lie; draws have shape (draws,)."""
    low, high = np.quantile(draws, [0.025, 0.975])
    return float(low), float(high)


def binomial(count: int, of: int) -> tuple[float, float]:
    """Exact (Clopper-Pearson) interval of the probability of what happened in ``count`` seeds."""
    from scipy.stats import binomtest  # a second, which most commands need not wait for

    found = binomtest(count, of).proportion_ci(CONFIDENCE)
    return float(found.low), float(found.high)


def wilson_of_one(share: float, samples: int) -> tuple[float, float]:
    """:func:`wilson` of a single share."""
    (low,), (high,) = wilson(np.array([share]), np.array([float(samples)]))
    return float(low), float(high)


def wilson(share: Array, samples: Array) -> tuple[Array, Array]:
    """95 % Wilson score interval of a share in [0, 1] of ``samples`` images or seeds."""
    z2 = 1.959964**2
    center = (share + z2 / (2 * samples)) / (1 + z2 / samples)
    variance = np.maximum(share * (1 - share), 0) / samples + z2 / (4 * samples**2)
    half = np.sqrt(z2 * variance) / (1 + z2 / samples)
    return np.minimum(center - half, share), np.maximum(center + half, share)
