"""Concept signal: how much an image changes when a concept does (paper Def. 3, Figs. 2 and 11)."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from conceptspace.seeding import generator
from conceptspace.worlds.rendered import RenderedWorld

FINITE_DIFFERENCE = 0.05
"""Default step of the central difference, in the units of z. Edges fall between pixels, so it must
not be much smaller than a pixel for position and size."""


def class_distances(world: RenderedWorld, samples: int = 512, seed: int = 0) -> pd.DataFrame:
    """Mean squared pixel difference of classes that differ in one concept.

    Both images of a pair share every nuisance variable and every other concept's value; the
    concept that differs moves by the difference of its class means.

    Returns:
        Columns concept, from_class, to_class, distance (mean over pixels, channels and samples)
        and error (its standard error); one row per edge of the concept space's cube, none where no
        two classes differ in one concept alone.
    """
    space = world.space
    rows = []
    for concept_class in space.classes:
        for i, concept in enumerate(space.concepts):
            own = concept_class.values[i]
            for value in range(own + 1, len(concept.labels)):
                other = concept_class.flip(i, value)
                if other not in space.classes:
                    continue
                z = world.sample(concept_class, samples, generator(seed, "signal", concept_class))
                moved = z.clone()
                moved[:, world.columns[concept.name]] += concept.mean(value) - concept.mean(own)
                each = (world.render(moved) - world.render(z)).square().mean((1, 2, 3))
                error = each.std().item() / samples**0.5
                edge = (concept.name, str(concept_class), str(other))
                rows.append((*edge, each.mean().item(), error))
    table = pd.DataFrame(rows, columns=["concept", "from_class", "to_class", "distance", "error"])
    return table.astype({"distance": "float64", "error": "float64"})


def local_signal(
    generate: Callable[[Tensor], Tensor],
    z: Float[Tensor, "batch variables"],
    step: float = FINITE_DIFFERENCE,
) -> Float[Tensor, "batch variables"]:
    """sigma_i = |dG(z)/dz_i|, the Euclidean norm over pixels of a central finite difference.

    Args:
        generate: any data-generating process G, (batch, variables) -> (batch, ...).
        z: concept vectors.
        step: half the distance of the two points of the difference.
    """
    columns = []
    for i in range(z.shape[1]):
        offset = torch.zeros_like(z)
        offset[:, i] = step
        change = (generate(z + offset) - generate(z - offset)) / (2 * step)
        columns.append(change.flatten(1).norm(dim=1))
    return torch.stack(columns, dim=1)
