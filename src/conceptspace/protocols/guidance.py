"""Classifier-free guidance as a way to ask (paper App. C.5)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from conceptspace.models.generative import Guidable, require
from conceptspace.protocols.base import Costly, Protocol, Setting, in_name
from conceptspace.protocols.registry import Context, family


@dataclass(frozen=True)
class Guidance(Costly):
    """Classifier-free guidance, for models trained with dropped conditions (paper App. C.5).

    Args:
        weights: one setting each.
    """

    weights: Sequence[float]
    name: str = field(default="guidance", init=False)

    @property
    def passes(self) -> int:
        """With the prompt and without it."""
        return 2

    def settings(self, concept_class: str) -> Mapping[str, Setting]:
        """One setting per weight, for every class."""
        return {in_name(w): self._setting(w) for w in self.weights}

    def _setting(self, weight: float) -> Setting:
        return lambda model, h: (require(model, Guidable, self.name).guided(weight), h)


@family(
    "guidance",
    names=lambda run: ["guidance"] if run.config.train.condition_dropout > 0 else [],
    usual=True,
)
def guidance(name: str, run: Context) -> Protocol:
    """Guidance of a run that was trained with dropped conditions, with the config's weights."""
    return Guidance(run.config.evaluate.guidance)
