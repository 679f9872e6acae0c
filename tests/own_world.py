"""A world of one's own: patches of two numbers, with prompts in an order of their own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from conceptspace.space import Concept, ConceptClass, ConceptSpace, all_classes

HUE = Concept("hue", ("cold", "warm"), ((0.3,), (0.7,)), 0.05)
LIGHT = Concept("light", ("dark", "bright"), ((0.2,), (0.8,)), 0.05)


class OwnWorld:
    """Red in the upper half follows the first concept, green in the lower one the second.

    Tests change one of its methods to see what is refused.
    """

    augmentation = None

    def __init__(self, concepts: Sequence[Concept] = (HUE, LIGHT), resolution: int = 8) -> None:
        classes = all_classes(2)
        self.space = ConceptSpace(tuple(concepts), classes[:3], classes[3:])
        self.resolution = resolution
        self.columns = {concept.name: slice(i, i + 1) for i, concept in enumerate(concepts)}

    def sample(self, concept_class: str, count: int, generator: torch.Generator) -> Tensor:
        parts = zip(self.space.concepts, ConceptClass(concept_class).values, strict=True)
        return torch.cat([c.sample(bit, count, generator) for c, bit in parts], dim=1)

    def class_mean(self, concept_class: str) -> Tensor:
        parts = zip(self.space.concepts, ConceptClass(concept_class).values, strict=True)
        return torch.cat([concept.mean(bit) for concept, bit in parts])

    def draw(
        self, concept_class: str, count: int, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        z = self.sample(concept_class, count, generator)
        return self.render(z), z

    def render(self, z: Tensor) -> Tensor:
        half = self.resolution // 2
        images = torch.full((len(z), 3, self.resolution, self.resolution), 0.5)
        images[:, 0, :half] = z[:, 0, None, None]
        images[:, 1, half:] = z[:, 1, None, None]
        return images

    def picture(self, concept_class: str) -> Tensor:
        return self.render(self.class_mean(concept_class)[None])[0]

    def labelled(self, purpose: str, count: int, margin: float) -> tuple[Tensor, Tensor]:
        source = torch.Generator().manual_seed(int(purpose == "train"))
        drawn = [self.draw(c, count, source)[0] for c in all_classes(2)]
        bits = [torch.tensor(c.values).expand(count, -1) for c in all_classes(2)]
        return torch.cat(drawn), torch.cat(bits)

    def recipe(self, margin: float) -> dict[str, Any]:
        return {"own": [concept.name for concept in self.space.concepts]}
