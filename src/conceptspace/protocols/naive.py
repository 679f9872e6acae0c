"""The way to ask that every other is compared with."""

from __future__ import annotations

from collections.abc import Mapping

from conceptspace.protocols.base import Setting
from conceptspace.tables import NAIVE


class Naive:
    """Prompt the model as it was trained."""

    name = NAIVE

    def settings(self, concept_class: str) -> Mapping[str, Setting]:
        """One setting, without a name."""
        return {"": lambda model, h: (model, h)}
