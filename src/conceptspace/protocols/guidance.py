"""Classifier-free guidance as a way to ask (paper App. C.5)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from conceptspace.models.generative import Guidable, require
from conceptspace.protocols.base import Setting


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
