"""Prompt ensembling: the mean of the condition embeddings of several prompts of one class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import torch
from torch import Tensor

from conceptspace.errors import UserError
from conceptspace.models.generative import EditableCondition
from conceptspace.protocols.base import Protocol, Setting
from conceptspace.protocols.draws import Encode, checked_prompts, encoder, encoder_of
from conceptspace.protocols.edits import edited
from conceptspace.protocols.registry import Context, family
from conceptspace.seeding import generator
from conceptspace.settings.bounds import Each
from conceptspace.settings.description import Section
from conceptspace.worlds.world import Prompting

CONTROLS = ("single", "random")


@dataclass(frozen=True)
class PromptEnsemble:
    """The class is asked with the mean embedding of k of its prompts (as in arXiv 2103.00020).

    Controls with the same k:

    - "single": the same k prompts, but each sample is asked with one of them, in turn;
    - "random": the mean embedding of k prompts, each of a training class drawn at random.

    Args:
        world: whose OOD classes are asked for.
        draws: k; one setting each.
        encode: gives prompts of a class, e.g. ``lambda name, count: paraphrases[name][:count]``; by
            default draws of the world's concept vectors.
        control: see above; "" is the ensemble itself.
    """

    world: Prompting
    draws: Sequence[int] = (4, 16)
    encode: Encode | None = None
    control: Literal["", "single", "random"] = ""

    @property
    def name(self) -> str:
        """``ensemble``, ``ensemble-control-single`` or ``ensemble-control-random``."""
        return "ensemble" + (f"-control-{self.control}" if self.control else "")

    def settings(self, concept_class: str) -> Mapping[str, Setting]:
        """One setting per number of prompts, for OOD classes.

        Raises:
            UserError: all prompts of the class are the same, so that their mean is the plain one.
        """
        if concept_class not in self.world.space.ood_classes:
            return {}
        return {f"draws={count}": self._setting(concept_class, count) for count in self.draws}

    def _setting(self, concept_class: str, count: int) -> Setting:
        encode = self.encode or encoder(self.world)
        prompts = checked_prompts(encode, concept_class, count, self.name)
        if count > 1 and bool((prompts == prompts[:1]).all()):
            raise UserError(
                f"{self.name}: all {count} prompts of class {concept_class} are the same, so that "
                "their mean is the plain prompt; give encode=, which returns different ones"
            )
        if self.control == "single":
            return lambda model, h: (model, _in_turn(prompts, h))
        if self.control == "random":
            prompts = self._of_training(encode, count)

        def edit(model: EditableCondition, blocks: list[Tensor]) -> list[Tensor]:
            several = model.embed_condition(prompts.to(blocks[0].device))
            pairs = zip(blocks, several, strict=True)
            return [each.mean(0, keepdim=True).expand_as(e).to(e) for e, each in pairs]

        return edited(edit, self.name)

    def _of_training(self, encode: Encode, count: int) -> Tensor:
        trained = self.world.space.train_classes
        source = generator(0, "classes of an ensemble's control", count)
        chosen = torch.randint(len(trained), (count,), generator=source).tolist()
        found = {c: checked_prompts(encode, trained[c], count, self.name) for c in set(chosen)}
        return torch.stack([found[c][i] for i, c in enumerate(chosen)])


def _in_turn(prompts: Tensor, h: Any) -> Tensor:
    """One of the prompts for each row of h, where h is."""
    chosen = prompts[torch.arange(len(h)) % len(prompts)]
    return chosen.to(h) if isinstance(h, Tensor) else chosen


class EnsembleSettings(Section):
    """How many prompts are averaged."""

    draws: Annotated[tuple[int, ...], Each(1, 10**4, 100)] = (4, 16)
    """Numbers of prompts."""


def _names(run: Context) -> list[str]:
    """All three, where two draws of a class are two prompts."""
    for name in run.world.space.ood_classes:
        first, second = encoder_of(run)(str(name), 2)
        if bool((first == second).all()):
            return []
    return ["ensemble", *(f"ensemble-control-{kind}" for kind in CONTROLS)]


@family(
    "ensemble",
    names=_names,
    settings=EnsembleSettings,
    controls=lambda name: "ensemble" if name != "ensemble" else "",
)
def ensemble(name: str, run: Context) -> Protocol:
    """Prompt ensembling over draws of the class, or a control."""
    control: Any = name.removeprefix("ensemble").removeprefix("-control-")
    return PromptEnsemble(run.world, run.own.draws, encoder_of(run), control)
