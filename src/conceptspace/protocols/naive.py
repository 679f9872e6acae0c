"""The way to ask that every other is compared with."""

from __future__ import annotations

from collections.abc import Mapping

from conceptspace.protocols.base import Protocol, Setting
from conceptspace.protocols.registry import Context, family
from conceptspace.tables import NAIVE


class Naive:
    """Prompt the model as it was trained."""

    name = NAIVE

    def settings(self, concept_class: str) -> Mapping[str, Setting]:
        """One setting, without a name."""
        return {"": lambda model, h: (model, h)}


@family(NAIVE, usual=True)
def naive(name: str, run: Context) -> Protocol:
    """Naive prompting, which every run has."""
    return Naive()
