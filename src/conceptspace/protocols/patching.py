"""Embedding patching: a later checkpoint's condition embeddings (paper App. C.6)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from conceptspace.models.generative import EditableCondition, require
from conceptspace.models.unet import BlockEmbeddings
from conceptspace.protocols.base import Embedding, Protocol, Setting
from conceptspace.protocols.registry import Context, family
from conceptspace.tables import PATCHING
from conceptspace.worlds.world import Prompting


@dataclass(frozen=True)
class EmbeddingPatching:
    """The condition-embedding MLPs of a later checkpoint in an earlier model (paper App. C.6).

    Args:
        world: whose classes are prompted.
        later: the embedding MLPs of all blocks at the later checkpoint.
        name: in tables and folders; one for each later checkpoint.
    """

    world: Prompting
    later: BlockEmbeddings
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
    embeddings: BlockEmbeddings

    def embed_condition(self, h: Tensor) -> list[Tensor]:
        """The other checkpoint's embeddings, (batch, channels) each."""
        embedded: list[Tensor] = self.embeddings(h)
        return embedded


@family(PATCHING, also=rf"{PATCHING}-\d+", usual=True)
def patching(name: str, run: Context) -> Protocol:
    """The embedding MLPs of the run's last checkpoint, or of step 400 as ``patching-400``."""
    _, _, step = name.partition("-")
    later = run.load(int(step) if step else None)
    return EmbeddingPatching(run.world, later.network.block_condition, name)
