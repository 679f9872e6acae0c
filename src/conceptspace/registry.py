"""Classes by name, which can be added without touching this package.

A name is one of four:

- a built-in one, ``shapes``;
- one that a decorator gave, ``@registry.register("mine")``, once its module is imported;
- an entry point of the registry's group, in the ``pyproject.toml`` of any installed package;
- a place in the code: ``package.module:Name``, or ``path/to/file.py:Name``.

Nothing is imported before it is asked for by its name.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from hashlib import sha256
from importlib import import_module
from importlib.metadata import entry_points
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any, Generic, TypeVar

from conceptspace.errors import UserError
from conceptspace.hints import meant

CONTENT = "__sha256__"
"""Attribute of a module from a file: the SHA-256 of what was executed."""

T = TypeVar("T")
Own = TypeVar("Own", bound=type)


class Registry(Generic[T]):
    """Subclasses of one class by name.

    Args:
        noun: what one of them is called in messages, ``"world"``.
        base: the class that all of them derive from.
        group: of entry points, ``"conceptspace.worlds"``.
        built_in: places in the code of those that this package brings, by name.
    """

    def __init__(self, noun: str, base: type[T], group: str, built_in: Mapping[str, str]) -> None:
        self.noun = noun
        self.base = base
        self.group = group
        self.built_in = dict(built_in)
        self.registered: dict[str, type[T]] = {}

    def register(self, name: str) -> Callable[[Own], Own]:
        """A decorator that gives a class its name.

        Raises:
            UserError: the name is taken, or is a place in the code.
        """
        if ":" in name or not name:
            raise UserError(f"a {self.noun} is registered under a plain name, not {name!r}")
        if name in self.built_in:
            raise UserError(f"the {self.noun} {name!r} is built in; choose another name")

        def given(found: Own) -> Own:
            self.registered[name] = self._checked(found, name)
            return found

        return given

    def names(self) -> list[str]:
        """All names that are known, without importing what they stand for."""
        return list(dict.fromkeys([*self.built_in, *self.registered, *self._points()]))

    def get(self, name: str) -> type[T]:
        """The class of a name, imported if need be.

        Raises:
            UserError: there is none, it cannot be imported, or it is something else.
        """
        if name in self.registered:
            return self.registered[name]
        place = self.built_in.get(name) or self._points().get(name) or name
        if ":" not in place:
            hint = meant(name, self.names()) or f"; there are {', '.join(self.names())}"
            raise UserError(
                f"there is no {self.noun} {name!r}{hint} One of your own is named module:Class "
                "or file.py:Class"
            )
        return self._checked(located(place, f"the {self.noun} {name!r}"), name)

    def _points(self) -> dict[str, str]:
        return {point.name: point.value for point in entry_points(group=self.group)}

    def _checked(self, found: Any, name: str) -> type[T]:
        if not isinstance(found, type) or not issubclass(found, self.base):
            raise UserError(
                f"the {self.noun} {name!r} is no class that derives from "
                f"{self.base.__module__}.{self.base.__qualname__}"
            )
        return found


def located(place: str, what: str) -> Any:
    """The thing at a place in the code, ``package.module:Name`` or ``path/to/file.py:Name``.

    Args:
        place: as above.
        what: named in messages.

    Raises:
        UserError: there is no such file, module or name, or importing it fails.
    """
    where, _, name = place.rpartition(":")
    try:
        module = _of_file(Path(where)) if where.endswith(".py") else import_module(where)
    except UserError:
        raise
    except Exception as error:  # somebody's module may raise anything
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"{what} cannot be imported from {where}: {reason}") from error
    found: Any = module
    for part in name.split("."):
        if not hasattr(found, part):
            raise UserError(f"{what}: {where} has no {name!r}")
        found = getattr(found, part)
    return found


def _of_file(path: Path) -> ModuleType:
    """The module in a file, executed once for each content."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None
    key = sha256(str(path.resolve()).encode() + content).hexdigest()[:16]
    name = f"_of_file_{path.stem}_{key}"
    if name not in sys.modules:
        spec = spec_from_file_location(name, path)
        if spec is None:
            raise UserError(f"{path} is no Python file")
        module = module_from_spec(spec)
        setattr(module, CONTENT, sha256(content).hexdigest())
        sys.modules[name] = module  # dataclasses and pydantic look their module up
        try:
            exec(compile(content, path, "exec", dont_inherit=True), vars(module))
        except BaseException:
            del sys.modules[name]
            raise
    return sys.modules[name]
