"""What a page leaves out, by name and with the reason."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

MOST_NAMES = 3


@dataclass(frozen=True)
class LeftOut:
    """A run or folder that does not count.

    Attributes:
        name: on the page.
        reason: why; with ``shared`` the rest of "left out ...: NAMES".
        shared: whether several may be left out for this very reason; one sentence then names them.
    """

    name: str
    reason: str
    shared: bool = False


def sentences(left_out: Iterable[LeftOut]) -> list[str]:
    """One sentence for each reason, with the first names of those that share it."""
    shared: dict[str, list[str]] = {}
    own = []
    for each in dict.fromkeys(left_out):
        if each.shared:
            shared.setdefault(each.reason, []).append(each.name)
        else:
            own.append(f"Left out: {each.name}: {each.reason.rstrip('.')}.")
    return [f"Left out {reason}: {_shortened(names)}." for reason, names in shared.items()] + own


def _shortened(names: list[str]) -> str:
    more = len(names) - MOST_NAMES
    return ", ".join(names[:MOST_NAMES]) + (f" and {more} more" if more > 0 else "")
