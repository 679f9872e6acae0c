"""Worlds that have a pool of images of each class, and prompts that show the values."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping

import torch
from jaxtyping import Float, Int
from torch import Tensor

from conceptspace.errors import UserError
from conceptspace.space import ConceptClass, ConceptSpace
from conceptspace.worlds.naming import SpacePrompts
from conceptspace.worlds.pixels import as_floats, in_color
from conceptspace.worlds.world import HasSource


def require_enough(train: int, held_out: int, there: int, what: str) -> None:
    """Refuse to judge a probe by images that it was trained on.

    Args:
        train: images of a class to train it.
        held_out: images to judge it.
        there: images of the class.
        what: they are, in words.

    Raises:
        UserError: there are too few.
    """
    if train + held_out > there:
        raise UserError(
            f"probe.images_per_class and probe.held_out_per_class take {train} + {held_out} of "
            f"the {there} {what}; ask for fewer, since a probe is judged by images that it was "
            "not trained on"
        )


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
        return SpacePrompts(self.space).columns

    def class_mean(self, concept_class: str) -> Float[Tensor, "*tokens k"]:
        """What prompts show of a class's values, one after the other."""
        return SpacePrompts(self.space).class_mean(concept_class)

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
        return images[(images - images.mean(0)).square().sum((1, 2, 3)).argmin()].clone()

    @property
    def sizes(self) -> Mapping[str, int]:
        """How many images each class has."""
        return {name: len(pool) for name, pool in self.pools.items()}

    def require_apart(self, train: int, held_out: int) -> None:
        """Refuse a probe whose images to train and to be judged by would overlap.

        Args:
            train: images of each class to train it.
            held_out: images of each class to judge it.

        Raises:
            UserError: a class has fewer than both together.
        """
        for name, size in sorted(self.sizes.items()):
            require_enough(train, held_out, size, f"images of class {name}")

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
