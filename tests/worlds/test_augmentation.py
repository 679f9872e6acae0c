"""Jitter and flips: within their bounds, as often as they say, and the same for the same step."""

from __future__ import annotations

import pytest
import torch

from conceptspace.seeding import generator
from conceptspace.worlds.augmentation import LUMA, Augmentation
from conceptspace.worlds.dataset import Examples
from tiny import random_examples


def images(count: int, value: float | None = None) -> torch.Tensor:
    if value is not None:
        return torch.full((count, 3, 4, 4), value)
    return torch.rand(count, 3, 4, 4, generator=generator(0, "images"))


def test_without_jitter_an_image_or_its_mirror() -> None:
    x = images(400)
    y = Augmentation(0.0, 0.3)(x, generator(1))
    same = (y - x).abs().amax((1, 2, 3)) < 1e-6
    mirrored = (y - x.flip(3)).abs().amax((1, 2, 3)) < 1e-6
    assert (same ^ mirrored).all()
    assert 80 <= mirrored.sum() <= 160


def test_gray_images_change_in_brightness_alone() -> None:
    """Of an image of one gray, contrast and saturation have nothing to change."""
    y = Augmentation(0.1, 0.5)(images(2000, 0.5), generator(2))
    assert y.flatten(1).std(1).max() < 1e-6
    factors = y[:, 0, 0, 0] / 0.5
    assert factors.min() == pytest.approx(0.9, abs=2e-3)
    assert factors.max() == pytest.approx(1.1, abs=2e-3)


def test_contrast_and_saturation_by_hand() -> None:
    x = images(1)
    source = generator(3)
    brightness, contrast, saturation = (
        1 + 0.1 * (2 * torch.rand(3, 1, generator=generator(3)) - 1)
    ).flatten()
    weights = torch.tensor(LUMA)[:, None, None]
    y = (x[0] * brightness).clamp(0, 1)
    mean = (y * weights).sum(0).mean()
    y = (mean + contrast * (y - mean)).clamp(0, 1)
    gray = (y * weights).sum(0)
    y = (gray + saturation * (y - gray)).clamp(0, 1)
    torch.testing.assert_close(Augmentation(0.1, 0.0)(x, source)[0], y)


def test_a_batch_depends_on_seed_and_step_alone() -> None:
    plain = random_examples(8)
    examples = Examples(plain.images, plain.h, Augmentation(0.1, 0.5))
    chosen = torch.tensor([3, 1, 4])
    first, h = examples.batch(chosen, seed=5, step=7)
    assert torch.equal(examples.batch(chosen, seed=5, step=7)[0], first)
    assert not torch.equal(examples.batch(chosen, seed=5, step=8)[0], first)
    assert not torch.equal(examples.batch(chosen, seed=6, step=7)[0], first)
    assert torch.equal(h, plain.h[chosen])
    assert torch.equal(plain.batch(chosen, seed=5, step=7)[0], plain.images[chosen])
    assert examples.to(torch.device("cpu")).augmentation == Augmentation(0.1, 0.5)
