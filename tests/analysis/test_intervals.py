"""Intervals of means over seeds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from tables import trajectory

from conceptspace.analysis.intervals import curves, mean, over_seeds, paired_difference
from conceptspace.errors import UserError


def test_one_seed_has_no_interval() -> None:
    found = mean([0.4])
    assert (found.value, found.seeds) == (0.4, 1)
    assert np.isnan([found.low, found.high]).all()


@given(st.lists(st.floats(-10, 10), min_size=3, max_size=6))
def test_interval_is_that_of_the_t_test(values: list[float]) -> None:
    found = mean(values)
    wanted = stats.ttest_1samp(values, 0).confidence_interval(0.95) if np.ptp(values) else values
    assert (found.low, found.high) == pytest.approx((wanted[0], wanted[1]), abs=1e-9)
    assert found.kind == "95 % interval"


def test_two_seeds_span_a_range_and_no_interval() -> None:
    found = mean([0.4, 0.1])
    assert (found.low, found.high, found.kind) == (0.1, 0.4, "range")


@pytest.mark.parametrize("seeds", [3, 5, 12])
def test_interval_covers_what_it_says(seeds: int) -> None:
    low, high = over_seeds(np.random.default_rng(0).standard_normal((seeds, 4000)))
    assert ((low < 0) & (high > 0)).mean() == pytest.approx(0.95, abs=0.015)


def test_pairing_removes_what_seeds_share() -> None:
    common = np.array([0.0, 10.0, 20.0])
    found = paired_difference(common + 1, common)
    assert (found.value, found.low, found.high) == (1, 1, 1)
    with pytest.raises(UserError):
        paired_difference([1, 2], [1])


@pytest.mark.parametrize("values", [[], [1.0, np.nan], [[1.0]]])
def test_unusable_values_are_refused(values: list[float]) -> None:
    with pytest.raises(UserError):
        mean(values)


def test_curves_agree_with_single_means() -> None:
    points = np.random.default_rng(1).uniform(size=(4, 3, 2))
    found = curves(trajectory(points, [1, 2, 3]))
    row = found[(found["step"] == 2) & (found["concept"] == "size")].iloc[0]
    expected = mean(points[:, 1, 1])
    assert row["value"] == pytest.approx(expected.value)
    assert (row["low"], row["high"]) == pytest.approx((expected.low, expected.high))


def test_a_checkpoint_of_one_seed_has_no_interval() -> None:
    table = trajectory(np.random.default_rng(1).uniform(size=(2, 3, 2)), [1, 2, 3])
    found = curves(table[(table["seed"] == 0) | (table["step"] < 3)])
    alone = found["step"] == 3
    assert found.loc[alone, ["low", "high"]].isna().all(axis=None)
    assert found.loc[~alone, ["low", "high"]].notna().all(axis=None)
    assert (found["seeds"] == np.where(alone, 1, 2)).all()
