"""Random changes of training images that leave their concepts as they are (paper App. C.3)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in brightness (ITU-R BT.601)."""


@dataclass(frozen=True)
class Augmentation:
    """Color jitter and horizontal flips, drawn anew for each image.

    Brightness, contrast and saturation are changed in this order, each by a factor from
    U(1 - jitter, 1 + jitter): toward black, toward the image's mean gray, toward its own gray.

    Args:
        jitter: largest relative change.
        flips: probability of a flip.
    """

    jitter: float
    flips: float

    def __call__(
        self, images: Float[Tensor, "batch 3 height width"], generator: torch.Generator
    ) -> Float[Tensor, "batch 3 height width"]:
        """Changed copies in [0, 1]; the CPU generator serves images of any device."""
        factors = 1 + self.jitter * (2 * torch.rand(3, len(images), generator=generator) - 1)
        mirrored = torch.rand(len(images), generator=generator) < self.flips
        brightness, contrast, saturation = factors[..., None, None, None].to(images)
        weights = torch.tensor(LUMA).to(images)[:, None, None]
        changed = (images * brightness).clamp(0, 1)
        middle = (changed * weights).sum(1, keepdim=True).mean((2, 3), keepdim=True)
        changed = torch.lerp(middle.expand_as(changed), changed, contrast).clamp(0, 1)
        gray = (changed * weights).sum(1, keepdim=True)
        changed = torch.lerp(gray.expand_as(changed), changed, saturation).clamp(0, 1)
        flip = mirrored.to(images.device)[:, None, None, None]
        return torch.where(flip, changed.flip(3), changed)
