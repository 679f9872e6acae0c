"""Worlds that are a function: they draw the image of any concept vector."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from conceptspace.files import sha256
from conceptspace.seeding import generator as stream
from conceptspace.space import ConceptSpace, all_classes
from conceptspace.worlds.augmentation import Augmentation
from conceptspace.worlds.naming import SpacePrompts

FINGERPRINT = 8
"""Images of each class whose hash tells a renderer from another."""


class RenderedWorld(ABC):
    """A data-generating process G: z -> x (paper Def. 1). A subclass sets the two attributes and
    draws; what a :class:`~conceptspace.worlds.world.World` must give besides follows.

    Because it draws any z, there are a concept signal and images between two values.

    Attributes:
        space: z has the values of its concepts, one after the other.
        resolution: pixels per side.
    """

    space: ConceptSpace
    resolution: int

    @abstractmethod
    def render(
        self, z: Float[Tensor, "batch k"], generator: torch.Generator | None = None
    ) -> Float[Tensor, "batch 3 height width"]:
        """Images in [0, 1] of concept vectors.

        Args:
            z: concept vectors.
            generator: of whatever is random in an image; without one nothing is.
        """

    @property
    def augmentation(self) -> Augmentation | None:
        """None: the images vary by themselves."""
        return None

    @property
    def columns(self) -> Mapping[str, slice]:
        """Where each variable stands in z and h."""
        return SpacePrompts(self.space).columns

    def sample(
        self, concept_class: str, count: int, generator: torch.Generator
    ) -> Float[Tensor, "count k"]:
        """Concept vectors of a class, each value within its spread."""
        return SpacePrompts(self.space).sample(concept_class, count, generator)

    def class_mean(self, concept_class: str) -> Float[Tensor, " k"]:
        """The concept vector in the middle of a class."""
        return SpacePrompts(self.space).class_mean(concept_class)

    def draw(
        self, concept_class: str, count: int, generator: torch.Generator
    ) -> tuple[Float[Tensor, "count 3 height width"], Float[Tensor, "count k"]]:
        """Images of a class and their concept vectors."""
        z = self.sample(concept_class, count, generator)
        return self.render(z, generator), z

    def picture(self, concept_class: str) -> Float[Tensor, "3 height width"]:
        """The image in the middle of a class, without anything random."""
        return self.render(self.class_mean(concept_class)[None])[0]

    def labelled(
        self, purpose: str, count: int, margin: float
    ) -> tuple[Float[Tensor, "images 3 height width"], Int[Tensor, "images concepts"]]:
        """Images of all combinations with the numbers of their values, for a probe."""
        images, values = [], []
        for concept_class in all_classes(self.space.sizes):
            source = stream(0, "probe", purpose, concept_class)
            images.append(self.draw(concept_class, count, source)[0])
            values.append(torch.tensor(concept_class.values).expand(count, -1))
        return torch.cat(images), torch.cat(values)

    def recipe(self, margin: float) -> dict[str, Any]:
        """A fingerprint of :meth:`labelled`: SHA-256 of its first images."""
        images = self.labelled("train", FINGERPRINT, margin)[0].contiguous()
        return {"rendered": sha256(images.numpy().tobytes()), "shape": list(images.shape)}
