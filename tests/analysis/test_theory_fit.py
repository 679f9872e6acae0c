"""Known parameters are recovered, intervals cover, and nulls win where they are true."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom

from conceptspace.analysis.curve_fitting import fit, jackknife_interval, profile_interval
from conceptspace.analysis.theory import eq1, eq2
from conceptspace.analysis.theory_families import (
    NO_EFFECT,
    NO_SWITCH,
    STRAIGHT_LINE,
    STRAIGHT_RELAXATION,
    eq1_family,
)
from conceptspace.analysis.theory_fit import fit_eq1, fit_eq2
from conceptspace.analysis.trajectories import Paths
from conceptspace.errors import UserError

STEPS = 100.0 * np.arange(1, 25)
START = np.array([0.3, 0.3])
NOISE = 0.03


def measured(curves: np.ndarray, steps: np.ndarray = STEPS) -> Paths:
    """Trajectories (seeds, checkpoints, 2) as paths."""
    samples = np.full(curves.shape[:2], 24.0)
    return Paths(tuple(range(len(curves))), steps, ("color", "size"), curves, samples)


def wander(rng: np.random.Generator, count: int, correlation: float) -> np.ndarray:
    """AR(1) noise of standard deviation NOISE, shape (count, checkpoints, 2)."""
    noise = rng.standard_normal((count, len(STEPS), 2))
    for t in range(1, len(STEPS)):
        noise[:, t] = correlation * noise[:, t - 1] + np.sqrt(1 - correlation**2) * noise[:, t]
    return NOISE * noise


def moving(unit: float = 120.0, a: float = 0.6, switch: float = 900.0) -> np.ndarray:
    corner = (1, 0) if a < 1 else (0, 1)
    return eq1(STEPS / unit, START, biased=corner, asymmetry=a, switch=switch / unit)


@pytest.mark.parametrize(("a", "corner"), [(0.6, "10"), (1.7, "01")])
def test_eq_1_recovers_what_it_made(a: float, corner: str) -> None:
    found = fit_eq1(measured(moving(a=a)[None] + wander(np.random.default_rng(1), 4, 0.3)))
    assert found.corner == corner
    assert found.estimates["asymmetry"].value == pytest.approx(a, rel=0.1)
    assert found.estimates["time_unit"].value == pytest.approx(120, rel=0.15)
    assert found.estimates["switch"].value == pytest.approx(900, abs=40)
    for estimate, true in zip(found.estimates.values(), (120, a, 900), strict=True):
        assert estimate.low < true < estimate.high
        assert estimate.seeds == 4
    assert found.supported
    assert found.consistent
    assert found.same_sense
    assert found.measured.sense == ("counterclockwise" if a < 1 else "clockwise")
    np.testing.assert_allclose(found.theory.curves[0], moving(a=a), atol=0.06)


@pytest.mark.slow
def test_profile_intervals_cover_as_often_as_they_say() -> None:
    """Single seeds with independent and with autocorrelated noise.

    At a true coverage of 95 % at least 24 of 30 intervals hold with a probability of 99.9 %.
    Intervals of half the width would hold in about 68 %, and most likely in fewer than 24.
    """
    rng, inside = np.random.default_rng(2), 0
    truth = {"log time_unit": np.log(120), "log asymmetry": np.log(0.6), "switch": 900.0}
    for correlation in (0.0, 0.6):
        for noise in wander(rng, 5, correlation):
            data = [moving() + noise]
            fitted = fit(eq1_family(STEPS, data[0], "11", "10", 0), data)
            for name, true in truth.items():
                low, high = profile_interval(fitted, data, name)
                inside += low <= true <= high
    assert binom.ppf(0.001, 30, 0.95) == 24
    assert binom.cdf(23, 30, 0.68) > 0.85
    assert inside >= 24


def test_jackknife_intervals_cover_as_often_as_they_say() -> None:
    """Of the mean of four numbers the jackknife gives exactly Student's interval."""
    rng, inside = np.random.default_rng(3), 0
    for values in rng.standard_normal((400, 4)):
        without = [np.delete(values, i).mean() for i in range(4)]
        low, high = jackknife_interval(values.mean(), without)
        inside += low < 0 < high
    assert binom.ppf(0.001, 400, 0.95) <= inside <= binom.ppf(0.999, 400, 0.95)


TRUTH = {"time_unit": 120.0, "asymmetry": 0.6, "switch": 900.0}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("seeds", "trials", "correlation"), [(1, 60, 0.0), (1, 60, 0.6), (4, 60, 0.3), (4, 60, 0.8)]
)
def test_coverage_of_whole_fits(seeds: int, trials: int, correlation: float) -> None:
    """Every parameter of 60 fits: at a coverage of 95 % at least 51 hold, with 99.9 %."""
    rng, inside = np.random.default_rng(seeds), dict.fromkeys(TRUTH, 0)
    for _ in range(trials):
        found = fit_eq1(measured(moving() + wander(rng, seeds, correlation)))
        for name, true in TRUTH.items():
            estimate = found.estimates[name]
            inside[name] += estimate.low <= true <= estimate.high
    print(seeds, correlation, inside)
    assert binom.ppf(0.001, trials, 0.95) == 51
    assert min(inside.values()) >= 51


def straight(rng: np.random.Generator) -> np.ndarray:
    """A straight line whose pace no exponential has: slow, fast, slow."""
    progress = 1 / (1 + np.exp(-(STEPS - 900) / 200))
    return START + (1 - START) * progress[:, None] + wander(rng, 2, 0.3)


def test_a_straight_line_is_preferred_where_it_is_true() -> None:
    rng = np.random.default_rng(4)
    fits = [fit_eq1(measured(straight(rng))) for _ in range(4)]
    assert not any(found.supported for found in fits)
    best = [min(found.nulls, key=lambda null: null.aicc).family.name for found in fits]
    assert best.count(STRAIGHT_LINE) >= 3


def test_a_curve_without_a_switch_needs_none() -> None:
    curve = eq1(STEPS / 400, START, biased=(1, 1), asymmetry=0.5)
    found = fit_eq1(measured(curve[None] + wander(np.random.default_rng(5), 2, 0.3)))
    assert not found.supported
    null = found.null(NO_SWITCH)
    assert null.aicc == min(f.aicc for f in (found.theory, *found.nulls))
    assert np.exp(null.value("log asymmetry")) == pytest.approx(0.5, rel=0.1)
    assert found.null(STRAIGHT_RELAXATION).aicc > null.aicc + 10


def test_what_the_data_do_not_determine_is_infinite() -> None:
    """A straight relaxation says nothing of when the target moved, but not late."""
    curve = eq1(STEPS / 250, START, biased=(1, 1))
    found = fit_eq1(measured(curve[None] + wander(np.random.default_rng(6), 1, 0.0)), corner="10")
    switch = found.estimates["switch"]
    assert switch.low == -np.inf
    assert switch.high < 400


def test_a_coupled_fit_keeps_to_the_side_of_the_stronger_concept() -> None:
    """A trajectory by way of 10 in which nevertheless concept 2 relaxes faster."""
    contrary = eq1(STEPS / 120, START, biased=(1, 0), asymmetry=1.6, switch=900 / 120)
    data = measured(contrary[None] + wander(np.random.default_rng(9), 2, 0.3))
    free, coupled = fit_eq1(data), fit_eq1(data, coupled=True)
    assert not free.consistent
    assert free.estimates["asymmetry"].value == pytest.approx(1.6, rel=0.1)
    assert coupled.estimates["asymmetry"].value <= 1
    assert coupled.theory.aicc > free.theory.aicc + 10


def test_other_classes_have_other_corners() -> None:
    """Class 01 asked for, first mistaken for 00: mirrored coordinates give mirrored fits."""
    curves = moving()[None] + wander(np.random.default_rng(7), 2, 0.3)
    upright, mirrored = fit_eq1(measured(curves)), curves.copy()
    mirrored[..., 0] = 1 - mirrored[..., 0]
    found = fit_eq1(measured(mirrored), "01")
    assert (upright.corner, found.corner) == ("10", "00")
    assert found.consistent
    assert found.fitted_area == pytest.approx(-upright.fitted_area, abs=1e-3)
    assert found.estimates["asymmetry"].value == pytest.approx(
        upright.estimates["asymmetry"].value, rel=1e-2
    )


def fan(slope: float, seeds: int = 3) -> dict[float, Paths]:
    rng = np.random.default_rng(8)
    return {
        percent: measured(
            eq2(STEPS / 900, (0.5, 0.2), percent=percent, slope=slope) + wander(rng, seeds, 0.3)
        )
        for percent in (0.0, 50.0, 100.0)
    }


def test_eq_2_recovers_what_it_made() -> None:
    found = fit_eq2(fan(0.01))
    assert found.supported
    slope, unit = found.estimates["slope"], found.estimates["time_unit"]
    assert slope.low < 0.01 < slope.high
    assert slope.value == pytest.approx(0.01, rel=0.1)
    assert unit.low < 900 < unit.high


def test_eq_2_where_masking_has_no_effect() -> None:
    found = fit_eq2(fan(0.0))
    assert not found.supported
    assert found.null(NO_EFFECT).bic < found.theory.bic
    assert found.estimates["slope"].low < 0 < found.estimates["slope"].high


def test_eq_2_of_another_concept_and_class() -> None:
    """The second concept masked, and class 10 asked for: the same fit."""
    turned = {
        percent: measured(np.stack([part.values[..., 1], 1 - part.values[..., 0]], -1))
        for percent, part in fan(0.01).items()
    }
    plain, found = fit_eq2(fan(0.01)), fit_eq2(turned, masked=1, target="10")
    assert found.estimates["slope"].value == pytest.approx(plain.estimates["slope"].value, rel=1e-3)


def test_bad_input_is_refused() -> None:
    good = measured(moving()[None])
    with pytest.raises(UserError, match="at least 8 checkpoints, not 5"):
        fit_eq1(measured(moving()[None, :5], STEPS[:5]))
    with pytest.raises(UserError, match="two bits such as '01', not '111'"):
        fit_eq1(good, "111")
    with pytest.raises(UserError, match="at least two masking shares"):
        fit_eq2({0.0: good})
    three = Paths((0,), STEPS, ("a", "b", "c"), np.zeros((1, 24, 3)), good.samples)
    with pytest.raises(UserError, match="about two concepts, not a, b, c"):
        fit_eq1(three)
