"""What the figures of the theory draw."""

from __future__ import annotations

import numpy as np

from conceptspace.analysis.theory import eq1
from conceptspace.analysis.theory_fit import fit_eq1
from conceptspace.analysis.trajectories import Paths
from conceptspace.paper.fig05.drawing import theory_fits


def planted(seeds: int) -> Paths:
    steps = 100.0 * np.arange(1, 21)
    curve = eq1(steps / 120, (0.3, 0.3), biased=(1, 0), asymmetry=0.6, switch=7.0)
    noise = 0.02 * np.random.default_rng(0).standard_normal((seeds, 20, 2))
    names = ("color", "size")
    return Paths(tuple(range(seeds)), steps, names, curve + noise, np.full((seeds, 20), 32.0))


def test_fits_are_drawn_with_the_measured_points() -> None:
    found = fit_eq1(planted(2))
    figure = theory_fits({"two seeds": found, "again": found}, ("color", "size"))
    first = figure.axes[1]
    assert first.get_title("left") == f"two seeds\nΔAICc {found.margin:+.0f}, 2 seeds"
    assert first.get_xlabel() == "color (coordinate)"
    np.testing.assert_allclose(first.collections[0].get_offsets(), found.observed[0])
    segments = first.collections[1].get_segments()
    np.testing.assert_allclose([s[0] for s in segments], found.theory.curves[0][:-1])
