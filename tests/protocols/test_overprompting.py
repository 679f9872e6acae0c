"""Prompts beyond the class means: how far, and what is cut."""

from __future__ import annotations

import pytest
import torch
from late_model import STRENGTHS, late_model

from conceptspace.config import EvaluateConfig, RunConfig
from conceptspace.errors import UserError
from conceptspace.experiment import parts
from conceptspace.protocols import registry
from conceptspace.protocols.overprompting import Overprompting
from conceptspace.space import Concept
from conceptspace.worlds.shapes.config import ShapesData
from conceptspace.worlds.shapes.world import COLUMNS, ShapesWorld


def distances(concept: Concept, strengths: tuple[float, ...], bit: int = 1) -> list[list[float]]:
    return [concept.exaggerated(bit, s).tolist() for s in strengths]


def test_strengths_are_the_paper_colors() -> None:
    """At its separation of 0.2, where the class mean (.4, .4, .6) is the first of five."""
    color = parts.world(ShapesData(color_separation=0.2)).space.concepts[0]
    paper = [(0.4, 0.4, 0.6), (0.35, 0.35, 0.65), (0.25, 0.25, 0.75), (0.15, 0.15, 0.85)]
    found = distances(color, (1.0, *STRENGTHS))
    for value, expected in zip(found, [*paper, (0.05, 0.05, 0.95)], strict=True):
        assert value == pytest.approx(expected)
    assert found[0] == color.mean(1).tolist()


def test_strengths_are_multiples_of_the_distance_from_the_center(world: ShapesWorld) -> None:
    color, size = world.space.concepts
    assert color.exaggerated(0, 2.0).tolist() == pytest.approx([0.9, 0.1, 0.1])
    assert size.exaggerated(0, 1.5).item() == pytest.approx(0.75)
    assert size.exaggerated(1, 1.5).item() == pytest.approx(0.15)


def test_prompts_are_cut_at_the_limits_of_their_concept(world: ShapesWorld) -> None:
    color, size = world.space.concepts
    assert color.exaggerated(1, 3.0).tolist() == [0.0, 0.0, 1.0]
    assert size.exaggerated(1, 4.0).item() == pytest.approx(size.limits[0])
    assert size.exaggerated(0, 4.0).item() == pytest.approx(size.limits[1])


def test_one_hot_prompts_are_not_cut() -> None:
    world = parts.world(ShapesData(concepts=("shape", "x")))
    shape, x = world.space.concepts
    assert shape.exaggerated(1, 1.5).tolist() == [-0.25, 1.25]
    assert shape.categorical
    assert not x.categorical
    asked = Overprompting(world, "shape", (1.5, 2.5, 4.5)).settings("11")
    assert list(asked) == ["1.5", "2.5", "4.5"]


def test_prompts_that_the_limits_make_equal_are_asked_once() -> None:
    """With colors 0.4 apart, 2.5 is the limit; with colors 1 apart there is nothing beyond."""
    asked = Overprompting(parts.world(ShapesData()), "color", (3.5, 1.5, 2.5, 4.5)).settings("11")
    assert list(asked) == ["1.5", "2.5"]
    farthest = parts.world(ShapesData(color_separation=1.0, color_spread=0.0))
    assert not Overprompting(farthest, "color", STRENGTHS).settings("11")
    narrow = parts.world(ShapesData(color_separation=0.2))
    assert list(Overprompting(narrow, "color", STRENGTHS).settings("11")) == [
        "1.5",
        "2.5",
        "3.5",
        "4.5",
    ]


def test_a_direction_prompt_stands_on_the_target_side(world: ShapesWorld) -> None:
    color, size = world.space.concepts
    assert color.at_distance(1, 0.45).tolist() == pytest.approx([0.05, 0.05, 0.95])
    assert size.at_distance(0, 0.25).item() == pytest.approx(0.7)
    assert size.at_distance(1, 0.25).item() == pytest.approx(0.2)


def test_overprompting_changes_its_concept_alone(world: ShapesWorld) -> None:
    h = torch.rand(3, 11)
    h[:, COLUMNS["color"]] = world.space.concepts[0].mean(1) + 0.02 * torch.randn(3, 3)
    model = late_model(world, 100)
    same, changed = Overprompting(world, "color", (2.25,)).settings("11")["2.25"](model, h)
    assert same is model
    expected = h.clone()
    expected[:, COLUMNS["color"]] = torch.tensor([0.05, 0.05, 0.95])
    torch.testing.assert_close(changed, expected)


@pytest.mark.parametrize(
    ("prompts", "message"),
    [
        (torch.rand(3, 11) + 5, "they do not show the value 'blue' of 'color' there"),
        (torch.ones(3, 11, dtype=torch.long), r"whole numbers \(int64\); make them floating-point"),
    ],
)
def test_prompts_that_do_not_hold_the_value_are_refused(
    world: ShapesWorld, prompts: torch.Tensor, message: str
) -> None:
    setting = Overprompting(world, "color", (2.25,)).settings("11")["2.25"]
    with pytest.raises(UserError, match=message):
        setting(late_model(world, 100), prompts)


@pytest.mark.parametrize("strengths", [(0.5, 2.0), (1.0,)])
def test_strengths_that_ask_for_less_are_refused(strengths: tuple[float, ...]) -> None:
    weak = RunConfig(evaluate=EvaluateConfig(strengths=strengths))
    with pytest.raises(UserError, match="must all exceed 1, the strength of a naive prompt"):
        registry.make("overprompting-color", parts.context(weak))
    parts.validate(weak)
    asked = weak.model_copy(
        update={"evaluate": EvaluateConfig(strengths=strengths, protocols=("overprompting-size",))}
    )
    with pytest.raises(UserError, match="must all exceed 1"):
        parts.validate(asked)
