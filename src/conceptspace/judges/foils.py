"""Images that show no object of any class, made from real ones: a judge has to refuse them."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from conceptspace.seeding import generator

SPECKS = 0.03
"""Share of the pixels of an image of specks that are not background."""


def foils(
    images: Float[Tensor, "images 3 height width"], values: Int[Tensor, "images concepts"]
) -> dict[str, Float[Tensor, "images 3 height width"]]:
    """Of every real image five others, from the background of the image and its pixels.

    The background is the median of each channel over the image. Partners are other images, in
    random order, and for blends of another class.

    - blank: the background alone;
    - noise: uniform in every pixel and channel;
    - specks: 3 % of the pixels have the color that is furthest from the background;
    - double: the image, and beside it its partner, moved by a third of the width, whichever is
      further from the background in each pixel;
    - blend: the mean of the image and of a partner of another class.
    """
    source = generator(0, "foils")
    count, _, height, width = images.shape
    background = images.flatten(2).median(2).values[:, :, None, None]
    order = torch.randperm(count, generator=source)
    apart = (images - background).square().sum(1)
    furthest = apart.flatten(1).argmax(1)
    color = images.flatten(2)[torch.arange(count), :, furthest][:, :, None, None]
    speck = torch.rand(count, 1, height, width, generator=source) < SPECKS
    moved = images[order].roll(width // 3, 3)
    further = (moved - background).square().sum(1) > apart
    other = (values != values[order]).any(1)
    return {
        "blank": background.expand_as(images),
        "noise": torch.rand(images.shape, generator=source),
        "specks": torch.where(speck, color, background),
        "double": torch.where(further[:, None], moved, images),
        "blend": ((images + images[order]) / 2)[other],
    }
