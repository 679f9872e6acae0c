"""What a recorder's protocols are made of, by which those of one name are told apart."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterable, Mapping, Sequence, Set
from enum import Enum
from functools import partial
from types import MemberDescriptorType
from typing import Any

import numpy as np
import torch
from pydantic import BaseModel
from torch import Tensor

from conceptspace.files import sha256
from conceptspace.models.generative import name_of
from conceptspace.protocols.base import Protocol
from conceptspace.protocols.naive import Naive
from conceptspace.space import ConceptSpace
from conceptspace.worlds.world import Prompting

DEEPEST = 4
"""So far objects and lists within each other are looked into; of what is deeper the class counts.
"""


def described(protocols: Iterable[Protocol]) -> dict[str, dict[str, Any]]:
    """What tells protocols apart that are called alike: their class, and what they are made of.

    That are the fields of a dataclass or :class:`~conceptspace.Section`, of any other object its
    attributes, but for those whose names begin with an underscore; of a world its concepts, of
    tensors and arrays a hash, and of what can be called the name.
    """
    return {p.name: _flat(_made(p, 0)) for p in protocols if not isinstance(p, Naive)}


class _Made(dict[str, Any]):
    """The class of an object, and what it is made of, as JSON has it."""


def _flat(made: _Made) -> dict[str, Any]:
    """What objects within objects are made of, below dotted names."""
    flat: dict[str, Any] = {}
    for key, value in made.items():
        if isinstance(value, _Made):
            inner = _flat(value)
            flat[key] = inner.pop("class")
            flat |= {f"{key}.{name}": item for name, item in inner.items()}
        else:
            flat[key] = value
    return flat


def _made(thing: Any, depth: int) -> _Made:
    names = _names(thing) if depth <= DEEPEST else []
    found = {name: _plain(getattr(thing, name, None), depth + 1) for name in names}
    return _Made({"class": name_of(type(thing)), **found})


def _names(thing: Any) -> list[str]:
    kind = type(thing)
    if dataclasses.is_dataclass(thing):
        names = {field.name for field in dataclasses.fields(thing)}
    elif isinstance(thing, BaseModel):
        names = {*kind.model_fields}
    else:
        of_class = {name: v for of in reversed(kind.__mro__) for name, v in vars(of).items()}
        slots = {n for n, v in of_class.items() if isinstance(v, MemberDescriptorType)}
        computed = {n for n, v in of_class.items() if callable(v) or hasattr(v, "__get__")}
        names = {*of_class, *getattr(thing, "__dict__", ())} - computed | slots
    return sorted(name for name in names if not name.startswith("_"))


def _plain(value: Any, depth: int) -> Any:
    """A value as JSON has it."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, Tensor | np.ndarray):
        return _hashed(value)
    if isinstance(value, partial):
        return [_plain(part, depth) for part in (value.func, value.args, value.keywords)]
    if callable(value):
        return name_of(value)
    if isinstance(value, Prompting | ConceptSpace):
        space = value if isinstance(value, ConceptSpace) else value.space
        return f"{name_of(type(value))} {sha256(repr(space).encode())[:16]}"
    if isinstance(value, Mapping | Sequence | Set) and not isinstance(value, bytes):
        return _several(value, depth + 1)
    if hasattr(value, "__dict__") and not isinstance(value, Enum):
        return _made(value, depth)
    text = repr(value)
    return name_of(type(value)) if " at 0x" in text else text


def _several(values: Mapping[Any, Any] | Sequence[Any] | Set[Any], depth: int) -> Any:
    if depth > DEEPEST:
        return name_of(type(values))
    if isinstance(values, Mapping):
        return {str(key): _plain(item, depth) for key, item in values.items()}
    found = [_plain(item, depth) for item in values]
    return sorted(found, key=json.dumps) if isinstance(values, Set) else found


def _hashed(value: Any) -> str:
    whole = torch.as_tensor(value).detach().cpu().contiguous()
    content = whole.flatten().view(torch.uint8).numpy().tobytes()
    return f"{whole.dtype} {tuple(whole.shape)} {sha256(content)[:16]}"
