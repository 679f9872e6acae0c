"""Worlds that have a pool of images of each class, and prompts that show the values."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping

import torch
from jaxtyping import Float, Int
from torch import Tensor

from conceptspace.errors import UserError
from conceptspace.space import ConceptClass, ConceptSpace
from conceptspace.worlds.pixels import as_floats, in_color
from conceptspace.worlds.world import HasSource


class Pools(HasSource):
    """Images that are there, in random order, and not rendered.

    Attributes:
        space: the means of its concepts are what prompts show, one-hot codes as a rule.
        resolution: pixels per side.
    """

    space: ConceptSpace
    resolution: int

    @property
    @abstractmethod
    def pools(self) -> Mapping[str, Tensor]:
        """Images of each class, bytes or numbers in [0, 1], shape (n, 1 or 3, side, side)."""

    @property
    def columns(self) -> Mapping[str, slice]:
        """As many entries of z and h for each concept as prompts show numbers of it."""
        lengths = [len(concept.means[0]) for concept in self.space.concepts]
        ends = torch.tensor(lengths).cumsum(0).tolist()
        sizes = zip(self.space.names, lengths, ends, strict=True)
        return {name: slice(end - size, end) for name, size, end in sizes}

    def class_mean(self, concept_class: str) -> Float[Tensor, "*tokens k"]:
        """What prompts show of a class's values, one after the other."""
        values = ConceptClass(concept_class).values
        concepts = zip(self.space.concepts, values, strict=True)
        return torch.cat([concept.mean(value) for concept, value in concepts])

    def sample(
        self, concept_class: str, count: int, generator: torch.Generator
    ) -> Float[Tensor, "count *tokens k"]:
        """The class mean, as often as asked: values have no spread."""
        prompt = self.class_mean(concept_class)
        return prompt.repeat(count, *(1 for _ in prompt.shape))

    def draw(
        self, concept_class: str, count: int, generator: torch.Generator
    ) -> tuple[Float[Tensor, "count 3 height width"], Float[Tensor, "count *tokens k"]]:
        """Different images of a class in random order, not augmented.

        Raises:
            UserError: there are fewer.
        """
        pool = self._pool(concept_class, count)
        chosen = torch.randperm(len(pool), generator=generator)[:count]
        return in_color(as_floats(pool[chosen])), self.sample(concept_class, count, generator)

    def picture(self, concept_class: str) -> Float[Tensor, "3 height width"] | None:
        """The image that is nearest to the mean of the class's first images; None without any."""
        if concept_class not in self.pools:
            return None
        images = in_color(as_floats(self.pools[concept_class][:128]))
        return images[(images - images.mean(0)).square().sum((1, 2, 3)).argmin()]

    def labelled(
        self, purpose: str, count: int, margin: float
    ) -> tuple[Float[Tensor, "images 3 height width"], Int[Tensor, "images concepts"]]:
        """The first images of all classes to train a probe, the last ones held out, with labels.

        Raises:
            UserError: a class has fewer.
        """
        images, values = [], []
        for name in sorted(self.pools):
            pool = self._pool(name, count)
            images.append(pool[:count] if purpose == "train" else pool[len(pool) - count :])
            values.append(torch.tensor(ConceptClass(name).values).expand(count, -1))
        return in_color(as_floats(torch.cat(images))), torch.cat(values)

    def _pool(self, concept_class: str, count: int) -> Tensor:
        pool = self.pools.get(concept_class, torch.empty(0))
        if count > len(pool):
            raise UserError(f"{count} images of class {concept_class} were asked of {len(pool)}")
        return pool
