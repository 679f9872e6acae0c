"""Speed, fan, shares and cube: what is drawn is what was given."""

from __future__ import annotations

import json
import re
from math import inf

import numpy as np
import pandas as pd
import pytest
from fabricated import make_images, make_space, make_table
from matplotlib.text import Annotation, Text

from conceptspace.analysis.emergence import Emergence
from conceptspace.analysis.theory_fit import fit_eq2
from conceptspace.analysis.trajectories import Paths
from conceptspace.errors import UserError
from conceptspace.paper.fig03.drawing import SpeedPanel, speed_figure
from conceptspace.paper.fig09a.drawing import shares_figure
from conceptspace.paper.fig09b.drawing import fan_figure
from conceptspace.paper.fig15.cubes import cube_page
from conceptspace.paper.fig15.drawing import Case, mean_paths, sides_figure
from conceptspace.presentation.series import series
from conceptspace.tables import NAIVE


def words(figure) -> str:
    return " ".join(" ".join(text.get_text() for text in figure.findobj(Text)).split())


def at(step: float) -> Emergence:
    return Emergence(0, step - 100.0, step, 2400.0)


def test_speed_is_drawn_at_the_signal_with_coincident_runs_counted() -> None:
    never = Emergence(2, 2400.0, inf, 2400.0)
    panel = SpeedPanel(
        [0.01, 0.03], [[at(1000.0), at(2000.0), never], [at(500.0)] * 3], ["0.3", "0.6"]
    )
    rows = {"accuracy of {} alone": {"color": panel}, "joint accuracy": {"color": panel}}
    figure = speed_figure(rows)
    assert [axes.get_title(loc="left") for axes in figure.axes] == [
        "a  accuracy of color alone",
        "b  joint accuracy",
    ]
    axes = figure.axes[0]
    rings = [line for line in axes.lines if line.get_marker() == "o"]
    places = [(line.get_xdata()[0], line.get_ydata()[0]) for line in rings]
    assert places == [(0.01, 0.5), (0.01, 1.0), (0.03, 2.0)]
    assert "3" in [text.get_text() for text in axes.texts]
    arrows = [text for text in axes.texts if isinstance(text, Annotation)]
    assert [(a.get_text(), a.xy) for a in arrows] == [("1", (0.01, 1000 / 2400))]
    assert [t.get_text() for t in axes.get_xticklabels()] == ["0.01\n(0.3)", "0.03\n(0.6)"]
    medians = [line for line in axes.lines if line.get_marker() == "None"]
    assert medians[0].get_ydata().tolist() == [0.5, 2.0]
    assert "not reached" in words(figure)


def test_three_concepts_are_shown_from_three_sides() -> None:
    space = make_space(3)
    tables = [make_table(space, seed, f"run-{seed}", {NAIVE: {"": 2900.0}}) for seed in (0, 1)]
    case = Case(pd.concat(tables), space, make_images(space))
    figure = sides_figure({"one": case, "two": case}, subtitle="found")
    panels = [axes for axes in figure.axes if axes.texts]
    assert len(panels) == 2 * 3
    for axes, pair in zip(panels, [(0, 1), (0, 2), (1, 2)] * 2, strict=True):
        drawn = [np.asarray(c.get_offsets()) for c in axes.collections]
        for name in map(str, space.classes):
            found = [series(case.table, name, space.names[i], "coordinate").mean for i in pair]
            assert any(np.array_equal(d, np.stack(found, axis=1)) for d in drawn)
    assert "two, 2 seeds" in words(figure)
    assert "found" in words(figure)
    with pytest.raises(UserError, match="three concepts, not 2"):
        sides_figure({"two": Case(case.table, make_space(2), {})})


def test_the_page_of_the_cube_holds_the_curves_and_loads_nothing() -> None:
    space = make_space(3)
    table = make_table(space, 0, "run", {NAIVE: {"": 2900.0}})
    page = cube_page({"<b>one": (table, space)}, title="A & B")
    assert "<title>A &amp; B</title>" in page
    assert "http" not in page
    data = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert data is not None
    assert "<" not in data.group(1)
    (case,) = json.loads(data.group(1))
    assert case["name"] == "<b>one"
    assert case["axes"][0] == "color: red → blue"
    assert case["steps"] == series(table, "000", "color", "coordinate").steps.tolist()
    expected = mean_paths(table, space)
    assert [c["name"] for c in case["classes"]] == list(expected)
    for entry in case["classes"]:
        assert np.allclose(entry["points"], expected[entry["name"]], atol=1e-4)
        assert entry["ood"] == (entry["name"] in space.ood_classes)


def test_shares_show_evenly_picked_images() -> None:
    images = np.arange(24, dtype=np.uint8)[:, None, None, None] * np.ones((1, 4, 4, 3), np.uint8)
    figure = shares_figure(
        {"0 %": {0: images[:12], 1: images[12:]}, "50 %": {0: images[:6]}}, label="x"
    )
    shown = [int(axes.images[0].get_array()[0, 0, 0]) for axes in figure.axes]
    assert shown[:6] == [0, 5, 9, 14, 18, 23]
    assert shown[6:] == [0, 1, 2, 3, 4, 5]
    assert figure.axes[0].get_ylabel() == "0 %\n2 seeds"
    assert figure.axes[6].get_ylabel() == "50 %\n1 seed"
    assert "6 of 6 to 24 kept images" in words(figure)


def test_the_fan_shows_measured_and_fitted_curves_of_every_share() -> None:
    steps = np.linspace(100, 2400, 12)
    away = 1 - np.exp(-(steps - 100) / 500)[:, None]
    found = {
        percent: Paths(
            (0, 1),
            steps,
            ("color", "shape"),
            np.stack([0.2 + (np.array([1 - percent / 100, 1.0]) - 0.2) * away] * 2),
            np.full((2, 12), 24.0),
        )
        for percent in (0.0, 50.0, 100.0)
    }
    fitted = fit_eq2(found, 0, "11")
    left, right = fan_figure(fitted, (0.0, 50.0, 100.0), ("color", "shape")).axes[1:]
    for axes, wanted in ((left, fitted.observed), (right, fitted.theory.curves)):
        lines = [line for line in axes.lines if len(line.get_xdata()) == 12]
        drawn = [np.stack(line.get_data(), axis=1) for line in lines]
        assert all(np.allclose(a, b) for a, b in zip(drawn, wanted, strict=True))
    assert "a  measured, 2 seeds" in left.get_title(loc="left")
    assert "s = 0.0100" in right.get_title(loc="left")
