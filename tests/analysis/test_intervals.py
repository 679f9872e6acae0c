"""Bootstrap over seeds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tables import trajectory

from conceptspace.analysis.intervals import curves, mean, paired_difference
from conceptspace.errors import UserError


def test_one_seed_has_no_interval() -> None:
    found = mean([0.4])
    assert (found.value, found.seeds) == (0.4, 1)
    assert np.isnan([found.low, found.high]).all()


@given(st.lists(st.floats(-10, 10), min_size=2, max_size=6))
def test_interval_lies_within_the_data_and_around_the_mean(values: list[float]) -> None:
    found = mean(values)
    assert min(values) - 1e-9 <= found.low <= found.value + 1e-9
    assert found.value - 1e-9 <= found.high <= max(values) + 1e-9


def test_interval_is_about_two_standard_errors() -> None:
    values = np.random.default_rng(0).standard_normal(100)
    found = mean(values)
    assert found.high - found.low == pytest.approx(4 * values.std() / 10, rel=0.15)


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
