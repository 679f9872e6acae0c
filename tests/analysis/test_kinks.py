"""Kinks of learning curves beyond smooth saturation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom

from conceptspace.analysis.kinks import detect_kink
from conceptspace.errors import UserError

STEPS = np.linspace(500**0.5, 20000**0.5, 24) ** 2
X = (np.log(STEPS) - np.log(STEPS[0])) / np.ptp(np.log(STEPS))
SMOOTH = {
    "power law": 1 + 2 * (STEPS / 500) ** -0.6,
    "exponential": 1 - 0.8 * np.exp(-STEPS / 3000),
    "sigmoid": 0.5 + 0.5 / (1 + np.exp(-10 * (X - 0.5))),
}
DROP = SMOOTH["power law"] - 3 * np.maximum(0, X - X[14])


def test_smooth_saturation_is_not_a_kink() -> None:
    """At most 5 % false alarms: 11 of 75 is the 99.9 % quantile of the binomial distribution."""
    rng = np.random.default_rng(0)
    alarms = [
        detect_kink(STEPS, curve + 0.02 * rng.standard_normal(24), simulations=200, seed=k).detected
        for curve in SMOOTH.values()
        for k in range(25)
    ]
    assert sum(alarms) <= binom.ppf(0.999, 75, 0.05) == 11


def test_a_sudden_drop_is_found() -> None:
    rng = np.random.default_rng(1)
    curves = DROP + 0.02 * rng.standard_normal((4, 24))
    for values in (curves, curves[0]):
        kink = detect_kink(STEPS, values)
        assert kink.detected
        assert kink.change == pytest.approx(-3 / np.ptp(np.log(STEPS)), rel=0.2)
        assert kink.step in STEPS[12:17]
        assert kink.step_interval[0] <= kink.step <= kink.step_interval[1]
        assert kink.seeds == len(np.atleast_2d(values))


def test_seeds_with_opposite_kinks_do_not_agree() -> None:
    flat = np.full(24, 0.5)
    kink = 0.5 * np.maximum(0, X - 0.6)
    rng = np.random.default_rng(2)
    curves = np.stack([flat + kink, flat + kink, flat - 0.5 * kink])
    assert not detect_kink(STEPS, curves + 0.01 * rng.standard_normal(curves.shape)).detected


def test_a_constant_curve_has_no_kink() -> None:
    assert not detect_kink(STEPS, np.ones(24)).detected


@pytest.mark.parametrize(
    ("steps", "values"),
    [
        (STEPS[:7], np.zeros(7)),
        (STEPS - STEPS[0], np.zeros(24)),
        (STEPS[::-1], np.zeros(24)),
        (STEPS, np.full(24, np.nan)),
        (STEPS, np.zeros(23)),
    ],
)
def test_unusable_curves_are_refused(steps: np.ndarray, values: np.ndarray) -> None:
    with pytest.raises(UserError):
        detect_kink(steps, values)
