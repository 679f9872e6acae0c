"""Concept spaces from nothing but names, for data that nobody renders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from conceptspace.errors import UserError
from conceptspace.space import Concept, ConceptClass, ConceptSpace, all_classes


def named_space(
    values: Mapping[str, Sequence[str]], held_out: Sequence[Sequence[str]]
) -> ConceptSpace:
    """A concept space whose concepts and values have names and no numbers.

    A value is a one-hot vector; every class that is not held out is a training class.

    >>> space = named_space({"hue": ("red", "blue"), "form": ("cube", "ball")}, [("blue", "ball")])
    >>> space.train_classes, space.ood_classes
    (('00', '01', '10'), ('11',))

    Args:
        values: the names of each concept's values, ``{"hue": ("red", "blue"), ...}``.
        held_out: combinations of values that are not trained, ``[("blue", "ball")]``.

    Raises:
        UserError: a combination names a value that does not exist, or no class is left to train.
    """
    concepts = tuple(Concept.one_hot(name, labels) for name, labels in values.items())
    classes = all_classes([len(concept.labels) for concept in concepts])
    out = [_class_of(concepts, tuple(combination)) for combination in held_out]
    trained = tuple(c for c in classes if c not in out)
    return ConceptSpace(concepts, trained, tuple(dict.fromkeys(out)))


@dataclass(frozen=True)
class SpacePrompts:
    """Prompts of a concept space on its own: the values of its concepts, one after the other.

    >>> space = named_space({"hue": ("red", "blue"), "form": ("cube", "ball")}, [("blue", "ball")])
    >>> SpacePrompts(space).class_mean("11")
    tensor([0., 1., 0., 1.])

    Args:
        space: the concepts; with named values a prompt is one-hot for each concept.
    """

    space: ConceptSpace

    @property
    def columns(self) -> Mapping[str, slice]:
        """Where each concept stands in a prompt."""
        found, start = {}, 0
        for concept in self.space.concepts:
            found[concept.name] = slice(start, start + len(concept.means[0]))
            start += len(concept.means[0])
        return found

    def sample(
        self, concept_class: str, count: int, generator: torch.Generator
    ) -> Float[Tensor, "count k"]:
        """Values of a class, each within its spread."""
        parts = zip(self.space.concepts, ConceptClass(concept_class).values, strict=True)
        return torch.cat([c.sample(value, count, generator) for c, value in parts], dim=1)

    def class_mean(self, concept_class: str) -> Float[Tensor, " k"]:
        """The values in the middle of a class."""
        parts = zip(self.space.concepts, ConceptClass(concept_class).values, strict=True)
        return torch.cat([concept.mean(value) for concept, value in parts])


def _class_of(concepts: tuple[Concept, ...], combination: tuple[str, ...]) -> ConceptClass:
    if len(combination) != len(concepts):
        raise UserError(
            f"a held-out class has a value of each concept, {', '.join(c.name for c in concepts)}, "
            f"and {combination} has {len(combination)}"
        )
    return ConceptClass.of(c.number(value) for c, value in zip(concepts, combination, strict=True))
