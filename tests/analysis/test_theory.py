"""Eq. 1 and Eq. 2: gradient flows of their energies, solutions in closed form, and limits."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from conceptspace.analysis.rotation import sense_of_rotation
from conceptspace.analysis.theory import (
    end_eq2,
    eq1,
    eq2,
    follow,
    moving_target,
    rates,
    simulate_eq1,
    simulate_eq2,
)
from conceptspace.analysis.turning import signed_areas
from conceptspace.errors import UserError

TIMES = np.linspace(0, 30, 61)
START = (0.2, 0.3)
Point = tuple[float, float]


def energy_eq1(points: np.ndarray, targets: np.ndarray, asymmetry: float) -> np.ndarray:
    """L of Eq. 1 at points (..., 2) for targets d(t) of the same shape."""
    return (rates(asymmetry) * (targets - points) ** 2).sum(-1) / 2


def energy_eq2(points: np.ndarray, percent: float) -> np.ndarray:
    """L of Eq. 2 at points (..., 2)."""
    return ((points - end_eq2(percent)) ** 2).sum(-1)


def area_without_switch(asymmetry: float) -> float:
    """Signed area between the curve from (0, 0) to (1, 1) without a switch, and its chord.

    There Eq. 1 gives 1 - z2 = (1 - z1) ** (a ** 2), so the area is (a^2 - 1) / (2 (a^2 + 1)):
    positive (clockwise) if concept 2 is the stronger, zero if none is.
    """
    square = rates(asymmetry)[1] ** 2
    return float((square - 1) / (2 * (square + 1)))


def area_of_late_switch(start: Point, corner: Point, end: Point, asymmetry: float) -> float:
    """Signed area of the limit of a late switch, positive if it is passed clockwise.

    The trajectory first relaxes to the biased corner, then leaves it along one axis. That is the
    triangle start-corner-end, and between start and corner the area of
    :func:`area_without_switch`, scaled to the sides of their rectangle.
    """
    (x0, y0), (x1, y1), (x2, y2) = start, corner, end
    triangle = ((y1 - y0) * (x2 - x0) - (x1 - x0) * (y2 - y0)) / 2
    return triangle + (x1 - x0) * (y1 - y0) * area_without_switch(asymmetry)


def area(curve: np.ndarray) -> float:
    return float(signed_areas(curve[None])[0])


@pytest.mark.parametrize("asymmetry", [0.15, 0.5, 1.0, 1.3, 4.0])
@pytest.mark.parametrize("switch", [-4.0, 12.0])
def test_the_closed_form_of_eq_1_is_what_the_integrator_finds(
    asymmetry: float, switch: float
) -> None:
    simulated = simulate_eq1(TIMES, START, biased=(1, 0), asymmetry=asymmetry, switch=switch)
    solved = eq1(TIMES, START, biased=(1, 0), asymmetry=asymmetry, switch=switch)
    np.testing.assert_allclose(solved, simulated, atol=2e-9)


def test_the_closed_form_of_eq_2_is_what_the_integrator_finds() -> None:
    for percent in (0.0, 40.0, 100.0):
        simulated = simulate_eq2(TIMES, START, percent=percent)
        np.testing.assert_allclose(eq2(TIMES, START, percent=percent), simulated, atol=1e-9)
        np.testing.assert_allclose(simulated[-1], (1 - percent / 100, 1), atol=1e-9)


def test_trajectories_go_down_the_gradient_of_the_energy() -> None:
    """Central differences of z in time against central differences of L in z."""
    h, t = 1e-4, 3.0
    nudges = h * np.eye(2)
    around = np.array([0, t - h, t, t + h])
    first = simulate_eq1(around, START, biased=(0, 1), asymmetry=1.6, switch=4.0)
    d = moving_target([t], (0, 1), (1, 1), 4.0)[0]
    slope = energy_eq1(first[2] + nudges, d, 1.6) - energy_eq1(first[2] - nudges, d, 1.6)
    np.testing.assert_allclose((first[3] - first[1]) / (2 * h), -slope / (2 * h), atol=1e-6)

    second = simulate_eq2(around[:3] / 10, START, percent=60.0)
    velocity = (second[2] - second[1]) / (h / 10)
    middle = second[1:].mean(0)
    slope = energy_eq2(middle + nudges, 60.0) - energy_eq2(middle - nudges, 60.0)
    np.testing.assert_allclose(velocity, -slope / (2 * h), atol=1e-6)


def test_the_target_is_half_way_at_the_switch() -> None:
    d = moving_target([-40, 5, 50], (1, 0), (1, 1), 5.0)
    np.testing.assert_allclose(d, [[1, 0], [1, 0.5], [1, 1]], atol=1e-15)


def test_follow_at_rate_one_and_at_large_rates() -> None:
    t = np.linspace(-8, 30, 77)
    np.testing.assert_allclose(follow(t, 1.0), 1 - np.exp(-t) * np.logaddexp(0, t), atol=1e-12)
    np.testing.assert_allclose(follow(t, 50.0), 1 / (1 + np.exp(-t)), atol=7e-3)
    np.testing.assert_allclose(follow(t, 0.7499999), follow(t, 0.75), atol=1e-6)
    for near in (1e-8, 1e-13, -1e-13):
        np.testing.assert_allclose(follow(t, 1 + near), follow(t, 1.0), atol=2e-8)


def test_limit_without_a_difference_of_signals_is_a_straight_line() -> None:
    """No bias and a = 1: z = target + (start - target) exp(-t)."""
    simulated = simulate_eq1(TIMES, START, biased=(1, 1), asymmetry=1.0, switch=6.0)
    expected = 1 + (np.array(START) - 1) * np.exp(-TIMES)[:, None]
    np.testing.assert_allclose(simulated, expected, atol=1e-9)
    assert abs(area(simulated)) < 1e-9


@pytest.mark.parametrize("asymmetry", [0.6, 1.0, 1.7])
def test_limit_of_a_switch_long_ago(asymmetry: float) -> None:
    """Then 1 - z2 = (1 - z1) ** a**2 from (0, 0) on, with a known area."""
    times = np.linspace(0, 40, 4001)
    curve = simulate_eq1(times, (0, 0), biased=(1, 0), asymmetry=asymmetry, switch=-60.0)
    early = curve[:200]
    np.testing.assert_allclose(1 - early[:, 1], (1 - early[:, 0]) ** asymmetry**2, atol=1e-8)
    assert area(curve) == pytest.approx(area_without_switch(asymmetry), abs=2e-4)
    assert np.sign(area_without_switch(asymmetry)) == np.sign(asymmetry - 1)


@pytest.mark.parametrize(("corner", "sense"), [((1, 0), -1), ((0, 1), 1)])
@pytest.mark.parametrize("asymmetry", [0.7, 1.4])
def test_limit_of_a_late_switch(corner: tuple[int, int], sense: int, asymmetry: float) -> None:
    """Two stages: relaxation to the biased corner, then the slow concept follows on its own."""
    times, switch = np.linspace(0, 90, 3601), 50.0
    curve = simulate_eq1(times, START, biased=corner, asymmetry=asymmetry, switch=switch)
    k = np.array([1 / asymmetry, asymmetry])
    moving = corner.index(0)
    early = times < 15
    relaxed = np.array(corner) + (np.array(START) - corner) * np.exp(-np.outer(times, k))
    np.testing.assert_allclose(curve[early], relaxed[early], atol=1e-9)
    late = times > switch - 5
    np.testing.assert_allclose(curve[late, 1 - moving], 1, atol=1e-9)
    np.testing.assert_allclose(
        curve[late, moving], follow(times[late] - switch, k[moving]), atol=1e-8
    )
    assert area(curve) == pytest.approx(
        area_of_late_switch(START, corner, (1, 1), asymmetry), abs=1e-5
    )
    assert np.sign(area(curve)) == sense


def test_swapping_the_concepts_flips_the_sense_of_rotation() -> None:
    one = simulate_eq1(TIMES, START, biased=(1, 0), asymmetry=0.6, switch=5.0)
    other = simulate_eq1(TIMES, START[::-1], biased=(0, 1), asymmetry=1 / 0.6, switch=5.0)
    np.testing.assert_allclose(one, other[:, ::-1], atol=1e-9)
    seeds = one + 0.001 * np.random.default_rng(0).standard_normal((4, *one.shape))
    turned, swapped = sense_of_rotation(seeds), sense_of_rotation(seeds[..., ::-1])
    assert (turned.sense, swapped.sense) == ("counterclockwise", "clockwise")
    assert swapped.area == pytest.approx(-turned.area)
    assert swapped.interval == pytest.approx((-turned.interval[1], -turned.interval[0]))


def test_a_sense_of_rotation_needs_seeds_that_agree() -> None:
    one = simulate_eq1(TIMES, (0, 0), biased=(1, 0), switch=5.0)
    disagreeing = sense_of_rotation(np.stack([one, one[:, ::-1], one]))
    assert disagreeing.sense == "undecided"
    assert disagreeing.interval[0] < 0 < disagreeing.interval[1]
    single = sense_of_rotation(one)
    assert single.sense == "undecided"
    assert single.area < 0
    assert np.isnan(single.interval).all()


def test_eq_2_moves_the_end_in_proportion() -> None:
    np.testing.assert_allclose(end_eq2(50.0), (0.5, 1))
    np.testing.assert_allclose(end_eq2(30.0, slope=0.02), (0.4, 1))
    fan = [simulate_eq2(TIMES, (0.5, 0), percent=p) for p in (0.0, 50.0, 100.0)]
    assert all(abs(area(line)) < 1e-9 for line in fan)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: simulate_eq1([0, 0], START, biased=(1, 0)), "times that increase"),
        (lambda: simulate_eq2([0, 1], (0, 0, 0), percent=5.0), "two finite coordinates"),
        (lambda: eq1(TIMES, START, biased=(1, 0), asymmetry=0.0), "between 0.02 and 50"),
        (lambda: sense_of_rotation(np.zeros((5, 3))), "checkpoints, 2"),
        (lambda: sense_of_rotation(np.full((5, 2), np.nan)), "finite coordinates"),
    ],
)
def test_bad_input_is_refused(call: Callable[[], object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        call()
