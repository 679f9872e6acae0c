"""Ways to ask a model for a concept class: (model, h) -> (model', h') (paper section 4.4, App. B).

A protocol offers named settings; each setting maps a model and its conditioning to a possibly
changed model and conditioning, after training and without touching the weights on disk. A new
protocol is a class with a ``name`` and a method ``settings``. What it needs of a model beyond
prompts and images is an ability of :mod:`conceptspace.models.generative`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any, Literal, runtime_checkable
from typing import Protocol as Interface

import torch
from jaxtyping import Float
from torch import Tensor

from conceptspace.data.concepts import Concept, ConceptClass
from conceptspace.data.seeding import generator
from conceptspace.data.shapes import MEAN_SIZE, SMALLEST_SIZE
from conceptspace.data.world import Prompting
from conceptspace.diffusion.unet import BlockEmbeddings
from conceptspace.errors import UserError
from conceptspace.models.generative import EditableCondition, Guidable, require
from conceptspace.tables import NAIVE, PATCHING

FAR = 0.45
"""How far from the middle a direction's prompt stands: blue (.05, .05, .95) is 0.45 from grey."""

SIZES_FAR = {"published": 0.15, "text": 0.25}
"""The same for size: the published settings take 0.6 for large, the paper's App. B 0.7."""

UNIT, AROUND_ZERO = (0.0, 1.0), (-1.0, 1.0)
"""Limits of colors and attributes, and of positions; within other limits a prompt stands 0.9 of the
way from the middle to the nearer limit, as blue does."""

Order = Literal["published", "text"]
"""Two readings of the intervention; see :class:`LatentIntervention`."""


class Embedding(ABC):
    """A model that differs from another in the condition embeddings alone.

    Prompts of such models of one VDM, and of the VDM itself, are sampled together in one batch.

    Attributes:
        model: the other.
    """

    model: EditableCondition

    @abstractmethod
    def embed_condition(self, h: Tensor) -> list[Tensor]:
        """The condition embedding of every place where it enters, (batch, ...) each."""


Setting = Callable[[Any, Any], tuple[Any, Any]]
"""(model, prompts) -> (model', prompts' of the same number).

The returned model is the one that is asked: the given one, edited embeddings of it, a changed copy,
or whatever else makes images in its place.
"""


Edit = Callable[[EditableCondition, list[Tensor]], list[Tensor]]
"""(model, embeddings of all blocks, (batch, channels) each) -> changed embeddings."""


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

    A strength says how many times as far from the concept's center the prompt stands as the class
    mean: for colors 0.2 apart, 4.5 prompts blue with (.05, .05, .95). Prompts are cut at the
    concept's limits; strengths that the cut makes equal are asked once.

    Args:
        world: whose classes are prompted.
        concept: the concept that is exaggerated.
        strengths: above 1, one setting each.
    """

    world: Prompting
    concept: str
    strengths: Sequence[float]

    @property
    def name(self) -> str:
        """``overprompting-color``, for example."""
        return f"overprompting-{self.concept}"

    def settings(self, concept_class: str) -> Mapping[str, Setting]:
        """One setting per distinct prompt, for OOD classes.

        Raises:
            UserError: the world has no such concept, or its prompts no place for it.
        """
        if concept_class not in self.world.space.ood_classes:
            return {}
        concept, columns = _placed(self.world, self.concept, self.name)
        own = ConceptClass(concept_class).values[self.world.space.names.index(self.concept)]
        asked, found = [concept.mean(own)], {}
        for strength in sorted(self.strengths):
            value = concept.exaggerated(own, strength)
            if not any(torch.allclose(value, other, atol=1e-6) for other in asked):
                asked.append(value)
                found[f"{strength:g}"] = _replaced(value, columns, self.name)
        return found


def _placed(world: Prompting, name: str, protocol: str) -> tuple[Concept, slice]:
    """A concept, and where its values stand in the prompts."""
    what, names = type(world).__name__, world.space.names
    if name not in names:
        raise UserError(
            f"{protocol} changes the concept {name!r}, and {what} has {', '.join(names)}"
        )
    concept = world.space.concepts[names.index(name)]
    columns = world.columns.get(name)
    if columns is None:
        raise UserError(
            f"{protocol} changes the entries of {name!r} in a prompt, and {what}.columns names "
            f"{', '.join(world.columns)}; it needs a world whose prompts show the concepts' values"
        )
    if columns.stop - columns.start != len(concept.means[0]):
        raise UserError(
            f"{protocol} puts the {len(concept.means[0])} numbers of {name!r} into a prompt, and "
            f"{what}.columns has {columns.stop - columns.start} entries for it"
        )
    return concept, columns


def _replaced(value: Tensor, columns: slice, protocol: str) -> Setting:
    def apply(model: Any, h: Any) -> tuple[Any, Tensor]:
        if not isinstance(h, Tensor) or h.ndim != 2 or h.shape[1] < columns.stop:
            told = f"of shape {tuple(h.shape)}" if isinstance(h, Tensor) else "texts"
            raise UserError(
                f"{protocol} changes entries {columns.start}:{columns.stop} of prompts that are "
                f"vectors, and these are {told}"
            )
        h = h.clone()
        h[:, columns] = value.to(h)
        return model, h

    return apply


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


@dataclass(frozen=True)
class LatentIntervention:
    """Condition embeddings moved along directions in every block's embedding space (paper App. B).

    With e a block's condition embedding, P_add the projection onto the embedding of a prompt that
    shows one concept value alone (blue), and P_remove onto that of another (large):

    - order "published", as in the published settings: e₁ = e + α P_add e, then e₁ - β P_remove e₁;
      large is size 0.6;
    - order "text", the formula of App. B: e + α P_add e - β P_remove e; large is size 0.7.

    Args:
        world: whose classes are prompted.
        add: concept whose target value is strengthened.
        remove: concept whose other value is weakened, of several the most similar training value,
            see :meth:`ConceptSpace.axes`.
        alphas: weights of the added projection.
        betas: weights of the removed projection; every pair is one setting.
        order: see above.
    """

    world: Prompting
    add: str
    remove: str
    alphas: Sequence[float]
    betas: Sequence[float]
    order: Order = "published"

    @property
    def name(self) -> str:
        """``latent-intervention``, or ``latent-intervention-text``."""
        return "latent-intervention" + ("-text" if self.order == "text" else "")

    def settings(self, concept_class: str) -> Mapping[str, Setting]:
        """One setting per pair (alpha, beta), for OOD classes."""
        return {n: _edited(edit, self.name) for n, edit in self.edits(concept_class).items()}

    def edits(self, concept_class: str) -> Mapping[str, Edit]:
        """What each setting does to the embeddings, for OOD classes.

        Raises:
            UserError: the world lacks a concept, or its prompts a place for it.
        """
        if concept_class not in self.world.space.ood_classes:
            return {}
        for name in (self.add, self.remove):
            _placed(self.world, name, self.name)
        space = self.world.space
        values = dict(zip(space.names, ConceptClass(concept_class).values, strict=True))
        pair = space.axes(concept_class)[self.remove]
        other = next(value for value in pair if value != values[self.remove])
        add = self._prompt(self.add, values[self.add])
        remove = self._prompt(self.remove, other)
        return {
            f"alpha={a:g},beta={b:g}": self._edit(add, remove, a, b)
            for a, b in product(self.alphas, self.betas)
        }

    def _prompt(self, name: str, value: int) -> Float[Tensor, "1 k"]:
        """A prompt that shows one exaggerated concept value and nothing else."""
        concept, columns = _placed(self.world, name, self.name)
        h = torch.zeros_like(self.world.class_mean(self.world.space.classes[0]))[None]
        h[:, columns] = concept.at_distance(value, self._far(concept))
        return h

    def _far(self, concept: Concept) -> float:
        """How far from the center an exaggerated value stands, by the concept's own limits."""
        if (concept.limits, concept.center) == ((SMALLEST_SIZE, 1.0), MEAN_SIZE):
            return SIZES_FAR[self.order]
        if concept.limits in (UNIT, AROUND_ZERO):
            return FAR
        return FAR / 0.5 * min(abs(limit - concept.center) for limit in concept.limits)

    def _edit(self, add: Tensor, remove: Tensor, alpha: float, beta: float) -> Edit:
        def edit(model: EditableCondition, blocks: list[Tensor]) -> list[Tensor]:
            device = blocks[0].device
            plus, minus = (model.embed_condition(h.to(device)) for h in (add, remove))
            edited = []
            for e, p, m in zip(blocks, plus, minus, strict=True):
                moved = e + alpha * project(e, p[0])
                edited.append(moved - beta * project(e if self.order == "text" else moved, m[0]))
            return edited

        return edit


@dataclass(frozen=True)
class MatchedControl:
    """Displacements as large as an intervention's that carry no concept.

    Every setting of the intervention has a setting here. In each block and for each prompt the
    embedding e moves by the same distance d as under the intervention,

    - "scaling": along itself, e (1 + d / |e|), which makes the prompt louder;
    - "random": along a direction drawn once for each setting and block.

    Args:
        intervention: whose displacements are matched.
        kind: see above.
    """

    intervention: LatentIntervention
    kind: Literal["scaling", "random"]

    @property
    def name(self) -> str:
        """``latent-control-scaling`` or ``latent-control-random``."""
        return f"latent-control-{self.kind}"

    def settings(self, concept_class: str) -> Mapping[str, Setting]:
        """The intervention's settings, for OOD classes."""
        edits = self.intervention.edits(concept_class)
        return {n: _edited(self._matched(n, edit), self.name) for n, edit in edits.items()}

    def _matched(self, setting: str, intervene: Edit) -> Edit:
        def edit(model: EditableCondition, blocks: list[Tensor]) -> list[Tensor]:
            source = generator(0, "random displacement", setting)
            edited = []
            for e, target in zip(blocks, intervene(model, blocks), strict=True):
                if self.kind == "scaling":
                    direction = torch.nn.functional.normalize(e, dim=1)
                else:
                    drawn = torch.randn(e.shape[1], generator=source).to(e)
                    direction = (drawn / drawn.norm()).expand_as(e)
                edited.append(e + (target - e).norm(dim=1, keepdim=True) * direction)
            return edited

        return edit


def _edited(edit: Edit, protocol: str) -> Setting:
    def apply(model: Any, h: Any) -> tuple[Any, Any]:
        editable: EditableCondition = require(model, EditableCondition, protocol)
        return Edited(editable, lambda blocks: edit(editable, blocks)), h

    return apply


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

    def _setting(self, weight: float) -> Setting:
        return lambda model, h: (require(model, Guidable, self.name).guided(weight), h)


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
