"""The way to ask that every other is compared with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from conceptspace.errors import UserError
from conceptspace.protocols.base import Protocol, Setting, require_name
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


def with_naive(protocols: Sequence[Protocol]) -> list[Protocol]:
    """Naive prompting first, then the others.

    Raises:
        UserError: one is no protocol, two have the same name, or a name cannot be that of a folder.
    """
    for protocol in protocols:
        if isinstance(protocol, type) or not isinstance(protocol, Protocol):
            raise UserError(
                "a protocol is an object with a name, and a method settings(concept_class) that "
                f"gives functions by name; {protocol!r:.80} is none"
            )
    every: list[Protocol] = [Naive(), *(p for p in protocols if not isinstance(p, Naive))]
    names = [protocol.name for protocol in every]
    for name in names:
        require_name(name)
        if names.count(name) > 1:
            raise UserError(f"two protocols are called {name}; each needs a name of its own")
    return every
