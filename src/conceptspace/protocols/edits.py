"""Condition embeddings that are changed before the model uses them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, runtime_checkable
from typing import Protocol as Interface

import torch
from jaxtyping import Float
from torch import Tensor

from conceptspace.errors import UserError
from conceptspace.models.generative import EditableCondition, require
from conceptspace.protocols.base import Embedding, Setting

Edit = Callable[[EditableCondition, list[Tensor]], list[Tensor]]
"""(model, embeddings of all blocks, (batch, channels) each) -> changed embeddings."""


@runtime_checkable
class Editing(Interface):
    """A protocol each of whose settings is an edit."""

    def edits(self, concept_class: str) -> Mapping[str, Edit]:
        """The edits of the embeddings for a class, by setting."""
        ...


@dataclass(frozen=True)
class Edited(Embedding):
    """A model whose condition embeddings are changed block by block: h' = edit(h).

    Args:
        model: the model.
        edit: maps the embeddings of all blocks, (batch, channels) each.
    """

    model: EditableCondition
    edit: Callable[[list[Tensor]], list[Tensor]]

    def embed_condition(self, h: Tensor) -> list[Tensor]:
        """The changed embeddings."""
        return self.edit(self.model.embed_condition(h))


def edited(edit: Edit, protocol: str) -> Setting:
    """The setting that applies an edit; a model whose embeddings are closed is refused."""

    def apply(model: Any, h: Any) -> tuple[Any, Any]:
        editable: EditableCondition = require(model, EditableCondition, protocol)
        return Edited(editable, lambda blocks: edit(editable, blocks)), h

    return apply


def require_vectors(blocks: Sequence[Tensor], protocol: str) -> None:
    """Refuse condition embeddings that are sequences (batch, tokens, width).

    Raises:
        UserError: names their shape.
    """
    for block in blocks:
        if block.ndim != 2:
            raise UserError(
                f"{protocol} moves condition embeddings that are vectors, and these are sequences "
                f"of shape {tuple(block.shape[1:])}"
            )


def project(
    vectors: Float[Tensor, "batch k"], direction: Float[Tensor, " k"]
) -> Float[Tensor, "batch k"]:
    """The component of each vector along a direction; 0 for the zero direction."""
    scale = direction.square().sum().clamp(min=torch.finfo(direction.dtype).tiny)
    return (vectors @ direction / scale)[:, None] * direction
