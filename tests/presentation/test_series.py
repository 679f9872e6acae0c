"""The numbers behind the curves."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest

from conceptspace.analysis.statistics import wilson
from conceptspace.errors import UserError
from conceptspace.presentation.series import (
    bootstrap,
    highest,
    of_protocol,
    series,
    smooth,
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
    assert "bootstrap interval over 3 runs" in drawn.interval


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


def test_bootstrap_resamples_runs():
    runs = np.array([[0.0, 0.5], [1.0, 0.5]])
    low, high = bootstrap(runs)
    np.testing.assert_array_equal(low, [0.0, 0.5])
    np.testing.assert_array_equal(high, [1.0, 0.5])


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


def test_smoothing_keeps_constants_the_start_and_zero_width():
    values = np.array([[0.1, 0.9, 0.2, 0.8]])
    np.testing.assert_array_equal(smooth(values, 0.0), values)
    assert smooth(values, 1.0)[0, 0] == pytest.approx(0.1)
    np.testing.assert_allclose(smooth(np.full(5, 0.3), 2.0), 0.3)
