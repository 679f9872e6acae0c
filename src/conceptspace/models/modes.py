"""States of PyTorch that are changed for a while and then put back."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

import torch
from torch import Tensor, nn

DEEPEST = 3
"""So far functions and objects that refer to each other are looked into for networks."""

LONGEST = 64
"""A list that is longer is not looked into."""


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
    ``self``; the attributes of an object, such as a pipeline or a sampler; what lies in a short
    list, tuple or dictionary of these. What is imported inside a function is not found.
    """
    found: list[nn.Module] = []
    seen = set[int]()

    def look(thing: Any, depth: int) -> None:
        if id(thing) in seen or depth > DEEPEST:
            return
        seen.add(id(thing))
        if isinstance(thing, nn.Module):
            found.append(thing)
            return
        for part in _parts(thing):
            look(part, depth + 1)

    look(asked, 0)
    return found


def _parts(thing: Any) -> list[Any]:
    """What a function or object refers to."""
    if isinstance(thing, list | tuple | dict):
        several = [*thing.values()] if isinstance(thing, dict) else [*thing]
        return several if len(several) <= LONGEST else []
    if isinstance(thing, partial):
        return [thing.func, *thing.args, *thing.keywords.values()]
    if isinstance(thing, MethodType):
        return [thing.__self__, thing.__func__]
    if isinstance(thing, FunctionType):
        with suppress(ValueError):  # a cell of its closure is still empty
            referred = inspect.getclosurevars(thing)
            return [*referred.nonlocals.values(), *referred.globals.values()]
        return []
    if isinstance(thing, type | ModuleType | BuiltinFunctionType | Tensor):
        return []
    slots = [name for kind in type(thing).__mro__ for name in _slots(kind)]
    return [*getattr(thing, "__dict__", {}).values(), *(getattr(thing, s, None) for s in slots)]


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
