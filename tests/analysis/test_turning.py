"""False alarms and power of the turn detector, and what it reports about planted turns."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom
from tables import trajectory

from conceptspace.analysis.calibration import (
    agreement_of_sign,
    autocorrelation,
    nearest,
    p_value,
    wander,
)
from conceptspace.analysis.turning import (
    _losses,
    detect_turn,
    find_turn,
    signed_areas,
    standard_errors,
)
from conceptspace.analysis.turning_power import (
    SEVERAL,
    SINGLE,
    STRAIGHT,
    PlantedNoise,
    path,
    trials,
)
from conceptspace.errors import UserError


def test_at_most_five_percent_false_alarms() -> None:
    """Sampling noise and wander, three speeds, one and several seeds.

    With a true rate of 5 % the count exceeds the 99.9 % quantile of its binomial distribution once
    in a thousand such tests: at most 23 of 225 may be reported.
    """
    alarms = [
        turn.detected
        for seeds, noise in ((1, SINGLE[0]), (1, SINGLE[2]), (4, SEVERAL[2]))
        for kind in STRAIGHT
        for turn in trials(kind, 20, seeds, noise, 25, seed=3)
    ]
    assert len(alarms) == 225
    assert sum(alarms) <= binom.ppf(0.999, 225, 0.05) == 23


@pytest.mark.parametrize(("seeds", "noise"), [(1, SINGLE[2]), (5, SEVERAL[0])])
def test_planted_right_angles_are_found(seeds: int, noise: PlantedNoise) -> None:
    turns = trials("90° turn", 24, seeds, noise, 30, seed=4)
    found = [turn for turn in turns if turn.detected]
    assert len(found) >= 0.7 * len(turns)
    assert np.median([turn.angle for turn in found]) == pytest.approx(90, abs=10)
    assert np.median([turn.step for turn in found]) == pytest.approx(0.3 * 23, abs=1.5)


def test_a_clear_turn_is_described() -> None:
    steps = 100 * np.arange(1, 21)
    points = path("90° turn", 20) + 0.01 * np.random.default_rng(0).standard_normal((20, 2))
    turn = detect_turn(steps, points, 1000)
    assert turn.detected
    assert turn.p_value < 0.02
    assert turn.step in (600, 700, 800)
    assert turn.step_interval[0] <= turn.step <= turn.step_interval[1]
    assert turn.angle_interval[0] <= 90 <= turn.angle_interval[1]
    assert turn.angle == pytest.approx(90, abs=8)
    assert turn.corner == pytest.approx((0.2, 0.6), abs=0.05)
    assert turn.seeds == 1


def test_an_exactly_straight_path_has_no_turn() -> None:
    assert not detect_turn(np.arange(20), path("slowing down", 20), 50).detected
    assert not detect_turn(np.arange(20), np.full((20, 2), 0.5), 50).detected


def test_an_unknown_number_of_samples_makes_no_turn_of_a_straight_path() -> None:
    steps = 100.0 * np.arange(1, 21)
    rng = np.random.default_rng(0)
    found = 0
    for _ in range(20):
        points = np.linspace(0.1, 0.9, 20)[:, None] + rng.normal(0, 0.02, (20, 2))
        found += detect_turn(steps, points, 0, simulations=100).detected
        assert detect_turn(steps, points, 0, simulations=50) == detect_turn(
            steps, points, 100, simulations=50
        )
    assert found <= 3


def test_three_concepts() -> None:
    bent = path("120° turn", 24)
    bent = np.concatenate([bent, 0.5 * bent[:, :1]], axis=1)
    time = np.linspace(0.1, 0.9, 24)[:, None]
    straight = np.repeat(time, 3, axis=1)
    rng = np.random.default_rng(0)
    for points, expected in ((bent, True), (straight, False)):
        seeds = points + 0.03 * rng.standard_normal((4, 24, 3))
        assert detect_turn(np.arange(24), seeds, 48).detected is expected


def test_seeds_that_turn_to_opposite_sides_do_not_agree() -> None:
    rng = np.random.default_rng(1)
    curve = path("90° turn", 24)
    mirrored = np.stack([0.8 - curve[:, 1], 0.8 - curve[:, 0]], axis=1)
    seeds = np.stack([curve, curve, curve, mirrored]) + 0.02 * rng.standard_normal((4, 24, 2))
    assert signed_areas(seeds)[0] * signed_areas(seeds)[3] < 0
    assert not detect_turn(np.arange(24), seeds, 48).detected


def test_signed_areas_by_hand() -> None:
    clockwise, other = [[0, 0], [0, 1], [1, 1]], [[0, 0], [1, 0], [1, 1]]
    slow = [[0, 0], [0, 0.2], [0, 1], [1, 1], [1, 1]]
    np.testing.assert_allclose(signed_areas(np.array([clockwise, other], float)), [0.5, -0.5])
    np.testing.assert_allclose(signed_areas(np.array([slow], float)), [0.5])


def test_losses_match_a_direct_fit() -> None:
    points = np.random.default_rng(0).uniform(size=(9, 3))

    def off(part: np.ndarray) -> float:
        return float((np.linalg.svd(part - part.mean(0))[1][1:] ** 2).sum())

    straight, bent = _losses(points)
    assert straight == pytest.approx(off(points))
    assert bent[4] == pytest.approx(off(points[:5]) + off(points[4:]))
    np.testing.assert_allclose(
        _losses(points[:, :2])[1][2],
        sum(
            np.linalg.svd(part - part.mean(0))[1][1] ** 2
            for part in (points[:3, :2], points[2:, :2])
        ),
    )


def test_standard_errors() -> None:
    even = np.full((1, 4, 2), 0.5)
    np.testing.assert_allclose(standard_errors(even, 100), 0.05)
    certain = standard_errors(np.ones((1, 4, 2)), 100)
    assert (certain > 0).all()
    apart = np.stack([np.full((4, 2), 0.2), np.full((4, 2), 0.8)])
    np.testing.assert_allclose(standard_errors(apart, 10**6), 0.3, rtol=1e-3)


def test_calibration_pieces() -> None:
    noise = wander(400, np.full((30, 2), 0.1), np.random.default_rng(0))
    assert noise.shape == (400, 30, 2)
    assert noise.std() == pytest.approx(0.1, rel=0.05)
    alternating = np.array([1.0, -1.0] * 10)[:, None]
    assert autocorrelation(alternating)[0] == pytest.approx(-19 / 20)
    assert (autocorrelation(np.zeros((20, 1))) == 0).all()
    summaries = np.arange(10.0)[:, None] * [1, 1]
    assert set(nearest(np.array([3.0, 3.0]), summaries)) == {3, 2} or set(
        nearest(np.array([3.0, 3.0]), summaries)
    ) == {3, 4}
    assert p_value(1.0, np.array([0.0, 1.0, 2.0])) == 3 / 4
    assert agreement_of_sign(np.array([1.0, 1.0, 1.0])) < 1e-6
    assert agreement_of_sign(np.array([1.0, -1.0])) == pytest.approx(1)


def test_from_a_table_and_reproducible() -> None:
    points = np.clip(path("120° turn", 20)[None] + np.zeros((2, 1, 1)), 0, 1)
    table = trajectory(points, list(range(100, 2100, 100)))
    first, second = find_turn(table, "11"), find_turn(table, "11")
    assert first == second
    assert first.detected
    assert first.seeds == 2


@pytest.mark.parametrize(
    ("steps", "points"),
    [
        (np.arange(5), np.zeros((5, 2))),
        (np.arange(8), np.zeros((8, 1))),
        (np.arange(8), np.full((8, 2), np.nan)),
        (np.zeros(8), np.zeros((8, 2))),
        (np.arange(7), np.zeros((8, 2))),
    ],
)
def test_unusable_trajectories_are_refused(steps: np.ndarray, points: np.ndarray) -> None:
    with pytest.raises(UserError):
        detect_turn(steps, points, 48)
