"""Prompts that protocols draw by themselves, of the training classes or of the class asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from conceptspace.errors import UserError
from conceptspace.protocols.registry import Context
from conceptspace.seeding import generator
from conceptspace.space import ConceptClass, ConceptSpace
from conceptspace.worlds import border
from conceptspace.worlds.world import Prompting

Encode = Callable[[str, int], Tensor]
"""(class, count) -> that many prompts of the class, (count, ...), in the model's own form."""


def encoder(
    world: Prompting, conditioning: Callable[[Tensor], Tensor] = lambda z: z, seed: int = 0
) -> Encode:
    """Prompts drawn from a world's classes; the same at each call."""

    def encode(concept_class: str, count: int) -> Tensor:
        source = generator(seed, "a protocol's prompts", concept_class)
        return conditioning(border.sample(world, concept_class, count, source))

    return encode


def encoder_of(run: Context) -> Encode:
    """Prompts as a run's model is asked with; they depend on its seed."""
    return encoder(run.world, run.conditioning, run.config.seed)


def checked_prompts(encode: Encode, concept_class: str, count: int, protocol: str) -> Tensor:
    """Prompts of a class, checked.

    Raises:
        UserError: they are not as many rows of a tensor.
    """
    with torch.no_grad():
        prompts: Any = encode(concept_class, count)
    if not isinstance(prompts, Tensor) or len(prompts) != count:
        raise UserError(
            f"{protocol} needs {count} prompts of class {concept_class} as a tensor with a row for "
            "each"
        )
    return prompts


def pairs(space: ConceptSpace, concept: str, ood_class: str) -> list[tuple[str, str]]:
    """Training classes that differ in one concept alone: with its other value, with the one asked.

    The other value is that from which the class's axis runs, see :meth:`ConceptSpace.axes`.

    Args:
        space: of the classes.
        concept: in which they differ.
        ood_class: whose value is asked.

    Raises:
        UserError: there is no such concept.
    """
    if concept not in space.names:
        raise UserError(f"there is no concept {concept!r}; there are {', '.join(space.names)}")
    place = space.names.index(concept)
    asked = ConceptClass(ood_class).values[place]
    other = next(value for value in space.axes(ood_class)[concept] if value != asked)
    trained = {ConceptClass(name).values: str(name) for name in space.train_classes}
    found = []
    for values, name in trained.items():
        twin = trained.get((*values[:place], other, *values[place + 1 :]))
        if values[place] == asked and twin is not None:
            found.append((twin, name))
    return found


def differing(space: ConceptSpace) -> list[str]:
    """The concepts in which two training classes differ alone, for some OOD class."""
    return [c for c in space.names if any(pairs(space, c, str(ood)) for ood in space.ood_classes)]


def require_pairs(space: ConceptSpace, concept: str, protocol: str) -> None:
    """Refuse a concept for which no two training classes are alike otherwise.

    Raises:
        UserError: says so.
    """
    if not any(pairs(space, concept, str(ood)) for ood in space.ood_classes):
        raise UserError(
            f"{protocol} compares training classes that differ in {concept!r} alone, and of the "
            f"classes {', '.join(space.train_classes)} no two do"
        )
