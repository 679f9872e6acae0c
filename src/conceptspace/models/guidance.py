"""Classifier-free guidance as a wrapper around a denoiser (arXiv 2207.12598)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from conceptspace.models.sampling import Denoiser

NULL_VALUE = -1.0
"""Every entry of the null condition (paper App. A.2)."""


def drop_condition(
    h: Float[Tensor, "batch k"], dropped: Float[Tensor, " batch"]
) -> Float[Tensor, "batch k"]:
    """Replace the rows of h where ``dropped`` is 1 by the null condition."""
    return torch.where(dropped[:, None] > 0, torch.full_like(h, NULL_VALUE), h)


@dataclass(frozen=True)
class GuidedDenoiser:
    """eps = f(null) + weight (f(h) - f(null)), both halves in one batch (paper App. A.2).

    Args:
        denoiser: f, trained with dropped conditions.
        weight: 0 ignores the condition, 1 is f(h), more exaggerates it.
    """

    denoiser: Denoiser
    weight: float

    def __call__(self, z: Tensor, gamma: Tensor, h: Tensor) -> Tensor:
        both = torch.cat([h, torch.full_like(h, NULL_VALUE)])
        eps = self.denoiser(torch.cat([z, z]), torch.cat([gamma, gamma]), both)
        conditional, null = eps.chunk(2)
        return null + self.weight * (conditional - null)
