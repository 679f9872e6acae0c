"""Condition embeddings made longer: a louder prompt, whatever it says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated

from conceptspace.config import SWEEP
from conceptspace.protocols.base import Protocol, Setting, in_name
from conceptspace.protocols.edits import edited
from conceptspace.protocols.registry import Context, family
from conceptspace.settings.description import Section
from conceptspace.worlds.world import Prompting


@dataclass(frozen=True)
class EmbeddingScaling:
    """The condition embedding e of every block becomes s e.

    A way to overprompt where prompts have no numbers to exaggerate, as one-hot codes. Unlike the
    control of the latent intervention, which moves as far as that does, it has strengths of its
    own.

    Args:
        world: whose OOD classes are asked for.
        strengths: s; 1 is naive. One setting each.
    """

    world: Prompting
    strengths: Sequence[float] = (1.5, 2.0, 3.0)
    name: str = field(default="embedding-scaling", init=False)

    def settings(self, concept_class: str) -> Mapping[str, Setting]:
        """One setting per strength, for OOD classes."""
        if concept_class not in self.world.space.ood_classes:
            return {}
        return {f"strength={in_name(s)}": self._setting(s) for s in self.strengths}

    def _setting(self, strength: float) -> Setting:
        return edited(lambda model, blocks: [strength * e for e in blocks], self.name)


class ScalingSettings(Section):
    """How much longer embeddings are made."""

    strengths: Annotated[tuple[float, ...], SWEEP] = (1.5, 2.0, 3.0)
    """How many times as long."""


@family(
    "embedding-scaling",
    names=lambda run: ["embedding-scaling"] if run.config.model.embeds else [],
    settings=ScalingSettings,
)
def embedding_scaling(name: str, run: Context) -> Protocol:
    """Scaling of the condition embeddings of a network that has them."""
    return EmbeddingScaling(run.world, run.own.strengths)
