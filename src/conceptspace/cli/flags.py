"""Flags of settings: their names, and their values as the settings' types want them."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

from conceptspace.cli.settings import SECTIONS, Setting, dashed, form_of
from conceptspace.errors import UserError
from conceptspace.files import read_whole, toml
from conceptspace.hints import meant

WANTED = {"N": "a whole number", "X": "a number", "true|false": "true or false"}
"""What a flag takes, in words, by the form of its setting."""


def add_settings(command: argparse.ArgumentParser, settings: Iterable[Setting]) -> None:
    """Add a flag for every setting, in a group for each section."""
    groups: dict[str, Any] = {}
    for one in settings:
        section = one.name.split(".")[0] if "." in one.name else "run"
        if section not in groups:
            groups[section] = command.add_argument_group(f"settings: {section}")
        listed = one.form == "NAME"
        groups[section].add_argument(
            one.flag,
            dest="config/" + one.name,
            default=None,
            choices=one.choices if listed else None,
            metavar=None if listed else one.form,
            help=one.help().replace("%", "%%"),
        )


def kinds_named(arguments: Sequence[str]) -> dict[str, str]:
    """The kinds that a command names for the sections that come in kinds, ``{"data": "shapes"}``:
    by flag, or else in its ``--config``, or in the run that it goes on with.

    Code of one's own that only that run names is left out unless it is to be trusted.
    """
    found: dict[str, str] = {}
    places = {}
    if config_file := _given(arguments, "config"):
        places[config_file] = True
    if folder := _given(arguments, "out"):
        places[f"{folder}/config.toml"] = "--trust" in arguments
    for place, trusted in places.items():
        with contextlib.suppress(OSError, ValueError, TypeError):  # the command says what is wrong
            config = toml(read_whole(Path(place)).decode())
            kinds = {s: str(config[s]["kind"]) for s in SECTIONS if "kind" in config.get(s, {})}
            found = {s: kind for s, kind in kinds.items() if trusted or ":" not in kind}
            break
    named = {section: _given(arguments, f"{section}.kind") for section in SECTIONS}
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
        key.removeprefix("config/"): value
        for key, value in vars(options).items()
        if key.startswith("config/") and value is not None
    }
    return {name: converted(name, value, fields[name].annotation) for name, value in given.items()}


def assignments(texts: Sequence[str], **kinds: str) -> dict[str, Any]:
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
        twice = name.replace("-", "_") in {each.replace("-", "_") for each in found}
        if not (name and value) or twice:
            raise UserError(f"--where takes NAME=VALUE,VALUE, each name once, not {text!r}")
        found[name] = value
    return found


def converted(name: str, text: str, annotation: Any) -> Any:
    """The value of a flag as its field's type wants it; bounds are checked by the config.

    Raises:
        UserError: it is of another type.
    """
    from pydantic import TypeAdapter, ValidationError

    form, choices = form_of(annotation)
    several = form.endswith(",...")
    parts = [part.strip() for part in text.split(",") if part.strip()] if several else [text]
    item = form.removesuffix(",...")
    plain = _item(annotation)
    found = []
    for part in parts:
        try:
            found.append(TypeAdapter(plain).validate_python(part))
        except ValidationError:
            wanted = " or ".join(choices) if choices else WANTED.get(item, item)
            near = meant(part, choices)
            raise UserError(f"--{dashed(name)} takes {wanted}, not {part!r}{near}") from None
    return found if several else found[0]


def _item(annotation: Any) -> Any:
    """The type of a value, or of each value in a list, without bounds."""
    origin = get_origin(annotation)
    if origin is Annotated or origin is tuple:
        return _item(get_args(annotation)[0])
    return annotation
