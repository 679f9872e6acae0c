"""Ways to ask a model for a concept class: (model, h) -> (model', h') (paper section 4.4, App. B).

A protocol offers named settings; each setting maps a model and its conditioning to a possibly
changed denoiser and conditioning, after training and without touching the weights on disk. A new
protocol is a class with a ``name`` and a method ``settings``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Protocol as Interface
from typing import runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from conceptspace.data.concepts import ConceptClass
from conceptspace.data.seeding import generator
from conceptspace.data.world import World
from conceptspace.diffusion.guidance import GuidedDenoiser
from conceptspace.diffusion.sampling import Denoiser
from conceptspace.diffusion.unet import BlockEmbeddings
from conceptspace.diffusion.vdm import VDM
from conceptspace.tables import NAIVE, PATCHING

FAR = {"size": 0.25}
"""How far from the middle a concept's direction prompt stands: size 0.7 is 0.25 from 0.45."""

FARTHEST = 0.45
"""The same for the other concepts: (.05, .05, .95) is 0.45 from grey (paper App. B)."""


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
        """The settings by name, none if the protocol has nothing to say of the class."""
        ...


class Naive:
    """Prompt the model as it was trained."""

    name = NAIVE

    def settings(self, concept_class: str) -> Mapping[str, Setting]:
        """One setting, without a name."""
        return {"": lambda model, h: (model, h)}


@dataclass(frozen=True)
class Overprompting:
    """One concept of h exaggerated beyond the class mean (paper App. B).

    A strength is the distance of the prompted value from the concept's center, in every number:
    0.45 prompts blue with (.05, .05, .95), whatever the separation of the classes.

    Args:
        world: whose classes are prompted.
        concept: the concept that is exaggerated.
        strengths: one setting each.
    """

    world: World
    concept: str
    strengths: Sequence[float]

    @property
    def name(self) -> str:
        """``overprompting-color``, for example."""
        return f"overprompting-{self.concept}"

    def settings(self, concept_class: str) -> Mapping[str, Setting]:
        """One setting per strength, for OOD classes."""
        if concept_class not in self.world.space.ood_classes:
            return {}
        index = self.world.space.names.index(self.concept)
        concept = self.world.space.concepts[index]
        bit = ConceptClass(concept_class).bits[index]
        return {
            f"{s:g}": _replaced(concept.extrapolated(bit, s), self.world.columns[self.concept])
            for s in self.strengths
        }


def _replaced(value: Tensor, columns: slice) -> Setting:
    def apply(model: VDM, h: Tensor) -> tuple[Embedding | Denoiser, Tensor]:
        h = h.clone()
        h[:, columns] = value.to(h)
        return model, h

    return apply


@dataclass(frozen=True)
class Edited:
    """A model whose condition embeddings are changed block by block: h' = edit(h).

    Args:
        model: the model.
        edit: maps the embeddings of all blocks, (batch, channels) each.
    """

    model: VDM
    edit: Callable[[list[Tensor]], list[Tensor]]

    def embed_condition(self, h: Tensor) -> list[Tensor]:
        """The changed embeddings."""
        return self.edit(self.model.embed_condition(h))


@dataclass(frozen=True)
class LatentIntervention:
    """h' = h + alpha h_add - beta h_remove in every block's embedding space (paper App. B).

    h is a block's condition embedding; h_add is its projection onto the embedding of a prompt
    that shows one concept value alone, h_remove onto that of another. For colour and size these
    are blue (.05, .05, .95) and size 0.7.

    Args:
        world: whose classes are prompted.
        add: concept whose target value is strengthened.
        remove: concept whose other value is weakened.
        alphas: weights of the added projection.
        betas: weights of the removed projection; every pair is one setting.
        shuffled: a control: each direction's entries are permuted at random, which keeps its norm.
    """

    world: World
    add: str
    remove: str
    alphas: Sequence[float]
    betas: Sequence[float]
    shuffled: bool = False

    @property
    def name(self) -> str:
        """``latent-intervention``, or ``latent-control`` with shuffled directions."""
        return "latent-control" if self.shuffled else "latent-intervention"

    def settings(self, concept_class: str) -> Mapping[str, Setting]:
        """One setting per pair (alpha, beta), for OOD classes."""
        if concept_class not in self.world.space.ood_classes:
            return {}
        bits = dict(zip(self.world.space.names, ConceptClass(concept_class).bits, strict=True))
        add = self._prompt(self.add, bits[self.add])
        remove = self._prompt(self.remove, 1 - bits[self.remove])
        return {
            f"alpha={a:g},beta={b:g}": self._setting(add, remove, a, b)
            for a, b in product(self.alphas, self.betas)
        }

    def _prompt(self, name: str, bit: int) -> Float[Tensor, "1 k"]:
        """A prompt that shows one exaggerated concept value and nothing else."""
        concept = self.world.space.concepts[self.world.space.names.index(name)]
        h = torch.zeros_like(self.world.class_mean(self.world.space.classes[0]))[None]
        h[:, self.world.columns[name]] = concept.extrapolated(bit, FAR.get(name, FARTHEST))
        return h

    def _setting(self, add: Tensor, remove: Tensor, alpha: float, beta: float) -> Setting:
        def apply(model: VDM, h: Tensor) -> tuple[Embedding | Denoiser, Tensor]:
            plus = self._directions(model, add.to(h), "add")
            minus = self._directions(model, remove.to(h), "remove")

            def edit(blocks: list[Tensor]) -> list[Tensor]:
                return [
                    e + alpha * project(e, p) - beta * project(e, m)
                    for e, p, m in zip(blocks, plus, minus, strict=True)
                ]

            return Edited(model, edit), h

        return apply

    def _directions(self, model: VDM, prompt: Tensor, purpose: str) -> list[Tensor]:
        directions = [block[0] for block in model.embed_condition(prompt)]
        if not self.shuffled:
            return directions
        source = generator(0, "shuffled", purpose)
        return [d[torch.randperm(len(d), generator=source).to(d.device)] for d in directions]


def project(
    vectors: Float[Tensor, "batch k"], direction: Float[Tensor, " k"]
) -> Float[Tensor, "batch k"]:
    """The component of each vector along a direction; 0 for the zero direction."""
    scale = direction.square().sum().clamp(min=torch.finfo(direction.dtype).tiny)
    return (vectors @ direction / scale)[:, None] * direction


@dataclass(frozen=True)
class Guidance:
    """Classifier-free guidance, for models trained with dropped conditions (paper App. C.5).

    Args:
        weights: one setting each.
    """

    weights: Sequence[float]
    name: str = field(default="guidance", init=False)

    def settings(self, concept_class: str) -> Mapping[str, Setting]:
        """One setting per weight, for every class."""
        return {f"{w:g}": self._setting(w) for w in self.weights}

    @staticmethod
    def _setting(weight: float) -> Setting:
        return lambda model, h: (GuidedDenoiser(model, weight), h)


@dataclass(frozen=True)
class EmbeddingPatching:
    """The condition-embedding MLPs of a later checkpoint in an earlier model (paper App. C.6).

    Args:
        world: whose classes are prompted.
        later: the embedding MLPs of all blocks at the later checkpoint.
        name: in tables and folders; one for each later checkpoint.
    """

    world: World
    later: BlockEmbeddings
    name: str = PATCHING

    def settings(self, concept_class: str) -> Mapping[str, Setting]:
        """One setting, without a name, for OOD classes."""
        if concept_class not in self.world.space.ood_classes:
            return {}
        return {"": lambda model, h: (Patched(self.later), h)}


@dataclass(frozen=True)
class Patched:
    """Condition embeddings of another checkpoint."""

    embeddings: BlockEmbeddings

    def embed_condition(self, h: Tensor) -> list[Tensor]:
        """The other checkpoint's embeddings, (batch, channels) each."""
        embedded: list[Tensor] = self.embeddings(h)
        return embedded
