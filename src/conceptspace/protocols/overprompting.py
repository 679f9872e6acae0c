"""Overprompting: a concept exaggerated in the prompt (paper section 4.4, App. B)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from conceptspace.errors import UserError
from conceptspace.protocols.base import Protocol, Setting, in_name
from conceptspace.protocols.prompts import placed, replaced, shown
from conceptspace.protocols.registry import Context, family
from conceptspace.space import ConceptClass
from conceptspace.worlds.world import Prompting


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
        concept, columns = placed(self.world, self.concept, self.name)
        own = ConceptClass(concept_class).values[self.world.space.names.index(self.concept)]
        asked, found = [concept.mean(own)], {}
        for strength in sorted(self.strengths):
            value = concept.exaggerated(own, strength)
            if not any(torch.allclose(value, other, atol=1e-6) for other in asked):
                asked.append(value)
                found[in_name(strength)] = replaced(value, columns, self.name, concept, own)
        return found


@family(
    "overprompting",
    names=lambda run: [
        f"overprompting-{name}" for name in run.world.space.names if shown(run.world, name)
    ],
    usual=True,
)
def overprompting(name: str, run: Context) -> Protocol:
    """Overprompting of one of the run's concepts, with the strengths of the config.

    Raises:
        UserError: a strength asks for no more than a naive prompt.
    """
    strengths = run.config.evaluate.strengths
    if not all(strength > 1 for strength in strengths):
        raise UserError(
            f"evaluate.strengths = {list(strengths)} must all exceed 1, the strength of a naive "
            "prompt"
        )
    return Overprompting(run.world, name.removeprefix("overprompting-"), strengths)
