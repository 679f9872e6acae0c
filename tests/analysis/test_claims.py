"""Intervals over seeds, bounds under censoring, verdicts."""

from __future__ import annotations

from math import inf, isnan, nan

import numpy as np
import pytest
from scipy import stats

from conceptspace.analysis.claims import (
    SHARE,
    SIGNED,
    Verdict,
    above,
    advance,
    below,
    concordance,
    counted_advance,
    gap,
    lag,
    measure,
    measure_share,
    most,
    open_question,
    order_within_training,
    rank_correlation,
    some,
    within,
)
from conceptspace.analysis.emergence import Emergence
from conceptspace.errors import UserError


def at(step: float, last: float = 2400, seed: int = 0) -> Emergence:
    return Emergence(seed, step - 100.0, float(step), float(last))


def never(last: float = 2400, lower: float | None = None) -> Emergence:
    return Emergence(0, float(last if lower is None else lower), inf, float(last))


def test_the_interval_is_students() -> None:
    found = measure([0.1, 0.3, 0.2, 0.6])
    low, high = stats.t.interval(0.95, 3, 0.3, stats.sem([0.1, 0.3, 0.2, 0.6]))
    assert found.value == pytest.approx(0.3)
    assert (found.low, found.high) == pytest.approx((low, high))
    assert (found.seeds, found.open) == (4, 0)


def test_the_interval_covers_the_mean_of_few_seeds_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    drawn = [measure(list(rng.normal(1.0, 0.5, 3).tolist())) for _ in range(2000)]
    covered = np.mean([found.low <= 1.0 <= found.high for found in drawn])
    assert 0.935 <= covered <= 0.965


def test_bounds_widen_the_interval_and_an_open_end_reaches_infinity() -> None:
    exact, bounded = measure([0.2, 0.3, 0.4]), measure([0.2, (0.25, 0.5), 0.4])
    assert bounded.high > exact.high
    assert bounded.low < exact.low
    assert bounded.open == 1
    half = measure([0.2, (0.3, inf), 0.4])
    assert half.low == pytest.approx(exact.low)
    assert half.high == inf
    assert half.value == pytest.approx(0.3)
    assert isnan(measure([0.2, (-inf, inf), 0.4]).value)


def test_an_interval_is_cut_where_the_number_cannot_be() -> None:
    values = [1.0, 0.9, 0.6]
    free, cut = measure(values), measure(values, SHARE)
    assert (cut.value, cut.low, cut.high) == (free.value, free.low, 1.0)
    assert free.high > 1
    assert (measure([0.5], SIGNED).low, measure([], SIGNED).high) == (-1.0, 1.0)


def test_a_number_that_is_none_and_bounds_in_disorder_are_refused() -> None:
    with pytest.raises(UserError):
        measure([0.1, nan])
    with pytest.raises(UserError):
        measure([(0.4, 0.2)])


@pytest.mark.parametrize(
    ("check", "values", "verdict"),
    [
        (above, [0.6, 0.7, 0.8], Verdict.HELD),
        (above, [0.1, 0.2, 0.15], Verdict.FAILED),
        (above, [0.2, 0.9, 0.6], Verdict.UNDECIDED),
        (above, [0.8, 0.8], Verdict.UNDECIDED),
        (above, [], Verdict.UNDECIDED),
        (above, [(0.7, inf), (0.8, inf), (0.75, inf)], Verdict.HELD),
        (above, [(0.1, inf), (0.2, inf), (0.15, inf)], Verdict.UNDECIDED),
        (below, [0.1, 0.2, 0.15], Verdict.HELD),
        (below, [0.6, 0.7, 0.8], Verdict.FAILED),
        (below, [0.1, (0.2, inf), 0.15], Verdict.UNDECIDED),
        (within, [0.01, -0.1, 0.05], Verdict.HELD),
        (within, [0.8, 0.7, 0.75], Verdict.FAILED),
        (within, [-0.8, -0.7, -0.75], Verdict.FAILED),
        (within, [-0.8, 0.8, 0.1], Verdict.UNDECIDED),
    ],
)
def test_a_verdict_needs_the_whole_interval_on_one_side(
    check: object, values: list[float], verdict: Verdict
) -> None:
    row = check("name", "A claim.", measure(values), 0.4, "units")  # type: ignore[operator]
    assert row.verdict == verdict
    assert bool(row.reason) == (verdict == Verdict.UNDECIDED)
    assert "0.4 units" in row.criterion


def test_one_case_shows_that_some_seed_does_and_few_seeds_never_show_that_none_does() -> None:
    assert some("n", "c", [True, False, False], 5).verdict == Verdict.HELD
    assert some("n", "c", [False] * 5, 5).verdict == Verdict.FAILED
    assert some("n", "c", [False] * 4, 5).verdict == Verdict.UNDECIDED
    assert some("n", "c", [None, None], 5).verdict == Verdict.UNDECIDED
    left = some("n", "c", [True, None, False, None], 5)
    assert (left.effect, left.seeds) == (0.5, 2)
    assert left.note == "Censoring leaves 2 of 4 seeds open."
    row = some("n", "c", [True, False, False, False], 5)
    expected = stats.binomtest(1, 4).proportion_ci(0.95)
    assert (row.effect, row.low, row.high) == pytest.approx((0.25, expected.low, expected.high))


def test_most_seeds_are_more_than_half_by_the_exact_interval_of_their_share() -> None:
    row = most("n", "c", [True] * 7 + [False])
    exact = stats.binomtest(7, 8).proportion_ci(0.95)
    assert (row.effect, row.low, row.high) == pytest.approx((7 / 8, exact.low, exact.high))
    assert (row.unit, row.seeds) == ("of the seeds", 8)
    verdicts = {
        Verdict.HELD: [[True] * 6, [True] * 8 + [False], [True] * 10 + [False] * 2],
        Verdict.FAILED: [[False] * 6, [False] * 8 + [True], [False] * 10 + [True] * 2],
        Verdict.UNDECIDED: [[True] * 5, [True] * 7 + [False] * 2, [True, False] * 50, [False] * 5],
    }
    for verdict, several in verdicts.items():
        for cases in several:
            row = most("n", "c", cases)
            assert row.verdict == verdict, row
            assert bool(row.reason) == (verdict == Verdict.UNDECIDED)


def test_too_few_seeds_are_never_most() -> None:
    for cases in ([], [True], [True, True]):
        row = most("n", "c", cases)
        assert row.verdict == Verdict.UNDECIDED
        assert row.reason.endswith("fewer than 3")
        assert 0 <= row.low <= row.high <= 1
    assert isnan(most("n", "c", []).effect)
    assert most("n", "c", [True, True]).effect == 1.0


def test_an_open_question_is_undecided_and_says_why() -> None:
    row = open_question("n", "c", "when", "no training log")
    assert (row.verdict, row.reason, row.low, row.high) == (
        Verdict.UNDECIDED,
        "no training log",
        -inf,
        inf,
    )


def test_concordance_counts_pairs_and_leaves_open_what_censoring_hides() -> None:
    assert concordance({1.0: at(900), 2.0: at(500), 3.0: at(300)}) == (1.0, 1.0)
    assert concordance({1.0: at(300), 2.0: at(500), 3.0: at(900)}) == (-1.0, -1.0)
    assert concordance({1.0: at(500), 2.0: at(500)}) == (0.0, 0.0)
    assert concordance({1.0: never(), 2.0: at(500)}) == (1.0, 1.0)
    assert concordance({1.0: at(500), 2.0: never()}) == (-1.0, -1.0)
    assert concordance({1.0: never(), 2.0: never()}) == (-1.0, 1.0)
    assert concordance({1.0: never(lower=300), 2.0: at(500)}) == (-1.0, 1.0)
    low, high = concordance({1.0: never(), 2.0: never(), 3.0: at(800)})
    assert (low, high) == pytest.approx((1 / 3, 1.0))


def test_an_order_within_training_counts_hidden_pairs_as_ties() -> None:
    assert order_within_training({1.0: never(), 2.0: at(500), 3.0: at(300)}) == 1.0
    two = order_within_training({1.0: never(), 2.0: never(), 3.0: at(800)})
    assert two == pytest.approx(2 / 3)
    assert order_within_training({1.0: at(800), 2.0: never(), 3.0: never()}) == pytest.approx(
        -2 / 3
    )
    assert order_within_training({1.0: never(lower=300), 2.0: at(500)}) == 0.0
    assert order_within_training({1.0: never(), 2.0: never()}) is None


def test_rank_correlation_is_kendalls_tau_and_ties_count_nothing() -> None:
    values = {0.1: 0.0, 0.2: 0.4, 0.3: 0.3, 0.4: 0.9}
    tau = stats.kendalltau(list(values), list(values.values())).statistic
    assert rank_correlation(values) == pytest.approx(tau)
    assert rank_correlation({1.0: 0.5, 2.0: 0.5}) == 0.0


def test_an_advance_is_a_share_of_training_and_as_open_as_censoring_leaves_it() -> None:
    assert advance(at(1200), at(600)) == pytest.approx((0.25, 0.25))
    assert advance(at(600), at(1200)) == pytest.approx((-0.25, -0.25))
    assert advance(never(), at(600)) == pytest.approx((0.75, inf))
    assert advance(never(), never()) == (-inf, inf)
    assert advance(at(600), never()) == pytest.approx((-inf, -0.75))
    assert counted_advance(at(600), never()) == pytest.approx(-0.75)
    assert counted_advance(never(), at(600)) == pytest.approx(0.75)
    assert counted_advance(never(), never()) == 0


def test_shares_that_all_agree_have_the_exact_interval_of_so_many_seeds() -> None:
    for count in (0, 3):
        exact = stats.binomtest(count, 3).proportion_ci(0.95)
        found = measure_share([count / 3] * 3)
        assert (found.value, found.low, found.high) == pytest.approx(
            (count / 3, exact.low, exact.high)
        )
    exact = stats.binomtest(1, 4).proportion_ci(0.95)
    mixed = measure_share([True, False, False, False])
    assert (mixed.low, mixed.high) == pytest.approx((exact.low, exact.high))
    assert measure_share([1.0, 0.75, 1.0]) == measure([1.0, 0.75, 1.0], SHARE)
    assert measure_share([]).seeds == 0


def test_a_gap_to_a_step_is_bounded_below_where_the_run_never_arrives() -> None:
    assert gap(at(1200), 600.0) == pytest.approx((0.25, 0.25))
    assert gap(never(), 600.0) == pytest.approx((0.75, inf))


def test_a_lag_is_as_open_as_the_two_steps_are() -> None:
    assert lag((1200.0, 1200.0), (600.0, 600.0), 2400.0) == pytest.approx((0.25, 0.25))
    assert lag((2400.0, inf), (600.0, 600.0), 2400.0) == pytest.approx((0.75, inf))
    assert lag((0.0, 100.0), (600.0, 600.0), 2400.0) == pytest.approx((-600 / 2400, -500 / 2400))
    assert lag((2400.0, inf), (2400.0, inf), 2400.0) == (-inf, inf)
