"""Emergence steps against hand-worked examples and an independent estimator."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import CensoredData, ecdf
from tables import trajectory

from conceptspace.analysis import emergence as em
from conceptspace.analysis.emergence import Emergence, emergence, hidden_for, sentence, survival
from conceptspace.errors import UserError

STEPS = [100, 200, 300, 400, 500, 600]


def between(seed: int, lower: float, upper: float, last: float) -> Emergence:
    return Emergence(seed, float(lower), float(upper), float(last))


def run(upper: float, seed: int = 0, last: float = 1000) -> Emergence:
    lower = upper - 100 if math.isfinite(upper) else last
    return between(seed, lower, upper, last)


def runs(*uppers: float, last: float = 1000) -> list[Emergence]:
    return [run(upper, seed, last) for seed, upper in enumerate(uppers)]


@pytest.mark.parametrize(
    ("accuracy", "lower", "upper"),
    [
        ([0.1, 0.8, 0.9, 0.9, 0.2, 0.2], 100, 200),
        ([0.9, 0.9, 0.9, 0.1, 0.1, 0.1], 0, 100),
        ([0.9, 0.9, 0.1, 0.9, 0.9, 0.9], 300, 400),
        ([0.1, 0.1, 0.1, 0.1, 0.1, 0.1], 600, math.inf),
        ([0.1, 0.9, 0.9, 0.1, 0.1, 0.1], 600, math.inf),
        ([0.1, 0.1, 0.1, 0.1, 0.9, 0.9], 400, math.inf),
        ([0.9, 0.9, 0.7999, 0.9, 0.9, 0.79], 600, math.inf),
    ],
)
def test_emergence_by_hand(accuracy: list[float], lower: float, upper: float) -> None:
    assert emergence(STEPS, accuracy, seed=7) == between(7, lower, upper, 600)


def test_a_single_checkpoint_above_counts_only_if_asked() -> None:
    accuracy = [0.1, 0.9, 0.1, 0.1, 0.1, 0.1]
    assert emergence(STEPS, accuracy, hold=1).upper == 200
    assert not emergence(STEPS, accuracy).reached


@pytest.mark.parametrize("accuracy", [[0.1, math.nan], [0.1]])
def test_unusable_accuracies_are_refused(accuracy: list[float]) -> None:
    with pytest.raises(UserError):
        emergence([1, 2], accuracy)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20), st.integers(1, 4))
def test_emergence_matches_its_definition(accuracy: list[float], hold: int) -> None:
    steps = np.arange(1, len(accuracy) + 1)
    starts = [
        i
        for i in range(len(accuracy) - hold + 1)
        if all(value >= 0.8 for value in accuracy[i : i + hold])
    ]
    found = emergence(steps, accuracy, hold=hold)
    assert found.upper == (starts[0] + 1 if starts else math.inf)
    assert 0 <= found.lower < found.upper
    if starts:
        assert found.lower == starts[0]


@pytest.mark.parametrize(
    ("values", "bounds"),
    [
        ([0.1, 0.3, 0.7, 0.2], (250.0, 250.0)),  # between two checkpoints, whatever follows
        ([0.6, 0.2, 0.5, 0.9], (300.0, 300.0)),  # after the lowest one; equality counts
        ([0.0, 0.1, 0.2, 0.4], (400.0, math.inf)),
        ([0.9, 0.7, 0.6, 0.1], (400.0, math.inf)),
        ([0.5, 0.6, 0.7, 0.8], (0.0, 100.0)),
    ],
)
def test_a_crossing_by_hand(values: list[float], bounds: tuple[float, float]) -> None:
    assert em.crossing([100, 200, 300, 400], values) == pytest.approx(bounds)


def test_median_of_uncensored_runs_is_the_ordinary_median() -> None:
    found = survival(runs(400, 800, 200, 600))
    assert found.median == 500
    assert found.bracket == (400, 500)
    assert found.restricted_mean.value == 500


def test_kaplan_meier_by_hand() -> None:
    """Follow-up 2, 3+, 4, 5, 6+: S = 0.8 from 2, 0.8 * 2/3 from 4, 0.8 / 3 from 5."""
    data = [between(i, u - 1, u, 10) for i, u in enumerate([2.0, 4.0, 5.0])]
    data += [between(3, 3, math.inf, 3), between(4, 6, math.inf, 6)]
    curve = em._kaplan_meier(data, upper=True)
    np.testing.assert_allclose(curve.surv_times, [2, 4, 5])
    np.testing.assert_allclose(curve.surv_prob, [0.8, 0.8 * 2 / 3, 0.8 / 3])
    found = survival(data)
    assert found.median == 5
    assert found.horizon == 3
    assert found.restricted_mean.value == pytest.approx((2 + 3 * 4) / 5)


@given(st.lists(st.tuples(st.integers(1, 6), st.booleans()), min_size=1, max_size=12))
def test_two_libraries_agree_with_ties_and_censoring(data: list[tuple[int, bool]]) -> None:
    records = [
        between(i, t - 1, t, 7) if seen else between(i, t, math.inf, t)
        for i, (t, seen) in enumerate(data)
    ]
    ours = em._kaplan_meier(records, upper=True)
    censored = CensoredData(
        uncensored=[t for t, seen in data if seen], right=[t for t, seen in data if not seen]
    )
    theirs = ecdf(censored).sf
    np.testing.assert_allclose(ours.surv_prob, theirs.evaluate(ours.surv_times), atol=1e-12)
    crossed = theirs.quantiles[theirs.probabilities < 0.5 - 1e-9]
    median = survival(records).median
    assert math.isinf(median) == (len(crossed) == 0)
    if len(crossed):
        assert median <= crossed[0]
        assert theirs.evaluate(median - 1e-6) >= 0.5 - 1e-9


@given(st.lists(st.integers(1, 9), min_size=1, max_size=8), st.integers(0, 8))
def test_median_of_planted_seeds(times: list[int], censored: int) -> None:
    found = survival(runs(*(100 * t for t in times), *[math.inf] * censored))
    if censored == 0:
        assert found.median == pytest.approx(np.median(times) * 100)
    elif censored >= len(times):
        assert found.median == math.inf
    assert found.reached == len(times)
    assert found.seeds == len(times) + censored


def test_one_seed_has_no_interval() -> None:
    found = survival(runs(300))
    assert np.isnan(found.interval).all()
    assert math.isnan(found.restricted_mean.low)


def test_sentences() -> None:
    assert sentence(survival(runs(400, 800, 1200, 1600, last=2000)), "11") == (
        "joint accuracy on 11 reached 0.8 at step 1000 (median of 4 seeds, 95 % interval 400–1600)"
    )
    assert sentence(survival(runs(400, math.inf, math.inf, math.inf)), "11") == (
        "joint accuracy on 11: 0.8 not reached by step 1000 in 3 of 4 seeds"
    )
    assert sentence(survival(runs(400)), "01", concept="size") == (
        "size accuracy on 01 reached 0.8 at step 400 (1 seed)"
    )
    mixed = sentence(survival(runs(400, 500, 600, 700, math.inf)), "11")
    assert mixed.startswith("joint accuracy on 11 reached 0.8 at step 600 (median of 5 seeds")
    assert mixed.endswith("; not reached by step 1000 in 1 of 5 seeds")
    pending = [between(0, 800, math.inf, 1000)]
    assert sentence(survival(pending), "11") == (
        "joint accuracy on 11: 0.8 not reached by step 1000 in 1 of 1 seed "
        "(1 at 0.8 when training ended, too briefly to count)"
    )


def test_hidden_counts_censored_seeds() -> None:
    found = hidden_for(runs(900, math.inf, 500, math.inf), runs(400, 300, math.inf, math.inf))
    assert (found.exact, found.at_least, found.at_most, found.undefined) == (1, 1, 1, 1)
    rows = found.differences
    assert rows["kind"].tolist() == ["exact", "at least", "at most", "undefined"]
    assert rows["steps"].tolist()[:3] == [500, 700, -500]
    assert math.isnan(rows["steps"][3])
    assert (rows["lower"][0], rows["upper"][0]) == (400, 600)
    assert found.mean.value == pytest.approx((500 + 700 - 500 + 0) / 4)


def test_runs_that_arrived_do_not_limit_up_to_where_steps_are_counted() -> None:
    short, long = run(400, 0, last=1000), run(1500, 1, last=3000)
    found = hidden_for([run(800, 0, last=1000), run(2500, 1, last=3000)], [short, long])
    assert found.exact == 2
    assert found.mean.value == pytest.approx((400 + 1000) / 2)
    assert survival([short, run(math.inf, 1, last=900)]).horizon == 900


def test_hidden_refuses_other_seeds() -> None:
    with pytest.raises(UserError, match="same seeds"):
        hidden_for(runs(100, 200), runs(100))


def test_from_a_table() -> None:
    points = np.full((2, 6, 2), 0.1)
    points[0, 2:] = 0.95
    found = em.find_emergence(trajectory(points, STEPS), "11")
    assert found == [between(0, 200, 300, 600), between(1, 600, math.inf, 600)]


def test_mixed_conditions_are_refused() -> None:
    table = trajectory(np.full((2, 6, 2), 0.1), STEPS)
    table["seed"] = 0
    with pytest.raises(UserError, match="several runs have seed 0"):
        em.find_emergence(table, "11")


def with_training_class(valid: list[float], other: list[float] | None = None) -> pd.DataFrame:
    """Class 11 is made at once; so many images of training class 00 (and 01) are valid."""
    made = trajectory(np.full((1, 6, 2), 0.95), STEPS).assign(valid=1.0)
    shares = {"00": valid, "01": valid if other is None else other}
    parts = [
        trajectory(np.full((1, 6, 2), 0.5), STEPS, concept_class=name).assign(
            valid=lambda rows, of=of: rows["step"].map(dict(zip(STEPS, of, strict=True)))
        )
        for name, of in shares.items()
    ]
    return pd.concat([made, *parts], ignore_index=True)


def asked(table: pd.DataFrame, protocol: str = "naive") -> pd.DataFrame:
    rows = table[(table["protocol"] == protocol) & (table["concept_class"] == "11")]
    return rows[rows["concept"] == "joint"].sort_values("step")


def test_nothing_is_ready_before_the_training_classes_show_valid_objects() -> None:
    table = with_training_class([0.0, 0.49, 0.5, 0.2, 0.9, 1.0])
    ready = em.ready(table, asked(table), "11")
    assert ready.tolist() == [False, False, True, False, True, True]
    average = with_training_class([0.0] * 3 + [0.2] * 3, [0.9] * 3 + [0.8] * 3)
    assert em.ready(average, asked(average), "11").tolist() == [False] * 3 + [True] * 3


def test_the_class_itself_and_other_protocols_do_not_make_it_ready() -> None:
    table = with_training_class([0.0] * 6)
    prompted = table.assign(protocol="over", setting="x", valid=1.0)
    both = pd.concat([table, prompted], ignore_index=True)
    assert not em.ready(both, asked(both), "11").any()
    assert not em.ready(both, asked(both, "over"), "11").any()
    assert not em.find_emergence(both, "11", "over")[0].reached


def test_without_a_judge_everything_is_ready() -> None:
    table = with_training_class([0.0] * 6)
    for unjudged in (table.drop(columns="valid"), table.assign(valid=math.nan)):
        assert em.ready(unjudged, asked(unjudged), "11").all()
        assert em.find_emergence(unjudged, "11") == [between(0, 0, 100, 600)]


def test_what_is_made_before_it_is_ready_has_not_emerged() -> None:
    table = with_training_class([0.0, 0.0, 1.0, 1.0, 1.0, 1.0])
    assert em.find_emergence(table, "11") == [between(0, 200, 300, 600)]
    color = em.find_emergence(table, "11", concept="color")
    assert color == [between(0, 200, 300, 600)]
    late = with_training_class([0.0] * 4 + [1.0] * 2)
    assert em.find_emergence(late, "11") == [between(0, 400, math.inf, 600)]


def test_every_seed_is_ready_by_its_own_training_classes() -> None:
    first = with_training_class([0.0, 1.0, 1.0, 1.0, 1.0, 1.0])
    second = with_training_class([0.0, 0.0, 0.0, 1.0, 1.0, 1.0]).assign(run="run1", seed=1)
    found = em.find_emergence(pd.concat([first, second], ignore_index=True), "11")
    assert found == [between(0, 100, 200, 600), between(1, 300, 400, 600)]
