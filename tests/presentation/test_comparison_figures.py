"""Figures that compare conditions: guidance weights, masked shares, settings, and Fig. 12."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from fabricated import make_images, make_space, make_table, make_training, make_turn
from matplotlib.text import Text

from conceptspace.analysis.underspecification import underspecification
from conceptspace.errors import UserError
from conceptspace.presentation.figures import (
    conditions_figure,
    guidance_figure,
    story_figure,
    underspecification_figure,
)
from conceptspace.presentation.series import over_runs, series
from conceptspace.presentation.style import pixels
from conceptspace.tables import NAIVE


def words(figure) -> str:
    return " ".join(" ".join(text.get_text() for text in figure.findobj(Text)).split())


def runs(turn: float, count: int = 2) -> pd.DataFrame:
    space = make_space(2)
    parts = [make_table(space, s, f"{turn:g}-{s}", {NAIVE: {"": turn}}) for s in range(count)]
    return pd.concat(parts, ignore_index=True)


def test_guidance_has_a_panel_per_class_and_sorts_weights_as_numbers(space):
    table = make_table(space, 0, "run", {NAIVE: {"": 900.0}, "guidance": {"10": 800.0, "2": 850.0}})
    text = words(guidance_figure(table, space, make_images(space), title="t"))
    assert "class 00: red large (training)" in text
    assert "class 11: blue small (OOD)" in text
    assert text.index("w = 2") < text.index("w = 10")
    assert "mean of" not in text


def test_conditions_show_the_ood_class_and_say_how_many_runs(space):
    tables = {"0.2": runs(900), "0.4": runs(1900, 1)}
    figure = conditions_figure(tables, space, make_images(space), label="color separation")
    text = words(figure)
    assert "color separation" in text
    assert "mean of 1 to 2 runs; thin: each run." in text
    with pytest.raises(UserError, match="two concepts"):
        conditions_figure(tables, make_space(1), {}, label="x")


def test_conditions_show_raw_means_and_every_seed(space):
    tables = {"0.2": runs(900), "0.4": runs(1900)}
    figure = conditions_figure(tables, space, make_images(space), label="color separation")
    axes = figure.axes[-1]
    for table in tables.values():
        pair = [series(table, "11", concept, "coordinate") for concept in space.names]
        offsets = [np.asarray(c.get_offsets()) for c in axes.collections]
        means = np.stack([c.mean for c in pair], axis=1)
        assert any(o.shape == means.shape and np.allclose(o, means) for o in offsets)
        lines = [np.stack(line.get_data()) for line in axes.lines]
        for seed in np.stack([c.runs for c in pair], axis=1):
            assert any(line.shape == seed.shape and np.allclose(line, seed) for line in lines)


def test_the_corners_show_the_classes_of_every_condition(space):
    tables = {"0.2": runs(900, 1), "0.4": runs(1900, 1)}
    own = {name: make_images(space) for name in tables}
    own["0.4"] = {name: 1 - image for name, image in own["0.4"].items()}
    axes = conditions_figure(tables, space, own, label="x").axes[-1]
    assert len(axes.images) == 2 * 4
    drawn = [np.asarray(image.get_array()) for image in axes.images]
    for images in own.values():
        for image in images.values():
            assert any(np.array_equal(pixels(image), other) for other in drawn)
    common = conditions_figure(tables, space, make_images(space), label="x").axes[-1]
    assert len(common.images) == 4


def test_shares_are_drawn_where_they_are_and_missing_runs_counted():
    found = underspecification({0.0: runs(900, 3), 0.5: runs(6000, 3)}, "11", "size")
    ends, steps = underspecification_figure(found).axes
    for axes in (ends, steps):
        places = {x for line in axes.lines if len(line.get_xdata()) == 1 for x in line.get_xdata()}
        assert places <= {0.0, 50.0}, "no run is shifted along the share"
    assert "3" in [text.get_text() for text in steps.texts]
    assert [t.get_text() for t in ends.get_xticklabels()] == ["0 %\nn = 3", "50 %\nn = 3"]
    (low, high), *_ = [c.get_segments()[0][:, 1] for c in ends.collections]
    expected = over_runs(np.array(found.levels[0].ends)[:, None])
    np.testing.assert_allclose((low, high), np.ravel(expected))


def test_conditions_take_three_concepts():
    space = make_space(3)
    table = make_table(space, 0, "run", {NAIVE: {"": 900.0}})
    text = words(conditions_figure({"0.2": table, "0.4": table}, space, {}, label="x"))
    assert "0.2" in text
    assert "0.4" in text


def test_underspecification_marks_runs_that_never_arrive():
    late = {0.0: runs(900), 0.5: runs(6000)}
    text = words(underspecification_figure(underspecification(late, "11", "size"), title="t"))
    assert "size of class 11 at the end" in text
    assert "Arrow: not reached by the end of training" in text
    single = {0.0: runs(900, 1), 0.5: runs(1200, 1)}
    text = words(underspecification_figure(underspecification(single, "11", "size")))
    assert "Arrow" not in text
    assert "interval" not in text


def test_the_story_needs_a_log_and_two_concepts(space):
    table, log = runs(1500), [make_training(0, 300)]
    turn = make_turn(900, 800, 1000)
    text = words(
        story_figure(table, log, space, {}, turn=turn, title="t", subtitle="what was found")
    )
    assert "what was found" in text
    assert "a loss" in text
    assert "c trajectories in concept space" in text
    assert "Star: turn, step 900." in text
    with pytest.raises(UserError):
        story_figure(table, [], space, {})
