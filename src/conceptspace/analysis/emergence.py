"""When does a capability emerge, and for how long is it hidden? Paper section 4.4, Figs. 3, 6, 8.

A run has emerged at the first checkpoint from which its accuracy stays at or above the threshold
for ``hold`` consecutive checkpoints. The step T itself lies somewhere between that checkpoint and
the one before (interval-censored). A run that never emerges is right-censored at its last
checkpoint; if it ends above the threshold but for fewer than ``hold`` checkpoints it has not been
seen to stay, and is censored at the last checkpoint before that stretch, the last one at which it
is known not to have emerged.

Kaplan-Meier needs one time, so the estimates use the upper end of each interval; the same estimate
from the lower ends brackets the median on the other side.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from conceptspace.analysis.intervals import Estimate, mean, paired_difference
from conceptspace.analysis.steps import digits
from conceptspace.analysis.trajectories import condition, require
from conceptspace.errors import UserError
from conceptspace.tables import JOINT, NAIVE, TRAJECTORY_COLUMNS, VALID

THRESHOLD = 0.8
HOLD = 3

READY = 0.5
"""Share of valid images that the training classes must reach before anything can emerge."""


@dataclass(frozen=True)
class Emergence:
    """When one run emerged: somewhere in (lower, upper].

    Attributes:
        seed: the run's seed.
        lower: last checkpoint at which it is known not to have emerged; 0 before the first.
        upper: the checkpoint of emergence; infinite if it was not reached.
        last: the last checkpoint of the run.
    """

    seed: int
    lower: float
    upper: float
    last: float

    @property
    def reached(self) -> bool:
        """Whether the run emerged before it ended."""
        return bool(np.isfinite(self.upper))

    @property
    def pending(self) -> bool:
        """Whether it was at the threshold when it ended, but for too few checkpoints to count."""
        return not self.reached and self.lower < self.last


@dataclass(frozen=True)
class Survival:
    """Emergence over seeds, by Kaplan-Meier.

    Attributes:
        median: step by which half of the runs have emerged, infinite if the curve never falls
            below one half. Where it equals one half over an interval, the middle of that interval.
        interval: 95 % for the median, from statsmodels (complementary log-log); NaN for one seed
            or where no limit can be given, infinite upwards if the data set no upper limit.
        bracket: the median from the lower and from the upper ends of the checkpoint intervals.
        restricted_mean: mean of min(T, horizon), with its interval over seeds.
        horizon: step up to which it is known of all runs whether they had emerged.
        last: last checkpoint of the runs that did not emerge, of the shortest if they differ; NaN
            if all emerged.
        reached: how many seeds emerged.
        pending: how many were at the threshold when they ended, but for too few checkpoints.
        seeds: how many seeds there are.
    """

    median: float
    interval: tuple[float, float]
    bracket: tuple[float, float]
    restricted_mean: Estimate
    horizon: float
    last: float
    reached: int
    pending: int
    seeds: int


@dataclass(frozen=True)
class Hidden:
    """For how many steps a capability is hidden: naive less elicited emergence, seed by seed.

    Attributes:
        differences: columns seed, lower, upper, steps, kind. The difference lies in [lower, upper];
            ``steps`` compares the checkpoints of emergence and is what ``kind`` says: "exact",
            "at least" (naive was not reached, steps = lower), "at most" (elicited was not, steps =
            upper) or "undefined" (neither was, steps = NaN).
        mean: of min(naive, horizon) - min(elicited, horizon), over all seeds. Where
            all are exact it is the mean difference, with censored naive runs a lower bound of it.
        horizon: step up to which it is known of all runs whether they had emerged.
        exact: number of seeds of this kind.
        at_least: number of seeds of that kind.
        at_most: number of seeds of that kind.
        undefined: number of seeds of that kind; these enter ``mean`` with a difference of 0 within
            the horizon.
    """

    differences: pd.DataFrame
    mean: Estimate
    horizon: float
    exact: int
    at_least: int
    at_most: int
    undefined: int


def emergence(
    steps: ArrayLike,
    accuracy: ArrayLike,
    *,
    seed: int = 0,
    threshold: float = THRESHOLD,
    hold: int = HOLD,
) -> Emergence:
    """The emergence of one run.

    Args:
        steps: checkpoints, shape (T,), increasing.
        accuracy: shape (T,).
        seed: kept in the result.
        threshold: accuracy to reach; equality counts.
        hold: number of consecutive checkpoints, the first included.

    Raises:
        UserError: no checkpoints, steps out of order, NaN accuracies or hold < 1.
    """
    times, values = np.asarray(steps, dtype=np.float64), np.asarray(accuracy, dtype=np.float64)
    if times.shape != values.shape or times.ndim != 1 or len(times) == 0 or hold < 1:
        raise UserError("emergence needs one accuracy for each checkpoint, and hold >= 1")
    if not np.isfinite(values).all() or (np.diff(times) <= 0).any():
        raise UserError(f"seed {seed}: accuracies must be numbers at increasing steps")
    stretch, start = 0, len(times)
    for index, above in enumerate(values >= threshold):
        stretch = stretch + 1 if above else 0
        if stretch == hold:
            start = index - hold + 1
            break
    reached = start < len(times)
    known = start if reached else len(times) - stretch
    return Emergence(
        seed,
        lower=float(times[known - 1]) if known else 0.0,
        upper=float(times[start]) if reached else float("inf"),
        last=float(times[-1]),
    )


def find_emergence(
    table: pd.DataFrame,
    concept_class: str,
    protocol: str = "naive",
    *,
    setting: str | None = None,
    concept: str = JOINT,
    threshold: float = THRESHOLD,
    hold: int = HOLD,
) -> list[Emergence]:
    """The emergence of each seed in a trajectory table, by seed.

    Nothing emerges at a checkpoint at which the classes that are prompted naively do not show
    valid objects themselves; see :func:`ready`.

    Raises:
        UserError: the rows are missing or ambiguous, or as for :func:`emergence`.
    """
    require(table, TRAJECTORY_COLUMNS)
    rows = condition(table, protocol, concept_class, setting)
    rows = rows[rows["concept"] == concept].sort_values("step")
    if rows.empty:
        raise UserError(f"class {concept_class} under {protocol} has no accuracy of {concept!r}")
    early = ~ready(table, rows, concept_class)
    rows = rows.assign(accuracy=rows["accuracy"].mask(early, 0.0))
    return [
        emergence(run["step"], run["accuracy"], seed=int(seed), threshold=threshold, hold=hold)
        for seed in sorted(rows["seed"].unique())
        for run in [rows[rows["seed"] == seed]]
    ]


def ready(table: pd.DataFrame, rows: pd.DataFrame, concept_class: str) -> NDArray[np.bool_]:
    """Whether the other classes show valid objects at the run and checkpoint of each row.

    Their valid images under naive prompting must be a share of :data:`READY` on average. Where
    nothing is known of validity, everything is ready.

    Args:
        table: that holds the naive rows.
        rows: whose runs and checkpoints are asked for.
        concept_class: that is left out.

    Returns:
        Shape (rows,), bool.
    """
    if VALID not in table:
        return np.ones(len(rows), dtype=np.bool_)
    others = table[(table["protocol"] == NAIVE) & (table["concept_class"] != concept_class)]
    share = others[others["concept"] == JOINT].groupby(["seed", "step"])[VALID].mean()
    known = share.reindex(pd.MultiIndex.from_frame(rows[["seed", "step"]])).to_numpy()
    return ~(known < READY)


def crossing(steps: ArrayLike, values: ArrayLike, level: float = 0.5) -> tuple[float, float]:
    """Bounds of the step at which a rising curve passes a level, after its lowest checkpoint.

    Between two checkpoints the curve is taken to be straight, so that the step is known more finely
    than they lie, and both bounds are the same. A curve that begins at the level has passed it by
    its first checkpoint; one that never passes it does so after its last, if at all.

    Args:
        steps: checkpoints, shape (T,), T > 0, increasing.
        values: shape (T,).
        level: to pass; equality counts.
    """
    times, curve = np.asarray(steps, dtype=np.float64), np.asarray(values, dtype=np.float64)
    lowest = int(curve.argmin())
    if curve[lowest] >= level:
        return 0.0, float(times[0])
    above = np.flatnonzero(curve[lowest:] >= level)
    if not len(above):
        return float(times[-1]), float("inf")
    at = lowest + int(above[0])
    found = float(np.interp(level, curve[at - 1 : at + 1], times[at - 1 : at + 1]))
    return found, found


def survival(runs: Sequence[Emergence]) -> Survival:
    """Kaplan-Meier median and restricted mean over seeds.

    Args:
        runs: one for each seed.

    Raises:
        UserError: no runs.
    """
    if not runs:
        raise UserError("an emergence step needs at least one run")
    curve, early = _kaplan_meier(runs, upper=True), _kaplan_meier(runs, upper=False)
    horizon = _horizon(runs)
    return Survival(
        median=_median(curve),
        interval=_interval(curve),
        bracket=(_median(early), _median(curve)),
        restricted_mean=mean(_restricted(runs, horizon)),
        horizon=horizon,
        last=min((run.last for run in runs if not run.reached), default=float("nan")),
        reached=sum(run.reached for run in runs),
        pending=sum(run.pending for run in runs),
        seeds=len(runs),
    )


def hidden_for(naive: Sequence[Emergence], elicited: Sequence[Emergence]) -> Hidden:
    """How much later naive prompting shows what another protocol elicits.

    Args:
        naive: emergence under naive prompting.
        elicited: emergence under the other protocol, of the same seeds.

    Raises:
        UserError: the seeds differ, or there are none.
    """
    first, second = ({run.seed: run for run in runs} for runs in (naive, elicited))
    if not first or first.keys() != second.keys() or len(first) < max(len(naive), len(elicited)):
        raise UserError("a paired difference needs both protocols once for each of the same seeds")
    pairs = [(first[key], second[key]) for key in sorted(first)]
    differences = pd.DataFrame([_difference(a, b) for a, b in pairs])
    horizon = _horizon([*naive, *elicited])
    earlier, later = (_restricted([pair[i] for pair in pairs], horizon) for i in (1, 0))
    count = differences["kind"].value_counts()
    return Hidden(
        differences,
        paired_difference(later, earlier),
        horizon,
        exact=int(count.get("exact", 0)),
        at_least=int(count.get("at least", 0)),
        at_most=int(count.get("at most", 0)),
        undefined=int(count.get("undefined", 0)),
    )


def sentence(
    found: Survival, concept_class: str, *, concept: str = JOINT, threshold: float = THRESHOLD
) -> str:
    """The result in words, e.g. "joint accuracy on 11 reached 0.8 at step 1600 (median of ...)"."""
    what = f"{concept} accuracy on {concept_class}"
    missing = found.seeds - found.reached
    plural = "seed" if found.seeds == 1 else "seeds"
    text = f"not reached by step {digits(found.last)} in {missing} of {found.seeds} {plural}"
    if found.pending:
        text += f" ({found.pending} at {threshold:g} when training ended, too briefly to count)"
    if not np.isfinite(found.median):
        return f"{what}: {threshold:g} {text}"
    spread = ""
    low, high = found.interval
    if np.isfinite(low):
        limits = (
            f"{digits(low)}–{digits(high)}"
            if np.isfinite(high)
            else f"{digits(low)} to beyond the end"
        )
        spread = f", 95 % interval {limits}"
    middle = f"median of {found.seeds} seeds" if found.seeds > 1 else "1 seed"
    reached = f"{what} reached {threshold:g} at step {digits(found.median)} ({middle}{spread})"
    return f"{reached}; {text}" if missing else reached


def _kaplan_meier(runs: Sequence[Emergence], upper: bool) -> Any:
    """A ``SurvfuncRight``, whose import takes a second that most commands need not wait for."""
    from statsmodels.duration.survfunc import SurvfuncRight

    times = [(run.upper if upper else run.lower) if run.reached else run.lower for run in runs]
    return SurvfuncRight(np.array(times), np.array([float(run.reached) for run in runs]))


def _median(curve: Any) -> float:
    at_half = np.isclose(curve.surv_prob, 0.5)
    below = curve.surv_times[(curve.surv_prob < 0.5) & ~at_half]
    if len(below) == 0:
        return float("inf")
    start = curve.surv_times[at_half][0] if at_half.any() else below[0]
    return float((start + below[0]) / 2)


def _interval(curve: Any) -> tuple[float, float]:
    if len(curve.surv_prob) == 0:
        return float("nan"), float("nan")
    with np.errstate(divide="ignore", invalid="ignore"):
        low, high = curve.quantile_ci(0.5)
    return float(low), float(high)


def _horizon(runs: Sequence[Emergence]) -> float:
    unknown = [run.lower for run in runs if not run.reached]
    return min(unknown) if unknown else max(run.last for run in runs)


def _restricted(runs: Sequence[Emergence], horizon: float) -> list[float]:
    return [min(run.upper, horizon) for run in runs]


def _difference(naive: Emergence, elicited: Emergence) -> dict[str, float | int | str]:
    low, high = naive.lower - elicited.upper, naive.upper - elicited.lower
    kind, steps = {
        (True, True): ("exact", naive.upper - elicited.upper),
        (False, True): ("at least", low),
        (True, False): ("at most", high),
        (False, False): ("undefined", float("nan")),
    }[naive.reached, elicited.reached]
    return {"seed": naive.seed, "lower": low, "upper": high, "steps": steps, "kind": kind}
