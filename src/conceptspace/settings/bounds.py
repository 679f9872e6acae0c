"""Bounds of settings, checked by pydantic and named in the settings' descriptions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema


@dataclass(frozen=True)
class Each:
    """Bounds of every number in a list, and of how many there are.

    Attributes:
        ge: the smallest allowed.
        le: the largest allowed.
        most: the longest list allowed.
    """

    ge: int
    le: int
    most: int

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self.check, handler(source))

    def check(self, items: Any) -> Any:
        """The same items.

        Raises:
            ValueError: one is out of bounds, or there are too many.
        """
        if len(items) > self.most:
            raise ValueError(f"{len(items)} values are too many; there are at most {self.most}")
        for item in items:
            if not self.ge <= item <= self.le:
                raise ValueError(f"{item} is not possible: {_plain(self.ge)} to {_plain(self.le)}")
        return items


def bounds_in_words(metadata: Iterable[Any]) -> str:
    """Bounds in words, from a field's metadata: "above 0 to 1", "each 1 to 8192"; "" for none."""
    found: dict[str, float] = {}
    each = ""
    for item in metadata:
        each = "each " if isinstance(item, Each) else each
        for name in ("ge", "gt", "le", "lt"):
            if hasattr(item, name):
                found[name] = getattr(item, name)
    if not found:
        return ""
    low = f"above {_plain(found['gt'])}" if "gt" in found else _plain(found["ge"])
    high = f"below {_plain(found['lt'])}" if "lt" in found else _plain(found["le"])
    return f"{each}{low} to {high}"


def _plain(value: Any) -> str:
    return str(value) if isinstance(value, int) else f"{value:g}"
