"""Flags of settings: their names, and their values as the settings' types want them."""

from __future__ import annotations

import argparse
import contextlib
import tomllib
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, get_origin

from conceptspace.errors import UserError


def dashed(name: str) -> str:
    """A setting's name as a flag has it."""
    return name.replace("_", "-")


def kinds_named(arguments: Sequence[str]) -> dict[str, str]:
    """The kinds that a command names for the sections that come in kinds, ``{"data": "shapes"}``:
    by flag, or else in its ``--config``, or in the run that it goes on with.

    Code of one's own that only that run names is left out unless it is to be trusted.
    """
    from conceptspace.config import KINDS

    found: dict[str, str] = {}
    places = {_given(arguments, "config"): True}
    places[_given(arguments, "out") + "/config.toml"] = "--trust" in arguments
    for place, trusted in places.items():
        with contextlib.suppress(OSError, ValueError, TypeError):  # the command says what is wrong
            told = tomllib.loads(Path(place).read_text())
            kinds = {s: str(told[s]["kind"]) for s in KINDS if "kind" in told.get(s, {})}
            found = {s: kind for s, kind in kinds.items() if trusted or ":" not in kind}
            break
    named = {section: _given(arguments, f"{section}.kind") for section in KINDS}
    return found | {section: kind for section, kind in named.items() if kind}


def _given(arguments: Sequence[str], flag: str) -> str:
    """The last value of a flag; empty without it."""
    value = ""
    for argument, following in pairwise([*arguments, ""]):
        if argument == f"--{flag}":
            value = following
        elif argument.startswith(f"--{flag}="):
            value = argument.partition("=")[2]
    return value


def overrides(options: argparse.Namespace) -> dict[str, Any]:
    """The config fields given as flags, converted to the fields' types.

    Raises:
        UserError: a value is not of its field's type.
    """
    from conceptspace.config import field_names

    fields = field_names(**options.kinds)
    given = {
        key.removeprefix("config:"): value
        for key, value in vars(options).items()
        if key.startswith("config:") and value is not None
    }
    return {name: converted(name, value, fields[name].annotation) for name, value in given.items()}


def pairs(texts: Sequence[str], **kinds: str) -> dict[str, Any]:
    """Config fields given as ``data.color-separation=0.8``, converted to the fields' types.

    Args:
        texts: as above.
        kinds: see :func:`conceptspace.config.field_names`.

    Raises:
        UserError: an unknown field, or a value that is not of its type.
    """
    from conceptspace.config import field_names

    fields, found = field_names(**kinds), {}
    for text in texts:
        name, _, value = text.partition("=")
        key = name.replace("-", "_")
        if key not in fields or not value:
            raise UserError(f"--versus takes NAME=VALUE with the name of a setting, not {text!r}")
        found[key] = converted(key, value, fields[key].annotation)
    return found


def choices(texts: Sequence[str]) -> dict[str, str]:
    """Values to choose runs by, given as ``data.color_separation=0.3,0.4``.

    Raises:
        UserError: one is written otherwise, or a setting is named twice.
    """
    found: dict[str, str] = {}
    for text in texts:
        name, _, value = text.partition("=")
        key = name.replace("-", "_")
        if not (key and value) or key in found:
            raise UserError(f"--where takes NAME=VALUE,VALUE, each name once, not {text!r}")
        found[key] = value
    return found


def converted(name: str, text: str, annotation: Any) -> Any:
    """The value of a flag as its field's type wants it.

    Raises:
        UserError: it is of another type.
    """
    if get_origin(annotation) is Annotated:
        return converted(name, text, annotation.__origin__)
    if get_origin(annotation) is tuple:
        item = annotation.__args__[0]
        return [converted(name, part.strip(), item) for part in text.split(",") if part.strip()]
    if annotation is bool:
        if text not in ("true", "false"):
            raise UserError(f"--{dashed(name)} takes true or false, not {text!r}")
        return text == "true"
    try:
        return annotation(text) if annotation in (int, float) else text
    except ValueError:
        kind = {int: "a whole number", float: "a number"}[annotation]
        raise UserError(f"--{dashed(name)} takes {kind}, not {text!r}") from None
