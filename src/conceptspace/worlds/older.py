"""Kinds of data that shared one section once, and are stored as they were then.

The config of such a run holds the settings of the other kinds, too. They do nothing; they are kept
so that files and digests of runs stay what they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, ClassVar

from pydantic import PrivateAttr, create_model, model_validator

from conceptspace.settings.description import Section
from conceptspace.worlds.config import OLDER, WORLDS, DataConfig

OWN = ("path", "factors", "values", "shown", "table", "file_column")
CELEBA = ("root", "attributes", "jitter", "flips")
SHAPES = (
    "concepts",
    "train_classes",
    "ood_classes",
    "resolution",
    "color_separation",
    "color_spread",
    "size_separation",
    "size_spread",
    "background_separation",
    "background_spread",
    "position_separation",
    "position_spread",
    "position_range",
    "edge_blur",
    "pixel_noise",
    "images_per_class",
    "validation_share",
    "conditioned",
    "masked_class",
    "masked_concept",
    "masked_share",
)


class OlderData(DataConfig):
    """A built-in kind of data."""

    order: ClassVar[tuple[str, ...]] = ("kind", *OWN, *CELEBA, *SHAPES)
    unstored: ClassVar[tuple[str, ...]] = ()
    """Settings of later kinds, which are stored only where they are not the default."""

    _aside: dict[str, Any] = PrivateAttr(default_factory=dict)

    @model_validator(mode="wrap")
    @classmethod
    def _set_aside(cls, given: Any, handler: Callable[[Any], Any]) -> OlderData:
        if not isinstance(given, Mapping):
            return handler(given)
        others = _others(cls)
        foreign = {name: value for name, value in given.items() if name in others.model_fields}
        section: OlderData = handler({k: v for k, v in given.items() if k not in foreign})
        kept = others.model_validate(foreign)
        section._aside = {
            name: value
            for name, value in kept.model_dump().items()
            if name not in cls.unstored or value != others.model_fields[name].default
        }
        return section

    def aside(self) -> dict[str, Any]:
        """The other kinds' settings as they were given."""
        return self._aside


@cache
def _others(own: type[OlderData]) -> type[Section]:
    """The settings of the other kinds."""
    fields: dict[str, Any] = {
        name: (info.annotation, info)
        for kind in OLDER
        for name, info in WORLDS.get(kind).model_fields.items()
        if name not in own.model_fields
    }
    return create_model("Others", __base__=Section, **fields)
