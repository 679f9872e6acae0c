"""Condition embeddings moved by a difference of means over training prompts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from conceptspace.config import SWEEP
from conceptspace.models.generative import EditableCondition
from conceptspace.protocols.base import Protocol, Setting, in_name
from conceptspace.protocols.controls import MatchedControl
from conceptspace.protocols.draws import (
    Encode,
    checked_prompts,
    differing,
    encoder,
    encoder_of,
    pairs,
    require_pairs,
)
from conceptspace.protocols.edits import Edit, edited
from conceptspace.protocols.registry import Context, family
from conceptspace.settings.description import Section
from conceptspace.worlds.world import Prompting


@dataclass(frozen=True)
class EmbeddingSteering:
    """The condition embedding e of every block becomes e + s v.

    v is the mean embedding of training prompts with the concept's asked value less that of prompts
    with its other value, over training classes that differ in nothing else. Unlike in a latent
    intervention no prompt is made up: each one has been trained.

    Args:
        world: whose OOD classes are asked for.
        concept: whose values are compared.
        strengths: s; one setting each.
        prompts: drawn of each training class.
        encode: gives them, as the model is asked with; by default the world's concept vectors.
    """

    world: Prompting
    concept: str
    strengths: Sequence[float] = (1.0, 2.0, 4.0, 8.0)
    prompts: int = 64
    encode: Encode | None = None

    @property
    def name(self) -> str:
        """``embedding-steering-color``, for example."""
        return f"embedding-steering-{self.concept}"

    def settings(self, concept_class: str) -> Mapping[str, Setting]:
        """One setting per strength, for OOD classes with training classes to compare.

        Raises:
            UserError: there are none for any class.
        """
        return {n: edited(edit, self.name) for n, edit in self.edits(concept_class).items()}

    def edits(self, concept_class: str) -> Mapping[str, Edit]:
        """What each setting does to the embeddings.

        Raises:
            UserError: see :meth:`settings`.
        """
        space = self.world.space
        require_pairs(space, self.concept, self.name)
        if concept_class not in space.ood_classes:
            return {}
        compared = pairs(space, self.concept, concept_class)
        return {
            f"strength={in_name(s)}": self._edit(compared, s)
            for s in (self.strengths if compared else ())
        }

    def _edit(self, compared: Sequence[tuple[str, str]], strength: float) -> Edit:
        def edit(model: EditableCondition, blocks: list[Tensor]) -> list[Tensor]:
            device = blocks[0].device
            moved = list(blocks)
            for other, asked in compared:
                ends = self._means(model, other, device), self._means(model, asked, device)
                for i, (a, b) in enumerate(zip(*ends, strict=True)):
                    moved[i] = moved[i] + strength * (b - a) / len(compared)
            return moved

        return edit

    def _means(
        self, model: EditableCondition, concept_class: str, device: torch.device
    ) -> list[Tensor]:
        encode = self.encode or encoder(self.world)
        prompts = checked_prompts(encode, concept_class, self.prompts, self.name).to(device)
        return [block.mean(0) for block in model.embed_condition(prompts)]


class EmbeddingSteeringSettings(Section):
    """How far condition embeddings are moved."""

    strengths: Annotated[tuple[float, ...], SWEEP] = (1.0, 2.0, 4.0, 8.0)
    """How many times the difference of means."""
    prompts: int = Field(64, ge=1, le=10**5)
    """Prompts of each training class that is compared."""


@family(
    "embedding-steering",
    names=lambda run: [
        f"embedding-steering-{kind}{concept}"
        for concept in differing(run.world.space)
        for kind in ("", "control-")
    ],
    settings=EmbeddingSteeringSettings,
    controls=lambda name: (
        name.replace("-control", "", 1) if name.startswith("embedding-steering-control-") else ""
    ),
)
def embedding_steering(name: str, run: Context) -> Protocol:
    """Steering of the condition embeddings, or its control: as far in random directions."""
    kind = name.removeprefix("embedding-steering-")
    concept = kind.removeprefix("control-")
    own = run.own
    found = EmbeddingSteering(run.world, concept, own.strengths, own.prompts, encoder_of(run))
    return found if kind == concept else MatchedControl(found, "random", name)
