"""Protocols by name: those of this package, of installed ones and of a file of one's own.

A family makes protocols of one kind from a run's config. It is registered by a decorator, when its
module is imported: the modules beside this one; those that installed packages name in the entry
point group :data:`GROUP`, once they are asked for; and files that the command line names.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from pkgutil import iter_modules
from typing import Any, TypeVar, cast

from pydantic import ValidationError
from torch import Tensor

from conceptspace import protocols
from conceptspace.config import RunConfig
from conceptspace.errors import UserError
from conceptspace.models.vdm import VDM
from conceptspace.protocols.base import Protocol, require_name
from conceptspace.registry import located
from conceptspace.settings.description import Section
from conceptspace.settings.tree import complaint, tuples
from conceptspace.tables import NAIVE
from conceptspace.worlds.world import World

GROUP = "conceptspace.protocols"
"""Entry points of installed packages: a family's name, and the function or class that makes it."""


ELSEWHERE = "one of your own is named FILE.py:NAME or module:NAME on the command line"
"""Where else a protocol may be defined, for messages."""


@dataclass(frozen=True)
class Context:
    """The run for which protocols are made.

    Attributes:
        config: of the run, with the sweeps that are asked for.
        world: whose classes are asked for.
        conditioning: M, concept vectors (batch, k) to the prompts that the model is shown.
        load: the model as it was at a saved step, at the last planned one for None.
        own: the family's own settings; None if it has none.
    """

    config: RunConfig
    world: World
    conditioning: Callable[[Tensor], Tensor]
    load: Callable[[int | None], VDM]
    own: Any = None


Make = Callable[[str, Context], Protocol]
"""(name, run) -> the protocol of that name. It is called to count settings, too, so what takes
time belongs into the settings."""


@dataclass(frozen=True)
class Family:
    """Protocols that are made in one way.

    Attributes:
        name: with which their names begin, and of their settings' section, ``[protocols.NAME]``.
        make: see :data:`Make`.
        names: of those that make sense for a run, controls included; none if it lacks something.
        settings: type of the family's own settings, None if it has none.
        also: a regular expression of further names.
        usual: whether `evaluate` asks them where no protocol is named.
        fixed: see :func:`fixed`; None for the rule that stands there.
        controls: of a control's name, the protocol that it controls; of another one, "".
        source: the function or class that was registered.
    """

    name: str
    make: Make
    names: Callable[[Context], Sequence[str]]
    settings: type[Section] | None = None
    also: str = ""
    usual: bool = False
    fixed: Callable[[str, Context], Mapping[str, Any]] | None = None
    controls: Callable[[str], str] = lambda name: ""
    source: object = None


_registered: dict[str, Family] = {}

Maker = TypeVar("Maker", bound=Make)
Kind = TypeVar("Kind", bound=type)


def family(
    name: str,
    *,
    names: Callable[[Context], Sequence[str]] | None = None,
    settings: type[Section] | None = None,
    also: str = "",
    usual: bool = False,
    fixed: Callable[[str, Context], Mapping[str, Any]] | None = None,
    controls: Callable[[str], str] = lambda name: "",
) -> Callable[[Maker], Maker]:
    """Register the family that a function makes.

    Args:
        name: see :class:`Family`, as for the others; by default the only protocol's name as well.
        names: ``NAME``, or ``NAME-...``; those of controls have the word "control".
        settings: a subclass of ``Section`` with a default for every setting.
        also: full match of further names.
        usual: see :class:`Family`.
        fixed: see :class:`Family`.
        controls: see :class:`Family`; a run is asked by both with the same settings, or not at all.

    Raises:
        UserError: there is another family of that name, or the name cannot be that of a folder.
    """

    def add(make: Maker) -> Maker:
        every = names or (lambda run: (name,))
        _add(Family(name, make, every, settings, also, usual, fixed, controls, make))
        return make

    return add


def protocol(kind: Kind) -> Kind:
    """Register a protocol that needs nothing of the run, by its class.

    Its ``name`` is an attribute of the class. The fields of a subclass of ``Section`` are its
    settings; any other class is called without arguments.

    Raises:
        UserError: there is another one of that name, or the class is no protocol.
    """
    name = getattr(kind, "name", None)
    if not isinstance(name, str) or not callable(getattr(kind, "settings", None)):
        raise UserError(
            f"{kind.__name__} is no protocol: it needs a name, as an attribute of the class, and a "
            "method settings(concept_class)"
        )
    if issubclass(kind, Section):
        _add(Family(name, lambda _, run: run.own, lambda run: (name,), kind, source=kind))
    else:
        _add(Family(name, lambda _, run: cast(Protocol, kind()), lambda run: (name,), source=kind))
    return kind


def _add(new: Family) -> None:
    require_name(new.name)
    if new.name in _registered:
        raise UserError(f"there are two protocols {new.name}; each needs a name of its own")
    _registered[new.name] = new


def families() -> list[Family]:
    """Those of this package, and those that have been registered."""
    _load_built_in()
    return list(_registered.values())


@cache
def _load_built_in() -> None:
    for module in iter_modules(protocols.__path__, f"{protocols.__name__}."):
        import_module(module.name)


def family_of(name: str) -> Family | None:
    """The family to which a protocol's name belongs; of several the one with the longest name.

    Raises:
        UserError: it is that of an installed package, and cannot be imported, or is another.
    """
    known = {of.name: of for of in families()}
    points = {point.name: point.value for point in entry_points(group=GROUP)}
    fitting = [n for n in known | points if name == n or name.startswith(f"{n}-")]
    if not fitting:
        return None
    chosen = max(fitting, key=len)
    return known.get(chosen) or of_package(chosen, points[chosen])


def of_package(name: str, place: str) -> Family:
    """The family of an entry point.

    Raises:
        UserError: it cannot be imported, or is not called so.
    """
    found = adopted(located(place, f"the protocol {name!r}"), place)
    if found.name != name:
        raise UserError(f"the entry point {name!r} in {GROUP} is the protocol {found.name!r}")
    return found


def adopted(found: object, place: str) -> Family:
    """The family of a function or class in a package or file; a class is registered if need be.

    Args:
        found: the function or class.
        place: where it was found, for messages.

    Raises:
        UserError: it makes no protocol, or its name is taken.
    """
    if isinstance(found, type) and all(of.source is not found for of in families()):
        protocol(found)
    for of in families():
        if of.source is found:
            return of
    raise UserError(
        f"{place} is no protocol; name a class with a name and a method settings(concept_class), "
        "or a function that @family registers"
    )


def names(run: Context, usual: bool = False) -> list[str]:
    """The protocols that make sense for a run, naive prompting first.

    Args:
        run: see :class:`Context`.
        usual: only those that `evaluate` asks where none is named.
    """
    chosen = [of for of in families() if of.usual or not usual]
    found = [name for of in chosen for name in of.names(run)]
    return sorted(found, key=lambda name: name != NAIVE)


def make(name: str, run: Context) -> Protocol:
    """A protocol by its name.

    Raises:
        UserError: there is none for this run, or its settings are not possible.
    """
    of = family_of(name)
    if of is None or not (name in of.names(run) or re.fullmatch(of.also, name)):
        packages = [point.name for point in entry_points(group=GROUP)]
        raise UserError(
            f"there is no protocol {name!r} for this run; there are "
            f"{', '.join(dict.fromkeys([*names(run), *packages]))}; {ELSEWHERE}"
        )
    made: Any = of.make(name, replace(run, own=own_settings(of, run.config)))
    called = getattr(made, "name", None)
    if called != name or not callable(getattr(made, "settings", None)):
        result = f"one called {called!r}" if isinstance(called, str) else type(made).__name__
        raise UserError(
            f"the family {of.name} was asked for the protocol {name!r}, and made {result}"
        )
    return cast(Protocol, made)


def own_settings(of: Family, config: RunConfig) -> Section | None:
    """A family's own settings, from the section ``[protocols.NAME]``.

    Raises:
        UserError: the section holds what is none of them, or an impossible value.
    """
    given = config.protocols.get(of.name, {})
    if of.settings is None:
        if given:
            raise UserError(
                f"[protocols.{of.name}] gives settings, and the protocol {of.name} has none of its "
                "own"
            )
        return None
    try:
        return of.settings.model_validate(tuples(given))
    except ValidationError as error:
        reason = complaint(error, dict(of.settings.model_fields))
        raise UserError(f"[protocols.{of.name}] {reason}") from None


def fixed(name: str, run: Context) -> dict[str, Any]:
    """What all settings of a protocol have in common and none of their names tells.

    Where a family does not say it, these are its own settings that are no lists, but for those that
    the names hold, as ``module=...``.

    Returns:
        Values for JSON under their dotted names, such as ``protocols.steering.prompts``.

    Raises:
        UserError: see :func:`make`.
    """
    of = family_of(name)
    if of is None:
        return {}
    if of.fixed is not None:
        return dict(of.fixed(name, replace(run, own=own_settings(of, run.config))))
    own = own_settings(of, run.config)
    stored = {} if own is None else dict(own) | own.model_dump(mode="json")
    single = {key: value for key, value in stored.items() if not isinstance(value, list | tuple)}
    if not single:
        return {}
    made = make(name, run)
    names = [setting for c in run.world.space.classes for setting in made.settings(c)]
    return {
        f"protocols.{of.name}.{key}": value
        for key, value in single.items()
        if not all(f"{key}=" in setting for setting in names)
    }


def controlled(name: str) -> str:
    """The protocol that a control controls; "" for others, and where the family is not loaded."""
    fitting = [of for of in families() if name == of.name or name.startswith(f"{of.name}-")]
    return max(fitting, key=lambda of: len(of.name)).controls(name) if fitting else ""


def completed(config: RunConfig) -> RunConfig:
    """The config with every setting of the protocols that it asks, as it is stored with a run.

    Raises:
        UserError: a section is of no protocol, or holds what is not possible.
    """
    found = {}
    for of in filter(None, map(family_of, config.evaluate.protocols)):
        own = own_settings(of, config)
        stored = own.model_dump(exclude_none=True) if own is not None else {}
        if stored:
            found[of.name] = stored
    for name in config.protocols:
        section = family_of(name)
        if section is None or section.name != name:
            known = ", ".join(of.name for of in families() if of.settings)
            raise UserError(
                f"[protocols.{name}]: there is no such protocol; there are {known}; {ELSEWHERE}"
            )
        own_settings(section, config)
    both = {**config.protocols, **found}
    return config.model_copy(update={"protocols": both}) if found else config
