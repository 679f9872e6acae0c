"""Settings as nested mappings, as TOML and command lines give them, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from conceptspace.hints import meant


def nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    """``{"train.steps": 3}`` as ``{"train": {"steps": 3}}``."""
    tree: dict[str, Any] = {}
    for name, value in flat.items():
        *sections, leaf = name.split(".")
        node = tree
        for section in sections:
            node = node.setdefault(section, {})
        node[leaf] = value
    return tree


def merge(tree: dict[str, Any], values: Mapping[str, Any]) -> None:
    """Put the values into a tree, section by section."""
    for key, value in values.items():
        if isinstance(value, Mapping) and isinstance(tree.get(key), dict):
            merge(tree[key], value)
        else:
            tree[key] = value


def tuples(value: Any) -> Any:
    """The same values with tuples in place of lists."""
    if isinstance(value, Mapping):
        return {key: tuples(item) for key, item in value.items()}
    return tuple(tuples(item) for item in value) if isinstance(value, list) else value


def dotted(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """All leaves under their dotted names, ``{"train.steps": 3}``."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        inner = isinstance(value, Mapping)
        flat |= dotted(value, f"{prefix}{key}.") if inner else {prefix + key: value}
    return flat


def complaint(error: ValidationError, names: Mapping[str, Any]) -> str:
    """What is wrong, in one sentence, with the nearest of the known names for an unknown one."""
    first = error.errors()[0]
    parts = [str(part) for part in first["loc"]]
    where = ".".join(parts)
    if first["type"] == "extra_forbidden":
        hint = meant(where, names) or meant(parts[-1], [n.split(".")[-1] for n in names])
        return f"there is no setting {where}{hint}"
    if first["type"] == "value_error":
        return f"{where}: {first['ctx']['error']}"
    message = first["msg"][0].lower() + first["msg"][1:]
    return f"{where} = {first['input']!r} is not possible: {message}"
