from __future__ import annotations

import pytest
import torch

from conceptspace.seeding import generator
from conceptspace.worlds.shapes.readout import AnalyticReadout
from conceptspace.worlds.shapes.world import COLUMNS
from tiny import tiny_world


def renders(world, concept_class, count=16):
    source = generator(5, "held out", concept_class)
    z = world.sample(concept_class, count, source)
    return z, world.render(z, source)


@pytest.fixture(scope="module")
def world():
    return tiny_world(resolution=32)


@pytest.fixture(scope="module")
def readout(world):
    return AnalyticReadout(world)


def test_recovers_the_variables(world, readout):
    for concept_class in world.space.classes:
        z, images = renders(world, concept_class)
        fit = readout(images)
        visible = z[:, 7] >= 0.15
        error = (fit.z - z)[visible].abs()
        assert error[:, COLUMNS["color"]].max() < 0.1
        assert error[:, COLUMNS["size"]].max() < 0.05
        assert error[:, 2:4].max() < 0.1
        assert error[:, COLUMNS["background"]].max() < 0.02
        assert fit.error.max() < 0.1


def test_on_16_pixels_the_class_is_right_and_large_objects_are_exact():
    """Small objects cover too few of these pixels for more than their class."""
    world = tiny_world(resolution=16)
    readout = AnalyticReadout(world)
    for concept_class in world.space.classes:
        z, images = renders(world, concept_class)
        assert readout.accuracy(images, concept_class).mean() == 1
        error = (readout(images).z - z)[z[:, 7] >= 0.25].abs()
        if len(error):
            assert error[:, COLUMNS["color"]].max() < 0.1
            assert error[:, COLUMNS["size"]].max() < 0.1


def test_finds_the_right_class(world, readout):
    right = []
    for concept_class in world.space.classes:
        _, images = renders(world, concept_class, 25)
        right.append(readout.accuracy(images, concept_class))
    assert torch.cat(right).mean() >= 0.99
    _, images = renders(world, "00")
    assert readout.accuracy(images, "11").sum() == 0
    assert readout.accuracy(images, "01").mean(0).tolist() == [1.0, 0.0]


def test_coordinates_follow_the_concept(world, readout):
    z = world.class_mean("00").repeat(5, 1)
    z[:, 4] = torch.linspace(0.7, 0.3, 5)
    z[:, 6] = torch.linspace(0.3, 0.7, 5)
    coordinates = readout.coordinates(world.render(z))
    torch.testing.assert_close(coordinates[:, 0], torch.linspace(0, 1, 5), atol=0.03, rtol=0)
    torch.testing.assert_close(coordinates[:, 1], torch.zeros(5), atol=0.1, rtol=0)


def test_an_image_of_noise_is_fitted_badly(world, readout):
    noise = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    assert readout(noise).error.min() > 0.2


@pytest.mark.parametrize(
    "concepts", [["shape", "color"], ["color", "size", "background"], ["x", "color"]]
)
def test_other_concepts(concepts):
    world = tiny_world(resolution=32, concepts=concepts)
    readout = AnalyticReadout(world)
    for concept_class in (world.space.classes[0], world.space.classes[-1]):
        _, images = renders(world, concept_class)
        assert readout.accuracy(images, concept_class).mean() >= 0.99
