"""Flags of settings: their names, and their values as the settings' types want them."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Annotated, Any, get_origin

from conceptspace.errors import UserError


def dashed(name: str) -> str:
    """A setting's name as a flag has it."""
    return name.replace("_", "-")


def overrides(options: argparse.Namespace) -> dict[str, Any]:
    """The config fields given as flags, converted to the fields' types.

    Raises:
        UserError: a value is not of its field's type.
    """
    from conceptspace.config import field_names

    fields = field_names()
    given = {
        key.removeprefix("config:"): value
        for key, value in vars(options).items()
        if key.startswith("config:") and value is not None
    }
    return {name: converted(name, value, fields[name].annotation) for name, value in given.items()}


def pairs(texts: Sequence[str]) -> dict[str, Any]:
    """Config fields given as ``data.color-separation=0.8``, converted to the fields' types.

    Raises:
        UserError: an unknown field, or a value that is not of its type.
    """
    from conceptspace.config import field_names

    fields, found = field_names(), {}
    for text in texts:
        name, _, value = text.partition("=")
        key = name.replace("-", "_")
        if key not in fields or not value:
            raise UserError(f"--versus takes NAME=VALUE with the name of a setting, not {text!r}")
        found[key] = converted(key, value, fields[key].annotation)
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
