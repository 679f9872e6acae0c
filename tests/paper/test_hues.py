"""The measured color of objects."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from conceptspace.paper.fig09a.hues import blueness
from tiny import tiny_world


@pytest.mark.parametrize("at", [0.0, 0.5, 1.0])
def test_the_color_between_the_class_means_is_found_in_the_pixels(at: float) -> None:
    world = tiny_world(resolution=16, concepts=("color", "shape"), color_separation=0.5)
    z = world.sample("01", 20, torch.Generator().manual_seed(0))
    color = world.space.concepts[0]
    z[:, 4:7] = color.mean(0) + at * (color.mean(1) - color.mean(0))
    images = (world.render(z).permute(0, 2, 3, 1).numpy() * 255).round().astype(np.uint8)
    assert np.allclose(blueness(images, world), at, atol=0.06)


@pytest.mark.parametrize(
    "rgb", [(230, 230, 230), (0, 0, 0), (60, 180, 60), (215, 205, 215)], ids=str
)
def test_what_is_no_object_between_red_and_blue_has_no_such_color(rgb: tuple[int, ...]) -> None:
    world = tiny_world(resolution=16, concepts=("color", "shape"), color_separation=0.4)
    images = np.full((1, 16, 16, 3), 230, dtype=np.uint8)
    images[:, 5:10, 5:10] = rgb
    assert np.isnan(blueness(images, world)).all()
    images[:, 5:10, 5:10] = (128, 77, 128)
    assert blueness(images, world) == pytest.approx(0.5, abs=0.02)
