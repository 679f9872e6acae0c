"""Planted effects of masking: none, clear, censored, tied, and too few runs to tell."""

from __future__ import annotations

import math
from itertools import permutations

import numpy as np
import pandas as pd
import pytest
from tables import trajectory

from conceptspace.analysis.emergence import Emergence
from conceptspace.analysis.underspecification import (
    Trend,
    sentences,
    step_trend,
    trend,
    trend_note,
    underspecification,
)
from conceptspace.errors import UserError

STEPS = [100, 200, 300, 400, 500, 600, 700, 800]
INF = math.inf


def table(*arrivals: float, end: float = 0.95) -> pd.DataFrame:
    """Runs whose color jumps to ``end`` at the given steps; size is there from the start."""
    points = np.full((len(arrivals), len(STEPS), 2), 0.95)
    for seed, arrival in enumerate(arrivals):
        late = np.array(STEPS) >= arrival
        points[seed, :, 0] = np.where(late, end + 0.01 * seed, min(0.2, end))
    return trajectory(points, STEPS)


def run(upper: float) -> Emergence:
    lower = upper - 100 if math.isfinite(upper) else 800
    return Emergence(0, float(lower), float(upper), 800.0)


def test_a_planted_delay_is_found() -> None:
    found = underspecification(
        {0.6: table(INF, INF, INF, end=0.3), 0.0: table(100, 200, 200), 0.3: table(300, 400, 400)},
        "11",
        "color",
    )
    assert [level.share for level in found.levels] == [0.0, 0.3, 0.6]
    assert [level.steps.median for level in found.levels] == [200, 400, INF]
    assert [level.restricted_mean.value for level in found.levels] == pytest.approx(
        [500 / 3, 1100 / 3, 800]
    )
    assert found.levels[0].ends == pytest.approx((0.95, 0.96, 0.97))
    assert found.levels[2].coordinate.value == pytest.approx((0.2 + 0.2 + 0.2) / 3)
    assert found.coordinate.sign == -1
    assert found.steps.sign == 1
    assert found.coordinate.p_value < 0.05
    assert found.steps.p_value < 0.02
    ends, steps = sentences(found)
    assert ends == (
        "by the share of masked prompts, the color coordinate of 11 ends with 0 % at 0.96 (0.94 to "
        "0.98), with 30 % at 0.96 (0.94 to 0.98), with 60 % at 0.20 (0.20 to 0.20) (means over "
        "seeds, 95 % intervals); it falls as the share grows (p = 0.019, permutation test)"
    )
    assert steps == (
        "by the share of masked prompts, joint accuracy on 11 reaches 0.8 with 0 % at step 200 "
        "(100 to 200), with 30 % at step 400 (300 to 400), with 60 % not by step 800 in 3 of 3 "
        "seeds (Kaplan-Meier medians, 95 % intervals); mean steps, counted up to 800: 167, 367, "
        "800; it comes later as the share grows (p = 0.001, permutation test)"
    )


def test_one_seed_has_no_interval_and_is_undecided() -> None:
    found = underspecification({0.0: table(100), 0.5: table(300), 1.0: table(INF)}, "11", "color")
    assert not found.steps.decidable
    assert math.isnan(found.levels[0].coordinate.low)
    ends, steps = sentences(found)
    assert "ends with 0 % at 0.95, with 50 % at 0.95, with 100 % at 0.20; 3 runs are too" in ends
    assert steps == (
        "by the share of masked prompts, joint accuracy on 11 reaches 0.8 with 0 % at step 100, "
        "with 50 % at step 300, with 100 % not by step 800; 3 runs are too few or too much alike "
        "to decide whether there is a trend"
    )


def test_p_value_is_exact_for_few_runs() -> None:
    """Against all permutations, written out; ties and a censored run included."""
    shares = np.array([0.0, 0.0, 0.3, 0.3, 0.6, 0.6])
    values = np.array([1.0, 2.0, 2.0, 4.0, 3.0, 5.0])
    found = trend(shares, values)
    null = np.array([np.dot(p, values) for p in permutations(shares)])
    tails = [np.mean(null >= shares @ values - 1e-9), np.mean(null <= shares @ values + 1e-9)]
    assert found.p_value == pytest.approx(min(1, 2 * min(tails)))
    assert found.sign == 1


def test_censored_runs_are_later_than_those_seen() -> None:
    shares = [0.0, 0.0, 0.3, 0.3, 0.6, 0.6]
    late = step_trend(shares, [run(t) for t in (100, 200, 300, 300, INF, INF)])
    assert (late.sign, late.p_value) == (1, late.attainable)
    early = step_trend(shares, [run(t) for t in (INF, INF, 300, 300, 200, 100)])
    assert (early.sign, early.p_value) == (-1, pytest.approx(late.p_value))


def test_log_rank_scores_by_hand() -> None:
    """Events 200, 300, 300, censored 800: hazards 1/4, then 2/3; the score is d - H."""
    from conceptspace.analysis.underspecification import _log_rank_scores

    found = _log_rank_scores([run(200), run(300), run(300), run(INF)])
    np.testing.assert_allclose(found, [3 / 4, 1 / 12, 1 / 12, -11 / 12])


def test_nothing_is_found_where_nothing_is_planted() -> None:
    rng = np.random.default_rng(0)
    shares = np.repeat([0.0, 0.25, 0.5, 1.0], 3)
    p = [
        step_trend(shares, [run(t) for t in rng.choice([*STEPS, INF], 12)], seed=k).p_value
        for k in range(20)
    ]
    assert sum(value <= 0.05 for value in p) <= 4


@pytest.mark.parametrize("times", [(INF,) * 6, (300,) * 6])
def test_runs_that_are_all_alike_decide_nothing(times: tuple[float, ...]) -> None:
    found = step_trend([0, 0, 0.3, 0.3, 0.6, 0.6], [run(t) for t in times])
    assert (found.sign, found.decidable) == (0, False)


def test_unusable_input_is_refused() -> None:
    with pytest.raises(UserError, match="two shares"):
        underspecification({0.0: table(100)}, "11", "color")
    with pytest.raises(UserError, match="no coordinate of 'shape'"):
        underspecification({0.0: table(100), 1.0: table(100)}, "11", "shape")
    with pytest.raises(UserError, match="one share for each run"):
        trend([0.0], [1.0, 2.0])
    with pytest.raises(UserError, match="finite"):
        trend([0.0, 1.0], [1.0, math.nan])


def test_a_trend_as_a_remark():
    assert trend_note(Trend(1, 0.002, 0.001, 12), "share") == (
        "Log-rank test for trend over all 12 runs: later at a larger share (p = 0.002, "
        "permutations)."
    )
    assert "earlier at a larger separation (p < 0.001" in trend_note(
        Trend(-1, 0.0005, 0.0001, 15), "separation"
    )
    assert "no trend with the share" in trend_note(Trend(1, 0.4, 0.001, 12), "share")
    assert "to decide" in trend_note(Trend(1, 0.4, 0.3, 4), "share")
