"""Ways to ask a model for a concept class: (model, h) -> (model', h') (paper section 4.4).

A protocol offers named settings; each setting maps a model and its conditioning to a possibly
changed denoiser and conditioning, after training and without touching the weights on disk.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol as Interface
from typing import runtime_checkable

from torch import Tensor

from conceptspace.diffusion.sampling import Denoiser
from conceptspace.diffusion.vdm import VDM
from conceptspace.tables import NAIVE


@runtime_checkable
class Embedding(Interface):
    """A denoiser that differs from a VDM in the condition embeddings alone.

    Prompts of such denoisers are sampled together in one batch.
    """

    def embed_condition(self, h: Tensor) -> list[Tensor]:
        """The condition embedding of every residual block, (batch, channels) each."""
        ...


Setting = Callable[[VDM, Tensor], tuple[Embedding | Denoiser, Tensor]]
"""(model, h of shape (batch, k)) -> (model', h' of the same batch)."""


@runtime_checkable
class Protocol(Interface):
    """A way to ask: a name, and named settings to try for a class."""

    @property
    def name(self) -> str:
        """Its name in tables and folders."""
        ...

    def settings(self, concept_class: str) -> Mapping[str, Setting]:
        """The settings by name; the name goes into the table's ``setting`` column."""
        ...


class Naive:
    """Prompt the model as it was trained."""

    name = NAIVE

    def settings(self, concept_class: str) -> Mapping[str, Setting]:
        """One setting, without a name."""
        return {"": lambda model, h: (model, h)}
