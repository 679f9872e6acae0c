"""What a world of one's own gives is refused once, in one sentence, before it is trained on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from conceptspace.errors import UserError
from conceptspace.experiment import parts
from conceptspace.judges.probe import Probe, ProbeSettings, load_or_train
from conceptspace.recording.evaluate import Evaluator, Sampling
from conceptspace.recording.scoring import Scorer
from conceptspace.worlds import border
from conceptspace.worlds.conditioning import Conditioning
from conceptspace.worlds.dataset import split_dataset
from conceptspace.worlds.pixels import range_hint
from conceptspace.worlds.shapes.world import COLUMNS
from own_world import HUE, LIGHT, OwnWorld
from tiny import tiny_config, tiny_world

NAN = float("nan")


def refused(error: pytest.ExceptionInfo[UserError]) -> str:
    text = str(error.value)
    assert "\n" not in text
    assert len(text) < 250
    return text


def changed(method: str, change: Callable[[Any], Any]) -> OwnWorld:
    """The own world, one of whose methods gives something else."""
    world = OwnWorld()
    before = getattr(world, method)
    setattr(world, method, lambda *given: change(before(*given)))
    return world


def split(world: OwnWorld) -> Any:
    return split_dataset(
        world,
        Conditioning(world.space.names, world.columns),
        images_per_class=6,
        validation_share=0.5,
        seed=0,
    )


def images(change: Callable[[Tensor], Any]) -> Callable[[Any], Any]:
    return lambda given: (change(given[0]), given[1])


def second(change: Callable[[Tensor], Any]) -> Callable[[Any], Any]:
    return lambda given: (given[0], change(given[1]))


def with_nan(values: Tensor) -> Tensor:
    values = values.clone()
    values.view(-1)[3] = NAN
    return values


IMAGES = [
    (
        lambda x: x * 255,
        r"pixels reach from .* to \d{3}\.?\d*, not \[0, 1\] \(divide bytes by 255\)",
    ),
    (lambda x: x * 2 - 1, r"pixels reach from -0.* \(take \(x \+ 1\) / 2\)"),
    (lambda x: (x * 255).byte(), "not uint8 of shape"),
    (with_nan, "NaN or infinite"),
    (lambda x: x / 0, "NaN or infinite"),
    (lambda x: x[:-1], r"shape \(\d+, 3, 8, 8\), not float32 of shape"),
    (lambda x: x[:, :1], r"not float32 of shape \(\d+, 1, 8, 8\)"),
    (lambda x: torch.cat([x, x[:, :1]], 1), r"not float32 of shape \(\d+, 4, 8, 8\)"),
    (lambda x: x.permute(0, 2, 3, 1), r"not float32 of shape \(\d+, 8, 8, 3\)"),
    (lambda x: x[..., :-1], r"not float32 of shape \(\d+, 3, 8, 7\)"),
    (lambda x: x.numpy(), "not ndarray"),
]
VECTORS = [
    (with_nan, "concept vectors are NaN"),
    (lambda z: z[:, :1], r"shape \(6, 2\), not float32 of shape \(6, 1\)"),
    (lambda z: z[:-1], r"not float32 of shape \(5, 2\)"),
    (lambda z: z.long(), "not int64"),
    (lambda z: z.tolist(), "not list"),
]


@pytest.mark.parametrize(("change", "message"), IMAGES)
def test_drawn_images(change, message):
    with pytest.raises(UserError, match=message) as error:
        split(changed("draw", images(change)))
    assert refused(error).startswith("OwnWorld.draw, class 00: ")


@pytest.mark.parametrize(("change", "message"), VECTORS)
def test_drawn_vectors(change, message):
    with pytest.raises(UserError, match=message) as error:
        split(changed("draw", second(change)))
    assert refused(error).startswith("OwnWorld.draw, class 00: ")


def test_what_is_no_pair():
    with pytest.raises(UserError, match=r"a pair \(images, z\) belongs there, not float32"):
        split(changed("draw", lambda given: given[0]))


TINY = ProbeSettings(channels=(8,), features=8, images_per_class=8, held_out_per_class=8, steps=1)


@pytest.mark.parametrize(
    ("change", "message"),
    [(images(change), message) for change, message in IMAGES]
    + [
        (second(lambda b: b.float()), "labels are whole numbers"),
        (second(lambda b: b + 1), "labels of hue are 0 to 1, and 1 to 2 are there"),
        (second(lambda b: b[:, :1]), r"shape \(images, 2\), not int64 of shape \(32, 1\)"),
        (
            second(lambda b: b[:-1]),
            r"images in \[0, 1\] are floating-point tensors of shape \(31, ",
        ),
        (second(lambda b: b * 0), "there is no image of hue 'warm'"),
    ],
)
def test_labelled_images(tmp_path: Path, change, message):
    world = changed("labelled", change)
    with pytest.raises(UserError, match=message) as error:
        load_or_train(world, TINY, torch.device("cpu"), tmp_path)
    assert refused(error).startswith("OwnWorld.labelled, 'train': ")


def prompts(world: OwnWorld, concept_class: str) -> Tensor:
    conditioning = Conditioning(world.space.names, world.columns)
    scorer = Scorer(Probe(world.space.names, TINY))
    return Evaluator(world, conditioning, scorer, Sampling(6, 2), 0).prompts(concept_class)


@pytest.mark.parametrize(("change", "message"), VECTORS)
def test_prompts_of_training_classes(change, message):
    with pytest.raises(UserError, match=message) as error:
        prompts(changed("sample", change), "01")
    assert refused(error).startswith("OwnWorld.sample, class 01: ")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda z: z * NAN, "NaN or infinite"),
        (lambda z: z[:1], r"shape \(1, 2\), not float32 of shape \(1, 1\)"),
        (lambda z: z[None, None], r"a vector \(2,\) belongs there"),
        (lambda z: z.long(), "not int64"),
    ],
)
def test_prompts_of_held_out_classes(change, message):
    with pytest.raises(UserError, match=message) as error:
        prompts(changed("class_mean", change), "11")
    assert refused(error).startswith("OwnWorld.class_mean, class 11: ")


@pytest.mark.parametrize(
    ("change", "message"),
    [(lambda x: x * 255, "divide bytes"), (lambda x: x[None], r"an image \(3, 8, 8\) belongs")],
)
def test_pictures(change, message):
    with pytest.raises(UserError, match=message) as error:
        border.picture(changed("picture", change), "11")
    refused(error)


def test_a_conditioning_for_another_world_is_refused():
    """With as many numbers as the shapes world, color would be looked for where hue stands."""
    world = OwnWorld()
    world.columns = {"hue": slice(0, 1), "light": slice(1, 11)}
    where = {"hue": slice(0, 1), "light": slice(1, 2)}
    for conditioning in (Conditioning(("light",), where), Conditioning(("color",))):
        with pytest.raises(UserError, match=r"use Conditioning\(variables, world.columns\)"):
            split_dataset(
                world, conditioning, images_per_class=4, validation_share=0.5, seed=0
            )  # fmt: skip


@pytest.mark.parametrize("width", [2, 12])
def test_vectors_of_another_length_are_refused(width):
    with pytest.raises(UserError, match=rf"z has {width} numbers, and the conditioning 11"):
        Conditioning(("color",))(torch.zeros(4, width))


def test_a_variable_without_a_place_is_refused():
    with pytest.raises(UserError, match=r"'hue' has no place .* it has shape, x"):
        Conditioning(("hue",)).visible()


def test_doubles_are_taken_in_the_precision_of_the_model():
    train, _ = split(changed("draw", images(lambda x: x.double())))
    assert train.images.dtype == torch.float32


def test_an_own_world_that_is_right_passes_as_it_is():
    world = OwnWorld((HUE, LIGHT))
    train, validation = split(world)
    assert (len(train), len(validation)) == (9, 9)
    assert prompts(world, "11").tolist() == [world.class_mean("11").tolist()] * 6
    assert border.picture(world, "00").shape == (3, 8, 8)


def test_built_in_data_keep_their_bytes():
    """The checks hand on the very tensors."""
    config = tiny_config()
    world = tiny_world()
    drawn = world.draw("00", 5, torch.Generator().manual_seed(0))
    found = border.draw(world, "00", 5, torch.Generator().manual_seed(0))
    for before, after in zip(drawn, found, strict=True):
        assert torch.equal(before, after)
    assert parts.conditioning(config.data).columns == COLUMNS


@pytest.mark.parametrize(
    ("low", "high", "hint"),
    [
        (-0.014, 1.0, "cut off what lies a little beyond"),
        (-1.0, 1.0, "take"),
        (0.0, 255.0, "divide bytes by 255"),
        (0.0, 16.0, "divide by the largest value"),
        (0.0, 4095.0, "divide by the largest value"),
        (-300.0, 20.0, ""),
    ],
)
def test_what_pixels_out_of_range_may_be(low: float, high: float, hint: str):
    assert hint in range_hint(low, high)
    assert bool(hint) == bool(range_hint(low, high))
