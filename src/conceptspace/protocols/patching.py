"""Embedding patching: a later checkpoint's condition embeddings (paper App. C.6)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from conceptspace.models.generative import EditableCondition, require
from conceptspace.protocols.base import Embedding, Protocol, Setting
from conceptspace.protocols.registry import Context, family
from conceptspace.tables import PATCHING
from conceptspace.worlds.world import Prompting

Embed = Callable[[Tensor], list[Tensor]]
"""Prompts (batch, k) -> the embedding of every place where they enter, (batch, channels) each."""


@dataclass(frozen=True)
class EmbeddingPatching:
    """The condition-embedding MLPs of a later checkpoint in an earlier model (paper App. C.6).

    Args:
        world: whose classes are prompted.
        later: embeds prompts as the model does at the later checkpoint.
        name: in tables and folders; one for each later checkpoint.
    """

    world: Prompting
    later: Embed
    name: str = PATCHING

    def settings(self, concept_class: str) -> Mapping[str, Setting]:
        """One setting, without a name, for OOD classes."""
        if concept_class not in self.world.space.ood_classes:
            return {}
        return {"": lambda model, h: (self._patched(model), h)}

    def _patched(self, model: Any) -> Patched:
        return Patched(require(model, EditableCondition, self.name), self.later)


@dataclass(frozen=True)
class Patched(Embedding):
    """Condition embeddings of another checkpoint."""

    model: EditableCondition
    later: Embed

    def embed_condition(self, h: Tensor) -> list[Tensor]:
        """The other checkpoint's embeddings, (batch, channels) each."""
        return self.later(h)


@family(
    PATCHING,
    names=lambda run: [PATCHING] if run.config.model.embeds else [],
    also=rf"{PATCHING}-\d+",
    usual=True,
)
def patching(name: str, run: Context) -> Protocol:
    """The embedding MLPs of the run's last checkpoint, or of step 400 as ``patching-400``."""
    _, _, step = name.partition("-")
    later = require(run.load(int(step) if step else None), EditableCondition, name)
    return EmbeddingPatching(run.world, later.embed_condition, name)
