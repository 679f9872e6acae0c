"""Seeded sets of images and conditioning."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from conceptspace.data.conditioning import Conditioning, mask_share
from conceptspace.data.seeding import generator
from conceptspace.data.shapes import ShapesWorld


@dataclass(frozen=True)
class Masking:
    """Which prompts are underspecified: a share of one class loses one concept."""

    concept_class: str
    concept: str
    share: float


@dataclass(frozen=True)
class Examples:
    """Images with the conditioning under which they are trained.

    Attributes:
        images: in [0, 1].
        h: conditioning.
    """

    images: Float[Tensor, "count c height width"]
    h: Float[Tensor, "count k"]

    def __len__(self) -> int:
        return len(self.images)

    def to(self, device: torch.device) -> Examples:
        """The same examples on another device."""
        return Examples(self.images.to(device), self.h.to(device))


def split_dataset(
    world: ShapesWorld,
    conditioning: Conditioning,
    *,
    images_per_class: int,
    validation_share: float,
    seed: int,
    masking: Masking | None = None,
) -> tuple[Examples, Examples]:
    """Training and validation examples of all training classes.

    The same arguments always give the same tensors, rendered on the CPU. Classes draw from
    generators of their own, so that a class's images do not depend on which others there are.

    Args:
        world: the data-generating process.
        conditioning: M.
        images_per_class: training and validation images together.
        validation_share: share of them that is kept for validation.
        seed: of the run.
        masking: underspecification of the training prompts; validation prompts stay complete.
    """
    parts: tuple[list[Examples], list[Examples]] = ([], [])
    held_out = round(validation_share * images_per_class)
    for concept_class in world.space.train_classes:
        source = generator(seed, "data", concept_class)
        z = world.sample(concept_class, images_per_class, source)
        images = world.render(z, source)
        h = conditioning(z)
        train = h[held_out:]
        if masking is not None and masking.concept_class == concept_class:
            train = mask_share(
                train, masking.concept, masking.share, generator(seed, "masking", concept_class)
            )
        parts[0].append(Examples(images[held_out:], train))
        parts[1].append(Examples(images[:held_out], h[:held_out]))
    return _joined(parts[0]), _joined(parts[1])


def _joined(parts: list[Examples]) -> Examples:
    return Examples(torch.cat([p.images for p in parts]), torch.cat([p.h for p in parts]))
