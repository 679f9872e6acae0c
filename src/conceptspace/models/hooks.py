"""Hooks on a model's modules that are there while it computes, and gone afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from torch import Tensor, nn

from conceptspace.errors import UserError
from conceptspace.models.generative import Hookable, name_of, require


@dataclass(frozen=True, eq=False)
class Hooked:
    """A model that computes with the output of one of its modules changed.

    The hook is on the module during each call only, whatever becomes of the call.

    Args:
        model: is called with whatever this is called with.
        module: name of one of its modules.
        change: the module's output -> what takes its place.
        protocol: named in messages.
    """

    model: Any
    module: str
    change: Callable[[Tensor], Tensor]
    protocol: str

    def __call__(self, *arguments: Any) -> Any:
        with hooked(self.model, self.module, self.change, self.protocol):
            return self.model(*arguments)


@contextmanager
def hooked(
    model: Any, name: str, change: Callable[[Tensor], Tensor], protocol: str
) -> Iterator[None]:
    """A module whose output is changed; of several outputs the first.

    Raises:
        UserError: the model's modules cannot be hooked, or it has none of that name; the module's
            output is no tensor; or the model did not call it at all.
    """
    module = module_of(model, name, protocol)
    called = False

    def hook(_: nn.Module, given: Any, output: Any) -> Any:
        nonlocal called
        called = True
        first = output[0] if isinstance(output, tuple) and output else output
        if not isinstance(first, Tensor):
            raise UserError(
                f"{protocol}: the module {name} gives a {type(first).__name__}, not a tensor"
            )
        changed = change(first)
        return (changed, *output[1:]) if isinstance(output, tuple) else changed

    handle = module.register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()
    if not called:
        raise UserError(
            f"{protocol}: {name_of(model)} makes images without calling its module {name!r}, so "
            "nothing would change there; name one of the modules inside it"
        )


def module_of(model: Any, name: str, protocol: str) -> nn.Module:
    """A module of a model by its name.

    Raises:
        UserError: the model's modules cannot be hooked, or it has none of that name; the sentence
            names some that it has.
    """
    found = dict(require(model, Hookable, protocol).named_modules())
    if name not in found:
        close = get_close_matches(name, found, n=3) or [n for n in found if n][:8]
        raise UserError(
            f"{protocol}: {name_of(model)} has no module {name!r}; it has, for example, "
            f"{', '.join(close)}"
        )
    return found[name]
