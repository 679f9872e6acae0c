"""States of PyTorch that are changed for a while and then put back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import torch
from torch import Tensor, nn

DEEPEST = 9
"""So far functions and objects that refer to each other are looked into for networks."""

LONGEST = 1000
"""A list that is longer is not looked into."""

MOST = 20_000
"""Things that are looked at, beyond which nothing more is found."""


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Evaluation mode; afterwards every layer has the mode that it had.

    Layers that do something of their own when their mode changes, as low-rank ones that merge their
    weights, do it both times.
    """
    before = [(layer, layer.training) for layer in module.modules()]
    if any(training for _, training in before):
        module.eval()
    try:
        yield
    finally:
        for layer, training in before:  # outer ones first, since they set those within them
            if layer.training != training:
                layer.train(training)


@contextmanager
def evaluating_behind(asked: Any) -> Iterator[None]:
    """:func:`evaluating` for every network that is asked with it, see :func:`networks`."""
    with ExitStack() as stack:
        for network in networks(asked):
            stack.enter_context(evaluating(network))
        yield


def networks(asked: Any) -> list[nn.Module]:
    """The networks behind something that is called.

    That are itself; what a function or method refers to, by closure, by a global name or as
    ``self``, also by way of other functions; the attributes of an object or its class, such as a
    pipeline or a sampler; what lies in a list, tuple or dictionary of these. What is imported
    inside a function, or made by a property, is not found.
    """
    found: list[nn.Module] = []
    near: list[Any] = [asked]
    seen = {id(asked)}
    for _ in range(DEEPEST):
        further: dict[int, Any] = {}
        for thing in near:
            if issubclass(type(thing), nn.Module):
                found.append(thing)
            else:
                further |= {id(part): part for part in _parts(thing) if id(part) not in seen}
        near = [*further.values()][: max(0, MOST - len(seen))]
        seen |= {*map(id, near)}
    return found


def _parts(thing: Any) -> list[Any]:
    """What a function or object refers to; its type alone is asked, not what it says of itself."""
    kind = type(thing)
    for several, of in ((dict, dict.values), (list, list.__iter__), (tuple, tuple.__iter__)):
        if issubclass(kind, several):
            return [*of(thing)] if several.__len__(thing) <= LONGEST else []
    if issubclass(kind, partial):
        return [thing.func, *thing.args, *thing.keywords.values()]
    if issubclass(kind, MethodType):
        return [thing.__self__, thing.__func__]
    if issubclass(kind, FunctionType):
        return _referred(thing)
    if issubclass(kind, type | ModuleType | BuiltinFunctionType | Tensor):
        return []
    kinds = [each for each in kind.__mro__ if each.__module__ != "builtins"]
    slots = [_own(thing, name) for each in kinds for name in _slots(each)]
    attributes = [*(_own(thing, "__dict__") or {}).values(), *slots]
    return attributes + [value for each in kinds for value in vars(each).values()]


def _own(thing: Any, name: str) -> Any:
    """What an object stores, past what it may do when it is asked for an attribute."""
    try:
        return object.__getattribute__(thing, name)
    except AttributeError:
        return None


def _referred(function: FunctionType) -> list[Any]:
    """The values of a function's closure, and of the global names in it and what is inside it."""
    found: list[Any] = []
    for cell in function.__closure__ or ():
        with suppress(ValueError):  # it is still empty
            found.append(cell.cell_contents)
    codes = [function.__code__]
    for code in codes:  # those of comprehensions and inner functions are added meanwhile
        codes += [inner for inner in code.co_consts if isinstance(inner, CodeType)]
    names = dict.fromkeys(name for code in codes for name in code.co_names)
    return found + [function.__globals__[name] for name in names if name in function.__globals__]


def _slots(kind: type) -> list[str]:
    named = vars(kind).get("__slots__", ())
    return [named] if isinstance(named, str) else [*named]


@contextmanager
def float32_default() -> Iterator[None]:
    """New tensors are float32, whatever the process set; afterwards what it set."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    try:
        yield
    finally:
        torch.set_default_dtype(before)
