"""How masked training prompts change an OOD class. Paper section 5, Figs. 8 and 9a.

For a share alpha of the training images of one class, e.g. red triangles, the prompt does not show
one concept, e.g. the color. The OOD class that shares the other concept (blue triangle) is then
learned later, or ends nearer to the masked value (red).

Trends over alpha are tested by permuting the shares over the runs, so a p-value is exact for few
runs (up to seven; sampled for more) and needs no model. Steps enter as log-rank scores, the score
of a Cox regression at no effect, which takes censored runs as they are; a fitted Cox regression
would diverge where the shares separate the steps completely, as a clear effect does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from conceptspace.analysis.emergence import (
    THRESHOLD,
    Emergence,
    Survival,
    find_emergence,
    survival,
)
from conceptspace.analysis.intervals import Estimate, mean
from conceptspace.analysis.steps import digits
from conceptspace.analysis.trajectories import Array, condition
from conceptspace.errors import UserError
from conceptspace.tables import NAIVE

SIGNIFICANCE = 0.05
PERMUTATIONS = 9999


@dataclass(frozen=True)
class Level:
    """The runs of one masking share.

    Attributes:
        share: alpha, between 0 and 1.
        ends: coordinate of the masked concept at each seed's last checkpoint, by seed.
        coordinate: their mean.
        runs: the emergence of each seed, by seed.
        steps: the same by Kaplan-Meier.
        restricted_mean: mean of min(step, horizon), with the horizon common to all shares.
    """

    share: float
    ends: tuple[float, ...]
    coordinate: Estimate
    runs: tuple[Emergence, ...]
    steps: Survival
    restricted_mean: Estimate


@dataclass(frozen=True)
class Trend:
    """Whether a quantity rises or falls with alpha.

    Attributes:
        sign: 1 if it rises, -1 if it falls, 0 if neither.
        p_value: two-sided.
        attainable: the smallest p-value that any order of these runs could give.
        runs: how many runs were compared.
    """

    sign: int
    p_value: float
    attainable: float
    runs: int

    @property
    def decidable(self) -> bool:
        """Whether there are enough runs, and few enough ties, for any effect to be found."""
        return self.attainable <= SIGNIFICANCE


@dataclass(frozen=True)
class Underspecification:
    """The effect of masking on one OOD class.

    Attributes:
        ood_class: e.g. ``"11"``.
        concept: the masked concept.
        threshold: joint accuracy that counts as emerged.
        levels: by rising share.
        horizon: step of the restricted means.
        coordinate: trend of the coordinate at the end.
        steps: trend of the steps to the threshold; 1 means later at larger shares.
    """

    ood_class: str
    concept: str
    threshold: float
    levels: tuple[Level, ...]
    horizon: float
    coordinate: Trend
    steps: Trend


def underspecification(
    tables: Mapping[float, pd.DataFrame],
    ood_class: str,
    concept: str,
    *,
    protocol: str = NAIVE,
    threshold: float = THRESHOLD,
) -> Underspecification:
    """Compare runs of several masking shares.

    Args:
        tables: for each share alpha the trajectory table of its seeds.
        ood_class: e.g. ``"11"``.
        concept: the masked concept, e.g. ``"color"``.
        protocol: whose accuracies; it must have one setting.
        threshold: joint accuracy to reach.

    Raises:
        UserError: fewer than two shares, or rows are missing or ambiguous.
    """
    if len(tables) < 2:
        raise UserError("an effect of masking needs runs of at least two shares")
    runs = {
        share: find_emergence(tables[share], ood_class, protocol, threshold=threshold)
        for share in sorted(tables)
    }
    horizon = survival([run for of_share in runs.values() for run in of_share]).horizon
    levels = tuple(
        _level(share, found, _ends(tables[share], ood_class, concept, protocol), horizon)
        for share, found in runs.items()
    )
    ends = [(level.share, end) for level in levels for end in level.ends]
    times = [(level.share, run) for level in levels for run in level.runs]
    return Underspecification(
        ood_class,
        concept,
        threshold,
        levels,
        horizon,
        trend([share for share, _ in ends], [end for _, end in ends]),
        step_trend([share for share, _ in times], [run for _, run in times]),
    )


def trend(shares: ArrayLike, values: ArrayLike, *, seed: int = 0) -> Trend:
    """Permutation test of the covariance of a quantity with alpha.

    Args:
        shares: alpha of each run, shape (R,).
        values: shape (R,).
        seed: of the sampled permutations.

    Raises:
        UserError: no runs, other lengths, or values that are not finite.
    """
    x, scores = np.asarray(shares, dtype=np.float64), np.asarray(values, dtype=np.float64)
    if x.shape != scores.shape or x.ndim != 1 or len(x) == 0:
        raise UserError("a trend needs one number and one share for each run")
    if not (np.isfinite(x).all() and np.isfinite(scores).all()):
        raise UserError("a trend needs finite numbers")
    from scipy.stats import permutation_test  # a second, which other commands need not wait for

    x, scores = x - x.mean(), scores - scores.mean()
    if len(x) < 3 or np.allclose(x, 0) or np.allclose(scores, 0):
        return Trend(0, 1.0, 1.0, len(x))

    def covariance(permuted: Array, axis: int = -1) -> Array:
        product = np.round((permuted * scores).sum(axis), 12)
        return np.asarray(product, dtype=np.float64)

    result = permutation_test(
        (x,),
        covariance,
        permutation_type="pairings",
        vectorized=True,
        n_resamples=PERMUTATIONS,
        rng=np.random.default_rng(seed),
    )
    null = result.null_distribution
    tails = np.mean(null == null.min()), np.mean(null == null.max())
    return Trend(
        int(np.sign(result.statistic)),
        float(min(1.0, result.pvalue)),
        float(min(1.0, 2 * min(tails))),
        len(x),
    )


def step_trend(shares: ArrayLike, runs: Sequence[Emergence], *, seed: int = 0) -> Trend:
    """Do runs with larger shares emerge later? A log-rank test for trend.

    Args:
        shares: alpha of each run.
        runs: their emergence; censored runs count up to where they are known not to have emerged.
        seed: of the sampled permutations.
    """
    if not any(run.reached for run in runs):
        return Trend(0, 1.0, 1.0, len(runs))
    return trend(shares, -_log_rank_scores(runs), seed=seed)


def sentences(found: Underspecification) -> list[str]:
    """The end of training, the steps, and both trends, in words."""
    ends, steps, restricted = [], [], []
    for level in found.levels:
        share, e = f"with {100 * level.share:g} %", level.coordinate
        low, high = max(e.low, 0.0), min(e.high, 1.0)
        spread = f" ({low:.2f} to {high:.2f})" if e.seeds > 1 else ""
        ends.append(f"{share} at {e.value:.2f}{spread}")
        steps.append(f"{share} {_steps(level.steps)}")
        restricted.append(f"{level.restricted_mean.value:.0f}")
    seeds = {level.coordinate.seeds for level in found.levels}
    several = max(seeds) > 1
    pairs = "; of two seeds, their range" if 2 in seeds else ""
    means = f" (means over seeds, 95 % intervals{pairs})" if several else ""
    medians = " (Kaplan-Meier medians, 95 % intervals)" if several else ""
    text = (
        f"by the share of masked prompts, the {found.concept} coordinate of {found.ood_class} ends "
        f"{', '.join(ends)}{means}; {_trend(found.coordinate, 'rises', 'falls')}"
    )
    counted = f"; mean steps, counted up to {digits(found.horizon)}: {', '.join(restricted)}"
    delay = (
        f"by the share of masked prompts, joint accuracy on {found.ood_class} reaches "
        f"{found.threshold:g} {', '.join(steps)}{medians}{counted if several else ''}; "
        f"{_trend(found.steps, 'comes later', 'comes earlier')}"
    )
    return [text, delay]


def trend_note(found: Trend, level: str) -> str:
    """A trend of steps as a remark beside a claim that is decided otherwise.

    Args:
        found: of the steps.
        level: what varies, e.g. ``"share"``.
    """
    p = "p < 0.001" if found.p_value < 0.001 else f"p = {found.p_value:.3f}"
    trend = f"no trend with the {level}"
    if not found.decidable:
        trend = "too few runs, or too much alike, to decide"
    elif found.p_value <= SIGNIFICANCE:
        trend = f"{'later' if found.sign > 0 else 'earlier'} at a larger {level}"
    return f"Log-rank test for trend over all {found.runs} runs: {trend} ({p}, permutations)."


def _level(share: float, runs: list[Emergence], ends: list[float], horizon: float) -> Level:
    restricted = mean([min(run.upper, horizon) for run in runs])
    return Level(share, tuple(ends), mean(ends), tuple(runs), survival(runs), restricted)


def _ends(table: pd.DataFrame, ood_class: str, concept: str, protocol: str) -> list[float]:
    rows = condition(table, protocol, ood_class)
    rows = rows[rows["concept"] == concept].sort_values(["seed", "step"])
    if rows.empty:
        raise UserError(f"class {ood_class} under {protocol} has no coordinate of {concept!r}")
    return [float(value) for value in rows.groupby("seed")["coordinate"].last()]


def _log_rank_scores(runs: Sequence[Emergence]) -> Array:
    """Events less expected events of each run; they sum to zero, later runs have lower ones."""
    from statsmodels.duration.hazard_regression import PHReg

    times = np.array([run.upper if run.reached else run.lower for run in runs])
    status = np.array([float(run.reached) for run in runs])
    model = PHReg(times, np.eye(len(runs)), status=status, ties="breslow")
    return np.asarray(model.score(np.zeros(len(runs))), dtype=np.float64)


def _steps(found: Survival) -> str:
    missing = found.seeds - found.reached
    censored = f"not by step {digits(found.last)}" if missing else ""
    if missing and found.seeds > 1:
        censored += f" in {missing} of {found.seeds} seeds"
    if not np.isfinite(found.median):
        return censored
    low, high = found.interval
    spread = ""
    if found.seeds > 1 and np.isfinite(low):
        spread = (
            f" ({digits(low)} to {digits(high)})"
            if np.isfinite(high)
            else f" ({digits(low)} to beyond the end)"
        )
    text = f"at step {digits(found.median)}{spread}"
    return f"{text}, {censored}" if censored else text


def _trend(found: Trend, up: str, down: str) -> str:
    if not found.decidable:
        return f"{found.runs} runs are too few or too much alike to decide whether there is a trend"
    p = "p < 0.001" if found.p_value < 0.001 else f"p = {found.p_value:.3f}"
    if found.p_value > SIGNIFICANCE:
        return f"no trend with the share was found ({p}, permutation test)"
    return f"it {up if found.sign > 0 else down} as the share grows ({p}, permutation test)"
