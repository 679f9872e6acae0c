"""Sections of a config that come in kinds: ``kind`` tells them apart, each has settings of its own.

The class of a kind is looked up by its name in a :class:`Kinds`, so that data or a network of one's
own bring their settings, and build what these describe.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Generic, TypeVar

from pydantic import model_serializer
from pydantic.fields import FieldInfo

from conceptspace.errors import UserError
from conceptspace.registry import Registry
from conceptspace.settings.description import Section

READING = "reading"
"""Context of a validation that imports no code: settings of one's own kinds stay as they are."""


S = TypeVar("S", bound="Kind")


class Kind(Section):
    """Settings of one kind."""

    kind: str = ""
    """The name of the kind."""

    order: ClassVar[tuple[str, ...]] = ()
    """How settings are ordered where they are stored; by default as in the class."""
    default: ClassVar[bool] = False
    """Whether this is the kind where none is named; it is stored without its name."""

    @classmethod
    def of(cls: type[S], section: Kind) -> S:
        """A section that has to be of this kind.

        Raises:
            UserError: it is of another.
        """
        if not isinstance(section, cls):
            asked = cls.model_fields["kind"].default
            raise UserError(f"this needs the kind {asked!r}, and the config has {section.kind!r}")
        return section

    def settings(self) -> dict[str, Any]:
        """The settings that have an effect."""
        return {name: getattr(self, name) for name in type(self).model_fields}

    def aside(self) -> dict[str, Any]:
        """Settings that are stored beside these, and have no effect."""
        return {}

    @model_serializer(mode="wrap")
    def _stored(self, handler: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
        tree = self.aside() | super()._stored(handler)
        if self.default:
            del tree["kind"]
        ordered = [name for name in self.order if name in tree]
        return {name: tree[name] for name in dict.fromkeys([*ordered, *tree])}


K = TypeVar("K", bound=Kind)


class Kinds(Registry[K], Generic[K]):
    """The kinds of one section.

    Args:
        noun: see :class:`Registry`.
        base: has the settings that all kinds share.
        group: see :class:`Registry`.
        built_in: see :class:`Registry`; the first is the kind where none is named.
        unread: holds the settings of a kind whose code is not imported.
        alike: kinds that keep each other's settings when one takes the place of another.
    """

    def __init__(
        self,
        noun: str,
        base: type[K],
        group: str,
        built_in: Mapping[str, str],
        unread: type[K],
        alike: tuple[str, ...] = (),
    ) -> None:
        super().__init__(noun, base, group, built_in)
        self.default = next(iter(self.built_in))
        self.unread = unread
        self.alike = alike

    def section(self, given: Any, info: Any) -> Any:
        """The section that settings describe; anything else is left to the check that follows.

        Raises:
            UserError: there is no such kind.
            ValidationError: a setting is unknown or impossible.
        """
        if isinstance(given, self.unread) and not self._reading(info):
            given = given.model_dump()
        if isinstance(given, self.base):
            return given if given.kind else given.model_copy(update={"kind": self._named(given)})
        if not isinstance(given, Mapping):
            return given
        kind = given.get("kind", self.default)
        if not isinstance(kind, str):
            raise ValueError(f"kind = {kind!r} is not possible: it is a name")
        own = kind not in self.built_in
        found = self.unread if own and self._reading(info) else self.get(kind)
        return found.model_validate({**given, "kind": kind}, context=info.context)

    def start(self, tree: Mapping[str, Any], kind: Any) -> dict[str, Any]:
        """What the settings of a kind start from.

        Args:
            tree: settings of what was there before, of this kind or another.
            kind: of what is made.
        """
        before = tree.get("kind", self.default)
        if before == kind or {before, kind} <= set(self.alike):
            return {**tree, "kind": kind}
        shared = {name: tree[name] for name in self.base.model_fields if name in tree}
        return {**shared, "kind": kind}

    def fields(self, kind: str = "") -> dict[str, FieldInfo]:
        """Every setting of every built-in kind, and of one of one's own."""
        found: dict[str, FieldInfo] = {}
        for name in [kind or self.default, *self.built_in]:
            found = {**self.get(name).model_fields, **found}
        found["kind"] = self.base.model_fields["kind"]
        order = self.get(self.default).order
        return {name: found[name] for name in dict.fromkeys([*order, *found]) if name in found}

    def refuse_others(self, given: Mapping[str, Any], kind: str, section: str, source: str) -> None:
        """Refuse settings of another kind, unless every setting of this one is there, too: then a
        stored config is read, which may hold what has no effect.

        Args:
            given: settings by name.
            kind: that they have to be of.
            section: named in the message, as is the source.
            source: where the settings come from.

        Raises:
            UserError: names one, and the kinds that have it.
        """
        of = self.get(kind)
        own, stored = of.model_fields, of.model_validate({"kind": kind}).model_dump()
        if stored.keys() - {"kind"} <= given.keys():
            return
        for name in given:
            having = [k for k in self.built_in if name in self.get(k).model_fields]
            if name not in own and having:
                raise UserError(
                    f"{source}: {section}.{name} is a setting of {section}.kind = "
                    f"{' or '.join(having)}, and {section}.kind is {kind}"
                )

    def _named(self, section: K) -> str:
        """The name of a section that was made from its class."""
        of = type(section)
        names = [name for name, found in self.registered.items() if found is of]
        return names[0] if names else f"{of.__module__}:{of.__qualname__}"

    def _reading(self, info: Any) -> bool:
        return info.context == READING
