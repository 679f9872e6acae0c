"""The judge on images that show nothing valid, half-way between classes, and labelled by eye."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pytest
import torch
from torch import Tensor

from conceptspace.config import merged, nested
from conceptspace.experiment import parts
from conceptspace.judges.judge import Judgement, ShapesJudge
from conceptspace.presets import PRESETS
from conceptspace.worlds.shapes.world import COLUMNS, ShapesWorld

COUNT = 128


def world_of(preset: str = "quick", **data: float) -> ShapesWorld:
    changed = nested({f"data.{name}": value for name, value in data.items()})
    return parts.world(merged(PRESETS[preset](), changed, "test").data)


def source(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def blanks(world: ShapesWorld) -> Tensor:
    """Backgrounds with nothing on them, with and without noise."""
    z = world.sample("11", COUNT, source())
    back = z[:, COLUMNS["background"], None, None].expand(-1, -1, world.resolution, -1)
    image = back.expand(-1, -1, -1, world.resolution)
    noise = (
        torch.randn(image.shape, generator=source())
        * torch.linspace(0, 0.05, COUNT)[:, None, None, None]
    )
    return (image + noise).clamp(0, 1)


def specks(world: ShapesWorld) -> Tensor:
    """Five single pixels of the object's color, scattered."""
    z = world.sample("11", COUNT, source())
    image = z[:, COLUMNS["background"], None, None].repeat(1, 1, world.resolution, world.resolution)
    places = torch.randint(0, world.resolution, (COUNT, 5, 2), generator=source())
    for i in range(COUNT):
        for row, column in places[i]:
            image[i, :, row, column] = z[i, COLUMNS["color"]]
    return image


def doubles(world: ShapesWorld) -> Tensor:
    """Two small objects, apart from each other."""
    z = world.sample("11", COUNT, source())
    first, second = z.clone(), z.clone()
    first[:, 2:4], second[:, 2:4] = -0.45, 0.45
    left, right = world.mask(first)[:, None], world.mask(second)[:, None]
    back, color = z[:, COLUMNS["background"], None, None], z[:, COLUMNS["color"], None, None]
    return back + torch.maximum(left, right) * (color - back)


def blends(world: ShapesWorld) -> Tensor:
    """Objects whose one half is red and whose other half is blue."""
    z = world.sample("11", COUNT, source())
    red = z.clone()
    red[:, COLUMNS["color"]] = world.sample("01", COUNT, source(1))[:, COLUMNS["color"]]
    images = world.render(z)
    beside = world.render(red)
    columns = torch.linspace(-1, 1, world.resolution)
    left = (columns[None] < z[:, COLUMNS["x"]])[:, None, None]
    return torch.where(left, beside, images)


def noise(world: ShapesWorld) -> Tensor:
    shape = (COUNT, 3, world.resolution, world.resolution)
    return torch.rand(shape, generator=source())


@cache
def judged(preset: str, separation: float, make: Callable[[ShapesWorld], Tensor]) -> Judgement:
    """What the judge says of such images, which every class is compared with."""
    world = world_of(preset, color_separation=separation)
    return ShapesJudge(world)(make(world))


@pytest.mark.parametrize("preset", ["quick", "paper"])
@pytest.mark.parametrize("separation", [0.15, 0.4])
@pytest.mark.parametrize("make", [blanks, specks, doubles, blends, noise])
@pytest.mark.parametrize("target", ["00", "01", "10", "11"])
def test_what_is_no_object_is_no_class(preset, separation, make, target):
    judgement = judged(preset, separation, make)
    bits = torch.tensor([int(bit) for bit in target])
    found = torch.where(bits > 0, judgement.coordinates, 1 - judgement.coordinates).prod(1)
    assert (found * judgement.valid).mean() < 0.05


@pytest.mark.parametrize("preset", ["quick", "paper"])
@pytest.mark.parametrize("separation", [0.15, 0.4])
@pytest.mark.parametrize("concept_class", ["00", "01", "10", "11"])
def test_objects_of_a_class_are_that_class(preset, separation, concept_class):
    world = world_of(preset, color_separation=separation)
    images = world.render(world.sample(concept_class, COUNT, source()), source(1))
    judgement = ShapesJudge(world)(images)
    bits = torch.tensor([int(bit) for bit in concept_class])
    found = torch.where(bits > 0, judgement.coordinates, 1 - judgement.coordinates).prod(1)
    assert judgement.valid.float().mean() > 0.95
    assert (found * judgement.valid).mean() > 0.9


@pytest.mark.parametrize("preset", ["quick", "paper"])
@pytest.mark.parametrize(
    ("name", "separation"),
    [*(("color", s) for s in (0.1, 0.2, 0.4, 0.8)), ("size", 0.4)],
)
def test_half_way_between_the_means_is_one_half(preset, name, separation):
    world = world_of(preset, **{f"{name}_separation": separation})
    index = world.space.names.index(name)
    concept = world.space.concepts[index]
    z = world.sample("00", 1024, source())
    z[:, COLUMNS[name]] = torch.lerp(concept.mean(0), concept.mean(1), 0.5)
    judgement = ShapesJudge(world)(world.render(z, source(1)))
    assert judgement.coordinates[:, index].mean().item() == pytest.approx(0.5, abs=0.02)
