"""The numbers behind the curves."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest, ttest_1samp

from conceptspace.analysis.intervals import wilson
from conceptspace.errors import UserError
from conceptspace.presentation.series import (
    highest,
    of_protocol,
    over_runs,
    series,
)
from conceptspace.tables import JOINT, NAIVE


def test_series_of_one_run_has_a_binomial_interval(tables):
    table = of_protocol(tables(2, 1), NAIVE)
    drawn = series(table, "11")
    expected = table[(table["concept_class"] == "11") & (table["concept"] == JOINT)]
    np.testing.assert_allclose(drawn.mean, expected["accuracy"])
    assert drawn.interval == "95 % binomial interval of 32 images"
    assert (drawn.low <= drawn.mean).all()
    assert (drawn.mean <= drawn.high).all()


def test_series_averages_over_runs_at_common_steps(tables):
    table = of_protocol(tables(2, 3), NAIVE)
    steps = sorted(table["step"].unique())
    table = table[(table["seed"] != 1) | (table["step"] != steps[-1])]
    drawn = series(table, "10", "size", "coordinate")
    assert drawn.steps.tolist() == steps[:-1]
    assert drawn.runs.shape == (3, len(steps) - 1)
    assert drawn.interval == "95 % Student interval over 3 runs"


def test_missing_rows_are_named(tables):
    with pytest.raises(UserError, match="no naive rows of class 11, shape"):
        series(tables(2, 1), "11", "shape")
    with pytest.raises(UserError, match="no rows of the protocol 'guess'"):
        of_protocol(tables(2, 1), "guess")


def test_wilson_agrees_with_scipy():
    for count in (0, 3, 16, 32):
        low, high = wilson(np.array([count / 32]), np.array([32.0]))
        interval = binomtest(count, 32).proportion_ci(method="wilson")
        np.testing.assert_allclose((low[0], high[0]), (interval.low, interval.high), atol=1e-6)


def test_the_interval_over_runs_is_students_and_stays_within_its_limits():
    runs = np.array([[0.40, 0.0, 1.0], [0.50, 0.1, 1.0], [0.48, 0.0, 0.7]])
    low, high = over_runs(runs)
    expected = ttest_1samp(runs[:, 0], 0).confidence_interval(0.95)
    np.testing.assert_allclose((low[0], high[0]), (expected.low, expected.high))
    assert low[1] == 0
    assert high[2] == 1


def test_two_runs_are_shown_as_the_range_that_they_span(tables):
    drawn = series(of_protocol(tables(2, 2), NAIVE), "11")
    assert drawn.interval == "range of 2 runs"
    np.testing.assert_array_equal(drawn.low, drawn.runs.min(axis=0))
    np.testing.assert_array_equal(drawn.high, drawn.runs.max(axis=0))


def test_highest_keeps_the_highest_joint_accuracy(tables):
    table = tables(2, 2)
    best = highest(table)
    keys = ["run", "seed", "step", "protocol", "concept_class"]
    joint = table[table["concept"] == JOINT].groupby(keys)["accuracy"].max()
    kept = best[best["concept"] == JOINT].set_index(keys)["accuracy"]
    assert len(best) == len(kept) * 3
    np.testing.assert_array_equal(kept.sort_index(), joint.sort_index())


def test_highest_breaks_ties_by_order(tables):
    table = tables(2, 1).assign(accuracy=0.5)
    chosen = highest(of_protocol(table, "overprompting"))["setting"].unique()
    assert list(chosen) == ["0.35,0.35,0.65"]
