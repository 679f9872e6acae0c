"""What a message proposes: the name that was meant, and a command that can be pasted."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from difflib import get_close_matches
from os import PathLike


def meant(name: str, known: Iterable[str]) -> str:
    """The clause that proposes the nearest of the known names; empty where none is near."""
    close = get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""


def command(*words: str | PathLike[str]) -> str:
    """A call of this program, quoted for a shell: ``conceptspace run --out 'my runs/a'``."""
    return shlex.join(["conceptspace", *map(str, words)])


def quoted(place: str | PathLike[str]) -> str:
    """A path as a shell takes it."""
    return shlex.quote(str(place))
