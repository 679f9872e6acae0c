"""What an experiment needs of its data, whatever they are, and what more some worlds can do.

A world is anything with the members of :class:`World`. What more it can do it declares by deriving
from one of the abstract classes; it is never guessed from the names of methods.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from conceptspace.space import ConceptSpace
from conceptspace.worlds.augmentation import Augmentation


@runtime_checkable
class Prompting(Protocol):
    """A concept space whose classes can be asked for with concept vectors z.

    Instead of a vector (k,) a prompt may be a sequence of embeddings (tokens, k), for models that
    attend to one.
    """

    @property
    def space(self) -> ConceptSpace:
        """The concepts, and which classes train."""
        ...

    @property
    def columns(self) -> Mapping[str, slice]:
        """Where each variable stands in z and h, counted along the last dimension."""
        ...

    def sample(
        self, concept_class: str, count: int, generator: torch.Generator
    ) -> Float[Tensor, "count *tokens k"]:
        """Concept vectors of a class, for prompts."""
        ...

    def class_mean(self, concept_class: str) -> Float[Tensor, "*tokens k"]:
        """The concept vector in the middle of a class."""
        ...


@runtime_checkable
class World(Prompting, Protocol):
    """A concept space with images and concept vectors z, of which the model is shown h = M(z)."""

    @property
    def resolution(self) -> int:
        """Pixels per side."""
        ...

    @property
    def augmentation(self) -> Augmentation | None:
        """How a training image varies each time that it is used; None if it does not."""
        ...

    def draw(
        self, concept_class: str, count: int, generator: torch.Generator
    ) -> tuple[Float[Tensor, "count 3 height width"], Float[Tensor, "count *tokens k"]]:
        """Images of a class in [0, 1], with their concept vectors."""
        ...

    def picture(self, concept_class: str) -> Float[Tensor, "3 height width"] | None:
        """One image that stands for a class in figures; None where there is none of it."""
        ...

    def labelled(
        self, purpose: str, count: int, margin: float
    ) -> tuple[Float[Tensor, "images 3 height width"], Int[Tensor, "images concepts"]]:
        """Images of all classes with the numbers of their values, for a probe; independent of any
        run's seed.

        Args:
            purpose: ``"train"``, or ``"held out"`` for images that are not among the former.
            count: images per class.
            margin: gap between classes, where they can be moved apart.
        """
        ...

    def recipe(self, margin: float) -> dict[str, Any]:
        """What determines the images of :meth:`labelled`, for a hash; JSON."""
        ...


class HasSource(ABC):
    """A world whose images come from somewhere that a run should remember."""

    @abstractmethod
    def provenance(self) -> dict[str, Any]:
        """What data these are, as JSON; kept in ``run.json``."""
