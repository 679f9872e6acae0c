"""The mixing function M: z -> h, and its underspecification (paper sections 3 and 5)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from conceptspace.errors import UserError
from conceptspace.worlds.shapes.world import COLUMNS


@dataclass(frozen=True)
class Conditioning:
    """h = M(z): the entries of z that the model may see; all others are 0.

    Args:
        variables: names of the variables that h shows, e.g. ``("color", "size")``.
        columns: where each variable stands in z; by default as in the shapes world.

    Raises:
        UserError: when called, if a variable has no place in z, z is of another length, or prompts
            are sequences of embeddings.
    """

    variables: tuple[str, ...]
    columns: Mapping[str, slice] = field(default_factory=lambda: COLUMNS)

    def __call__(self, z: Float[Tensor, "*batch k"]) -> Float[Tensor, "*batch k"]:
        if z.ndim > 2:
            raise UserError(
                "the built-in network and its conditioning take prompts that are vectors, and "
                f"these are sequences of shape {tuple(z.shape[1:])}; train a model of your own on "
                "them, and record it with Recorder"
            )
        visible = self.visible()
        if z.shape[-1] != len(visible):
            raise UserError(
                f"z has {z.shape[-1]} numbers, and the conditioning {len(visible)}; use "
                "Conditioning(variables, world.columns)"
            )
        return z * visible.to(z)

    def visible(self) -> Float[Tensor, " k"]:
        """1 for the entries of h that are shown, 0 elsewhere."""
        mask = torch.zeros(max(part.stop for part in self.columns.values()))
        for name in self.variables:
            if name not in self.columns:
                raise UserError(
                    f"the variable {name!r} has no place in z; it has {', '.join(self.columns)}"
                )
            mask[self.columns[name]] = 1.0
        return mask


def mask_share(
    h: Float[Tensor, "count k"],
    variable: str,
    share: float,
    generator: torch.Generator,
    columns: Mapping[str, slice] = COLUMNS,
) -> Float[Tensor, "count k"]:
    """Underspecify prompts: set one variable's entries to 0 in a random share of the rows.

    The number of masked rows is ``round(share * count)``, so the share is met exactly.

    Args:
        h: conditioning of the images of one class.
        variable: whose entries are masked, e.g. "color".
        share: alpha, between 0 and 1.
        generator: chooses the rows.
        columns: where each variable stands in h.

    Raises:
        UserError: the variable has no place in h.
    """
    if variable not in columns:
        raise UserError(
            f"{variable!r} has no place in the prompts, which have {', '.join(columns)}"
        )
    rows = torch.randperm(len(h), generator=generator)[: round(share * len(h))]
    h = h.clone()
    h[rows, columns[variable]] = 0.0
    return h
