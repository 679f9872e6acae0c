"""Directions of attributes, which no renderer shows: by the rules that shapes have, too."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from conceptspace.config import RunConfig
from conceptspace.errors import UserError
from conceptspace.experiment import parts
from conceptspace.models.generative import EditableCondition
from conceptspace.protocols import registry
from conceptspace.protocols.controls import MatchedControl
from conceptspace.protocols.intervention import LatentIntervention
from conceptspace.protocols.registry import Context
from conceptspace.protocols.scaling import EmbeddingScaling
from tiny import tiny_config


def faces_config(**changes: object) -> RunConfig:
    return tiny_config(data__kind="drawn-faces", data__images_per_class=20, **changes)


@pytest.fixture(scope="module")
def run() -> Context:
    return parts.context(faces_config(evaluate__alphas=(1.0,), evaluate__betas=(0.5,)))


class Plain(EditableCondition):
    """A model with one block, whose condition embedding is the prompt itself."""

    def embed_condition(self, h: Tensor) -> list[Tensor]:
        return [h]


def intervention(run: Context, **named: str) -> LatentIntervention:
    config = faces_config(
        evaluate__alphas=(1.0,),
        evaluate__betas=(0.5,),
        **{f"protocols__latent-intervention__{name}": value for name, value in named.items()},
    )
    made = registry.make("latent-intervention", replace(run, config=config))
    assert isinstance(made, LatentIntervention)
    return made


def directions(made: LatentIntervention, prompt: Tensor) -> Tensor:
    """The edited embedding of a prompt."""
    (edit,) = made.edits("11").values()
    return edit(Plain(), [prompt[None]])[0][0]


def test_a_direction_is_a_prompt_that_shows_one_exaggerated_value_and_nothing_else(
    run: Context,
) -> None:
    """One rule: 0.45 from the center. Of colors it gives (.05, .05, .95), of codes (.05, .95)."""
    made = intervention(run)
    assert (made.add, made.remove) == ("Not_Male", "Smiling")
    asked = torch.tensor([0.0, 1.0, 0.0, 1.0])
    plus, minus = torch.tensor([0.05, 0.95, 0, 0]), torch.tensor([0, 0, 0.95, 0.05])

    def projected(e: Tensor, on: Tensor) -> Tensor:
        return (e @ on) / (on @ on) * on

    first = asked + projected(asked, plus)
    expected = first - 0.5 * projected(first, minus)
    torch.testing.assert_close(directions(made, asked), expected)
    shapes = parts.context(tiny_config())
    colors = registry.make("latent-intervention", shapes)
    assert isinstance(colors, LatentIntervention)
    blue = colors._prompt("color", 1)[0]
    assert blue[shapes.world.columns["color"]].tolist() == pytest.approx([0.05, 0.05, 0.95])
    assert blue.count_nonzero() == 3


def test_the_config_names_what_is_added_and_removed(run: Context) -> None:
    asked = torch.tensor([0.0, 1.0, 0.0, 1.0])
    turned = intervention(run, add="Smiling", remove="Not_Male")
    assert (turned.add, turned.remove) == ("Smiling", "Not_Male")
    assert not torch.allclose(directions(turned, asked), directions(intervention(run), asked))
    alone = intervention(run, add="Smiling")
    assert (alone.add, alone.remove) == ("Smiling", "Not_Male")


def test_controls_move_as_far_as_what_was_named(run: Context) -> None:
    config = faces_config(**{"protocols__latent-intervention__add": "Smiling"})
    made = registry.make("latent-control-random", replace(run, config=config))
    assert isinstance(made, MatchedControl)
    assert isinstance(made.intervention, LatentIntervention)
    assert (made.intervention.add, made.intervention.remove) == ("Smiling", "Not_Male")


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ({"add": "Smile"}, r"latent-intervention\.add = 'Smile': the concepts are Not_Male"),
        ({"add": "Smiling", "remove": "Smiling"}, "adds and removes Smiling; name two concepts"),
    ],
)
def test_impossible_directions_are_refused(
    run: Context, named: dict[str, str], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        intervention(run, **named)


def test_runs_that_name_nothing_are_stored_as_before() -> None:
    config = faces_config(evaluate__protocols=("latent-intervention", "latent-control-random"))
    assert registry.completed(config) == config
    assert "protocols." not in registry.completed(config).to_toml()
    named = faces_config(
        evaluate__protocols=("latent-intervention",),
        **{"protocols__latent-intervention__add": "Smiling"},
    )
    stored = registry.completed(named).protocols["latent-intervention"]
    assert stored == {"add": "Smiling"}


def test_scaling_makes_every_embedding_longer(run: Context) -> None:
    made = registry.make("embedding-scaling", run)
    assert isinstance(made, EmbeddingScaling)
    assert list(made.settings("11")) == ["strength=1.5", "strength=2", "strength=3"]
    assert not made.settings("10")
    model = parts.model(run.config)
    h = run.world.class_mean("11")[None]
    changed, same = made.settings("11")["strength=2"](model, h)
    assert same is h
    for e, scaled in zip(model.embed_condition(h), changed.embed_condition(h), strict=True):
        torch.testing.assert_close(scaled, 2 * e)


def test_every_protocol_of_the_figure_fits_a_run_of_attributes(run: Context) -> None:
    names = registry.names(run)
    for name in (
        "overprompting-Smiling",
        "embedding-steering-Smiling",
        "embedding-steering-control-Smiling",
        "latent-control-scaling",
    ):
        assert name in names
        assert registry.make(name, run).settings("11")
