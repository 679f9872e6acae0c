"""Latent intervention: condition embeddings moved along concepts (paper section 4.4, App. B)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from conceptspace.errors import UserError
from conceptspace.models.generative import EditableCondition
from conceptspace.protocols.base import Protocol, Setting, in_name
from conceptspace.protocols.edits import Edit, edited, project, require_vectors
from conceptspace.protocols.prompts import placed, shown
from conceptspace.protocols.registry import Context, family
from conceptspace.settings.description import Section
from conceptspace.space import Concept, ConceptClass
from conceptspace.worlds.shapes.world import MEAN_SIZE, SMALLEST_SIZE
from conceptspace.worlds.world import Prompting

FAR = 0.45
"""How far from the middle a direction's prompt stands: blue (.05, .05, .95) is 0.45 from grey."""

SIZES_FAR = {"published": 0.15, "text": 0.25}
"""The same for size: the published settings take 0.6 for large, the paper's App. B 0.7."""

UNIT, AROUND_ZERO = (0.0, 1.0), (-1.0, 1.0)
"""Limits of colors and attributes, and of positions; within other limits a prompt stands 0.9 of the
way from the middle to the nearer limit, as blue does."""

Order = Literal["published", "text"]
"""Two readings of the intervention; see :class:`LatentIntervention`."""


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
        return {n: edited(edit, self.name) for n, edit in self.edits(concept_class).items()}

    def edits(self, concept_class: str) -> Mapping[str, Edit]:
        """What each setting does to the embeddings, for OOD classes.

        Raises:
            UserError: the world lacks a concept, or its prompts a place for it.
        """
        if concept_class not in self.world.space.ood_classes:
            return {}
        for name in (self.add, self.remove):
            placed(self.world, name, self.name)
        space = self.world.space
        values = dict(zip(space.names, ConceptClass(concept_class).values, strict=True))
        pair = space.axes(concept_class)[self.remove]
        other = next(value for value in pair if value != values[self.remove])
        add = self._prompt(self.add, values[self.add])
        remove = self._prompt(self.remove, other)
        return {
            f"alpha={in_name(a)},beta={in_name(b)}": self._edit(add, remove, a, b)
            for a, b in product(self.alphas, self.betas)
        }

    def _prompt(self, name: str, value: int) -> Float[Tensor, "1 k"]:
        """A prompt that shows one exaggerated concept value and nothing else."""
        concept, columns = placed(self.world, name, self.name)
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
            require_vectors(blocks, self.name)
            device = blocks[0].device
            plus, minus = (model.embed_condition(h.to(device)) for h in (add, remove))
            edited = []
            for e, p, m in zip(blocks, plus, minus, strict=True):
                moved = e + alpha * project(e, p[0])
                edited.append(moved - beta * project(e if self.order == "text" else moved, m[0]))
            return edited

        return edit


FAMILY = "latent-intervention"

NAMES: dict[str, Order] = {"latent-intervention": "published", "latent-intervention-text": "text"}


class InterventionSettings(Section):
    """Which concepts are moved, by the intervention and by its controls."""

    add: str = ""
    """Concept whose wanted value is added; empty: color, or else the first."""
    remove: str = ""
    """Concept whose unwanted value is removed; empty: size, or else the second."""

    def left_out(self) -> frozenset[str]:
        """Runs in which nothing was chosen are stored as before there was a choice."""
        return frozenset(["add", "remove"])


def with_two_concepts(run: Context, names: Iterable[str]) -> list[str]:
    """The names, if the run has a second concept, whose other value can be removed, its prompts
    show both, and its network embeds prompts.

    Raises:
        UserError: see :func:`intervention`.
    """
    pair = _pair(run)
    fits = run.config.model.embeds and len(pair) == 2 and shown(run.world, *pair)
    return list(names) if fits else []


def intervention(run: Context, order: Order) -> LatentIntervention:
    """The intervention on the concepts that the config names, or on color and size, or on the
    run's first two.

    Raises:
        UserError: the config names one that there is not, or one for both.
    """
    (add, remove), sweep = _pair(run), run.config.evaluate
    return LatentIntervention(run.world, add, remove, sweep.alphas, sweep.betas, order)


def _pair(run: Context) -> tuple[str, ...]:
    """The concepts that are added and removed; fewer if there are not two."""
    concepts = run.world.space.names
    usual = ("color", "size") if {"color", "size"} <= set(concepts) else concepts[:2]
    section = run.config.protocols.get(FAMILY, {})
    named = {setting: section.get(setting, "") for setting in ("add", "remove")}
    for setting, name in named.items():
        if name and name not in concepts:
            raise UserError(
                f"protocols.{FAMILY}.{setting} = {name!r}: the concepts are {', '.join(concepts)}"
            )
    add, remove = named.values()
    if add and add == remove:
        raise UserError(f"protocols.{FAMILY} adds and removes {add}; name two concepts")
    add = add or next((name for name in usual if name != remove), "")
    remove = remove or next((name for name in reversed(usual) if name != add), "")
    return tuple(name for name in (add, remove) if name)


def moved(name: str, run: Context) -> dict[str, str]:
    """Which concepts the intervention and its controls move, whether the config names them or not.

    Raises:
        UserError: see :func:`intervention`.
    """
    keys = (f"protocols.{FAMILY}.{setting}" for setting in ("add", "remove"))
    return dict(zip(keys, _pair(run), strict=False))


@family(
    FAMILY,
    names=lambda run: with_two_concepts(run, NAMES),
    settings=InterventionSettings,
    usual=True,
    fixed=moved,
)
def latent_intervention(name: str, run: Context) -> Protocol:
    """Latent intervention in one of its readings, with the config's sweep."""
    return intervention(run, NAMES[name])
