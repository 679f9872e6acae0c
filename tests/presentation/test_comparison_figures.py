"""Figures that compare conditions: guidance weights, masked shares, settings, and Fig. 12."""

from __future__ import annotations

import pandas as pd
import pytest
from fabricated import make_images, make_space, make_table, make_training
from matplotlib.text import Text

from conceptspace.analysis.underspecification import underspecification
from conceptspace.errors import UserError
from conceptspace.presentation.figures import (
    conditions_figure,
    guidance_figure,
    story_figure,
    underspecification_figure,
)
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
    assert "mean of 1 to 2 runs" in text
    with pytest.raises(UserError, match="two concepts"):
        conditions_figure(tables, make_space(1), {}, label="x")


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
    assert "Arrow: not reached by then." in text
    single = {0.0: runs(900, 1), 0.5: runs(1200, 1)}
    text = words(underspecification_figure(underspecification(single, "11", "size")))
    assert "Arrow" not in text
    assert "interval" not in text


def test_the_story_needs_a_log_and_two_concepts(space):
    table, log = runs(1500), [make_training(0, 300)]
    text = words(story_figure(table, log, space, {}, turn=900, band=(800, 1000), title="t"))
    assert "a loss" in text
    assert "c trajectory in concept space" in text
    assert "Star: turn, step 900." in text
    with pytest.raises(UserError):
        story_figure(table, [], space, {})
