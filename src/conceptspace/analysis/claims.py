"""From one number per seed to a verdict on a claim: held, did not hold, or undecided.

A check states an effect, one number per seed, and a threshold before any result is looked at. The
interval is Student's, over seeds: with three to five of them a percentile bootstrap is too narrow
(see :mod:`conceptspace.analysis.intervals`), and a t-interval is as wide as so few runs deserve.
A number that censoring leaves open is given as its bounds; the interval then reaches from the
lower limit of the lower bounds to the upper limit of the upper ones, and may be infinite. A claim

- *held* if the whole interval lies on its side of the threshold,
- *did not hold* if the whole interval lies on the other side,
- is *undecided* otherwise, or with fewer than :data:`FEWEST` seeds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from conceptspace.analysis.emergence import Emergence
from conceptspace.analysis.intervals import binomial, student
from conceptspace.errors import UserError

FEWEST = 3
"""With fewer seeds than these nothing is decided: two say nothing about their spread."""

SHARE, SIGNED = (0.0, 1.0), (-1.0, 1.0)
"""Limits of a share or an accuracy, and of a difference of two or a rank correlation."""

Bounds = tuple[float, float]
"""What is known about a number: it lies in [low, high]; both are the same if it is known."""


class Verdict(StrEnum):
    """What became of a claim."""

    HELD = "held"
    FAILED = "did not hold"
    UNDECIDED = "undecided"


@dataclass(frozen=True)
class Row:
    """One line of the ledger.

    Attributes:
        name: the figure and what is checked, e.g. ``fig03-color``.
        claim: what would be true, one sentence.
        effect: mean over seeds, at least, if the interval has no upper end; NaN if unknown.
        low: lower end of its 95 % interval over seeds, minus infinity if nothing is known.
        high: upper end, infinite if nothing is known.
        unit: of the effect.
        criterion: when the claim holds, in words.
        verdict: by that criterion.
        reason: why it is undecided; empty otherwise.
        seeds: how many there are.
        note: what else is known; it decides nothing.
    """

    name: str
    claim: str
    effect: float
    low: float
    high: float
    unit: str
    criterion: str
    verdict: Verdict
    reason: str
    seeds: int
    note: str = ""


@dataclass(frozen=True)
class Measured:
    """An effect with its interval over seeds.

    Attributes:
        value: mean over seeds; of the lower bounds, where a seed has no upper one; NaN where one
            has no lower one either.
        low: lower end of the interval.
        high: upper end.
        seeds: how many.
        open: how many seeds censoring leaves open.
    """

    value: float
    low: float
    high: float
    seeds: int
    open: int = 0


def measure(values: Sequence[float | Bounds], limits: Bounds = (-np.inf, np.inf)) -> Measured:
    """Mean and Student interval over seeds of numbers, or of their bounds.

    Args:
        values: one for each seed.
        limits: what such a number cannot leave; the interval is cut there.

    Raises:
        UserError: a NaN, or bounds in the wrong order.
    """
    bounds = np.array([v if isinstance(v, tuple) else (v, v) for v in values], dtype=np.float64)
    bounds = bounds.reshape(-1, 2)
    if np.isnan(bounds).any() or (bounds[:, 0] > bounds[:, 1]).any():
        raise UserError("an effect needs a number, or two bounds in order, for each seed")
    left_open = int((bounds[:, 0] < bounds[:, 1]).sum())
    least, most = limits
    if len(bounds) == 0:
        return Measured(float("nan"), least, most, 0)
    known = bounds if np.isfinite(bounds).all() else bounds[:, 0]
    value = float(known.mean()) if np.isfinite(known).all() else float("nan")
    if len(bounds) < 2:
        return Measured(value, least, most, 1, left_open)
    low = max(float(student(bounds[:, 0])[0]), least)
    high = min(float(student(bounds[:, 1])[1]), most)
    return Measured(value, low, high, len(bounds), left_open)


def measure_share(values: Sequence[float | bool]) -> Measured:
    """:func:`measure` of shares; exact where every seed says all or nothing.

    Student's interval of numbers that are all 0 or all 1 has no width. Each then counts as one yes
    or no, and the interval is Clopper and Pearson's.
    """
    if not values or any(value not in (0, 1) for value in values):
        return measure(values, SHARE)
    count, seeds = round(sum(values)), len(values)
    low, high = binomial(count, seeds)
    return Measured(count / seeds, low, high, seeds)


def above(name: str, claim: str, found: Measured, threshold: float, unit: str) -> Row:
    """The effect is larger than a threshold."""
    verdict, reason = _sides(found, found.low > threshold, found.high < threshold)
    criterion = f"95 % interval over seeds above {threshold:.3g} {unit}".strip()
    return _row(name, claim, found, unit, criterion, verdict, reason)


def below(name: str, claim: str, found: Measured, threshold: float, unit: str) -> Row:
    """The effect is smaller than a threshold."""
    verdict, reason = _sides(found, found.high < threshold, found.low > threshold)
    criterion = f"95 % interval over seeds below {threshold:.3g} {unit}".strip()
    return _row(name, claim, found, unit, criterion, verdict, reason)


def within(name: str, claim: str, found: Measured, margin: float, unit: str) -> Row:
    """The effect is as good as zero: an equivalence, not the absence of a difference."""
    inside = found.low > -margin and found.high < margin
    outside = found.low > margin or found.high < -margin
    verdict, reason = _sides(found, inside, outside)
    criterion = f"95 % interval over seeds within ±{margin:.3g} {unit}".strip()
    return _row(name, claim, found, unit, criterion, verdict, reason)


def some(name: str, claim: str, cases: Sequence[bool | None], enough: int) -> Row:
    """It happens in some seed.

    One case shows it; its absence in ``enough`` seeds counts as a failure, in fewer as undecided.
    A case that is None is open, and does not count; a note tells how many are. The interval is
    Clopper and Pearson's, of the share.
    """
    known = [case for case in cases if case is not None]
    count = sum(known)
    low, high, share = -np.inf, np.inf, float("nan")
    if known:
        (low, high), share = binomial(count, len(known)), count / len(known)
    verdict, reason = Verdict.UNDECIDED, f"no case in {len(known)} seeds, fewer than {enough}"
    if count:
        verdict, reason = Verdict.HELD, ""
    elif len(known) >= enough:
        verdict, reason = Verdict.FAILED, ""
    criterion = f"at least one seed; not, if none of {enough} or more"
    unit, left = "of the seeds", len(cases) - len(known)
    note = f"Censoring leaves {left} of {len(cases)} seeds open." if left else ""
    return Row(name, claim, share, low, high, unit, criterion, verdict, reason, len(known), note)


def most(name: str, claim: str, cases: Sequence[bool]) -> Row:
    """It happens in more than half of the seeds, by Clopper and Pearson's interval of the share."""
    count, seeds = sum(cases), len(cases)
    low, high, share = 0.0, 1.0, float("nan")
    if seeds:
        (low, high), share = binomial(count, seeds), count / seeds
    found = Measured(share, low, high, seeds)
    verdict, reason = _sides(found, low > 0.5, high < 0.5)
    criterion = "95 % interval (Clopper-Pearson) of the share of seeds above 0.5"
    return _row(name, claim, found, "of the seeds", criterion, verdict, reason)


def open_question(name: str, claim: str, criterion: str, reason: str, seeds: int = 0) -> Row:
    """A claim about which nothing can be said, and why."""
    unknown = float("nan")
    return Row(
        name, claim, unknown, -np.inf, np.inf, "", criterion, Verdict.UNDECIDED, reason, seeds
    )


def concordance(runs: Mapping[float, Emergence]) -> Bounds:
    """Do runs of one seed emerge earlier at higher levels? Kendall's tau, bounded under censoring.

    Each pair of levels counts 1 if the higher one emerged earlier, -1 if later, 0 if at the same
    checkpoint. Where censoring hides which was earlier, the bounds take either.

    Args:
        runs: the emergence at each level.

    Raises:
        UserError: fewer than two levels.
    """
    levels = sorted(runs)
    if len(levels) < 2:
        raise UserError("an order needs at least two levels")
    pairs = [(runs[a], runs[b]) for i, a in enumerate(levels) for b in levels[i + 1 :]]
    signs = np.array([_earlier(high, low) for low, high in pairs], dtype=np.float64)
    return float(signs[:, 0].mean()), float(signs[:, 1].mean())


def order_within_training(runs: Mapping[float, Emergence]) -> float | None:
    """:func:`concordance` of what is seen by the end of training: a pair that it hides counts 0.

    So Gehan (1965) scores pairs of censored times; it pulls tau towards 0, to either sign alike.

    Args:
        runs: the emergence at each level.

    Returns:
        Tau in [-1, 1]; None where no level emerged, which says nothing about an order.

    Raises:
        UserError: fewer than two levels.
    """
    low, high = concordance(runs)
    return (low + high) / 2 if any(run.reached for run in runs.values()) else None


def rank_correlation(values: Mapping[float, float]) -> float:
    """Kendall's tau of a number with the level, over all pairs of levels; ties count 0.

    Raises:
        UserError: fewer than two levels.
    """
    levels = sorted(values)
    if len(levels) < 2:
        raise UserError("an order needs at least two levels")
    signs = [np.sign(values[b] - values[a]) for i, a in enumerate(levels) for b in levels[i + 1 :]]
    return float(np.mean(signs))


def advance(later: Emergence, earlier: Emergence) -> Bounds:
    """By what share of training one emergence precedes another, as far as censoring tells.

    Where ``later`` never emerges it is at least :func:`counted_advance`, where ``earlier`` never
    does at most.
    """
    counted = counted_advance(later, earlier)
    low = counted if earlier.reached else -float("inf")
    return low, counted if later.reached else float("inf")


def counted_advance(later: Emergence, earlier: Emergence) -> float:
    """:func:`advance`, counted up to the end: what does not emerge counts as emerging there."""
    horizon = min(run.last if run.reached else run.lower for run in (later, earlier))
    return (min(later.upper, horizon) - min(earlier.upper, horizon)) / later.last


def gap(first: Emergence, second: float) -> Bounds:
    """By what share of training an emergence comes after a step; unbounded above if censored."""
    if first.reached:
        difference = (first.upper - second) / first.last
        return difference, difference
    return (first.lower - second) / first.last, float("inf")


def lag(first: Bounds, second: Bounds, last: float) -> Bounds:
    """By what share of training one step comes after another, both known within bounds.

    Args:
        first: bounds of the step, as :func:`conceptspace.analysis.emergence.crossing` gives them.
        second: of the step that it is compared with.
        last: step at which training ends.
    """
    return (first[0] - second[1]) / last, (first[1] - second[0]) / last


def _earlier(first: Emergence, second: Emergence) -> Bounds:
    if first.reached and second.reached:
        sign = float(np.sign(second.upper - first.upper))
        return sign, sign
    if first.reached and first.upper <= second.lower:
        return 1.0, 1.0
    if second.reached and second.upper <= first.lower:
        return -1.0, -1.0
    return -1.0, 1.0


def _sides(found: Measured, held: bool, failed: bool) -> tuple[Verdict, str]:
    if found.seeds < FEWEST:
        plural = "seed" if found.seeds == 1 else "seeds"
        return Verdict.UNDECIDED, f"{found.seeds} {plural}, fewer than {FEWEST}"
    if held or failed:
        return (Verdict.HELD if held else Verdict.FAILED), ""
    if found.open:
        return Verdict.UNDECIDED, f"censoring leaves {found.open} of {found.seeds} seeds open"
    return Verdict.UNDECIDED, f"the interval of {found.seeds} seeds lies on both sides"


def _row(
    name: str,
    claim: str,
    found: Measured,
    unit: str,
    criterion: str,
    verdict: Verdict,
    reason: str,
) -> Row:
    return Row(
        name,
        claim,
        found.value,
        found.low,
        found.high,
        unit,
        criterion,
        verdict,
        reason,
        found.seeds,
    )
