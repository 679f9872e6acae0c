"""Seeded sets of images and conditioning."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from conceptspace.seeding import generator
from conceptspace.worlds import border
from conceptspace.worlds.augmentation import Augmentation
from conceptspace.worlds.conditioning import Conditioning, mask_share
from conceptspace.worlds.world import World


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
        augmentation: how images vary each time that they are trained on; None if they do not.
    """

    images: Float[Tensor, "count c height width"]
    h: Float[Tensor, "count k"]
    augmentation: Augmentation | None = None

    def __len__(self) -> int:
        return len(self.images)

    def to(self, device: torch.device) -> Examples:
        """The same examples on another device."""
        return replace(self, images=self.images.to(device), h=self.h.to(device))

    def batch(
        self, chosen: Int[Tensor, " batch"], seed: int, step: int
    ) -> tuple[Float[Tensor, "batch c height width"], Float[Tensor, "batch k"]]:
        """Images and conditioning of one step of a run, as a function of (seed, step) alone."""
        images = self.images[chosen]
        if self.augmentation is not None:
            images = self.augmentation(images, generator(seed, "augmentation", step))
        return images, self.h[chosen]


def split_dataset(
    world: World,
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

    Raises:
        UserError: what the world gives has another shape, type or range than it must, or M looks
            for a variable where the world does not keep it.
    """
    border.agree(world, conditioning)
    parts: tuple[list[Examples], list[Examples]] = ([], [])
    held_out = round(validation_share * images_per_class)
    for concept_class in world.space.train_classes:
        source = generator(seed, "data", concept_class)
        images, z = border.draw(world, concept_class, images_per_class, source)
        h = conditioning(z)
        train = h[held_out:]
        if masking is not None and masking.concept_class == concept_class:
            rows = generator(seed, "masking", concept_class)
            train = mask_share(train, masking.concept, masking.share, rows, world.columns)
        parts[0].append(Examples(images[held_out:], train))
        parts[1].append(Examples(images[:held_out], h[:held_out]))
    return replace(_joined(parts[0]), augmentation=world.augmentation), _joined(parts[1])


def _joined(parts: list[Examples]) -> Examples:
    return Examples(torch.cat([p.images for p in parts]), torch.cat([p.h for p in parts]))
