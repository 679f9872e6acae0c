"""The mixing function M: z -> h, and its underspecification (paper sections 3 and 5)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from conceptspace.data.shapes import COLUMNS, VARIABLES


@dataclass(frozen=True)
class Conditioning:
    """h = M(z): the entries of z that the model may see; all others are 0.

    Args:
        variables: names of the variables that h shows, e.g. ``("color", "size")``.
    """

    variables: tuple[str, ...]

    def __call__(self, z: Float[Tensor, "*batch 11"]) -> Float[Tensor, "*batch 11"]:
        return z * self.visible().to(z)

    def visible(self) -> Float[Tensor, " 11"]:
        """1 for the entries of h that are shown, 0 elsewhere."""
        mask = torch.zeros(VARIABLES)
        for name in self.variables:
            mask[COLUMNS[name]] = 1.0
        return mask


def mask_share(
    h: Float[Tensor, "count 11"],
    variable: str,
    share: float,
    generator: torch.Generator,
) -> Float[Tensor, "count 11"]:
    """Underspecify prompts: set one variable's entries to 0 in a random share of the rows.

    The number of masked rows is ``round(share * count)``, so the share is met exactly.

    Args:
        h: conditioning of the images of one class.
        variable: whose entries are masked, e.g. "color".
        share: alpha, between 0 and 1.
        generator: chooses the rows.
    """
    rows = torch.randperm(len(h), generator=generator)[: round(share * len(h))]
    h = h.clone()
    h[rows, COLUMNS[variable]] = 0.0
    return h
