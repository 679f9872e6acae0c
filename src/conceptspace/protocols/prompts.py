"""Prompts whose entries for one concept are replaced."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from conceptspace.errors import UserError
from conceptspace.protocols.base import Setting
from conceptspace.space import Concept
from conceptspace.worlds.world import Prompting


def placed(world: Prompting, name: str, protocol: str) -> tuple[Concept, slice]:
    """A concept, and where its values stand in the prompts."""
    what, names = type(world).__name__, world.space.names
    if name not in names:
        raise UserError(
            f"{protocol} changes the concept {name!r}, and {what} has {', '.join(names)}"
        )
    concept = world.space.concepts[names.index(name)]
    columns = world.columns.get(name)
    if columns is None:
        raise UserError(
            f"{protocol} changes the entries of {name!r} in a prompt, and {what}.columns names "
            f"{', '.join(world.columns)}; it needs a world whose prompts show the concepts' values"
        )
    if columns.stop - columns.start != len(concept.means[0]):
        raise UserError(
            f"{protocol} puts the {len(concept.means[0])} numbers of {name!r} into a prompt, and "
            f"{what}.columns has {columns.stop - columns.start} entries for it"
        )
    return concept, columns


def shown(world: Prompting, *names: str) -> bool:
    """Whether the prompts show the values of these concepts, so that they can be changed there."""
    means = {concept.name: concept.means[0] for concept in world.space.concepts}
    places = [(world.columns.get(name), means[name]) for name in names]
    return all(place and place.stop - place.start == len(mean) for place, mean in places)


def replaced(value: Tensor, columns: slice, protocol: str, concept: Concept, own: int) -> Setting:
    """The setting that puts a value into columns of the prompts; other prompts are refused.

    Args:
        value: what stands there afterwards.
        columns: where.
        protocol: its name.
        concept: whose values stand there.
        own: the number of the value that the prompts show there before.
    """

    def apply(model: Any, h: Any) -> tuple[Any, Tensor]:
        if not isinstance(h, Tensor) or h.ndim != 2 or h.shape[1] < columns.stop:
            given = f"of shape {tuple(h.shape)}" if isinstance(h, Tensor) else "texts"
            raise UserError(
                f"{protocol} changes entries {columns.start}:{columns.stop} of prompts that are "
                f"vectors, and these are {given}"
            )
        if not h.is_floating_point():
            raise UserError(
                f"{protocol} puts numbers such as {value[0]:g} into the prompts, and these are "
                f"whole numbers ({str(h.dtype).removeprefix('torch.')}); make them floating-point"
            )
        if not _shows(h[:, columns], concept, own):
            raise UserError(
                f"{protocol} changes entries {columns.start}:{columns.stop} of the prompts, and "
                f"they do not show the value {concept.labels[own]!r} of {concept.name!r} there; it "
                "needs prompts that hold the values themselves, no embeddings"
            )
        h = h.clone()
        h[:, columns] = value.to(h)
        return model, h

    return apply


def _shows(entries: Tensor, concept: Concept, own: int) -> bool:
    """Whether the mean entry is less than half as far from a value's mean as the next value is."""
    mean = concept.mean(own).to(entries)
    others = [concept.mean(v).to(entries) for v in range(len(concept.labels)) if v != own]
    nearest = min(float((other - mean).norm()) for other in others)
    return float((entries.mean(0) - mean).norm()) < nearest / 2
