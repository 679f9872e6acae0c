"""What every description of a run has in common, whether it was trained here or recorded."""

from __future__ import annotations

from collections.abc import Callable
from inspect import get_annotations
from typing import Any

import tomli_w
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_serializer

from conceptspace.files import sha256
from conceptspace.settings.bounds import bounds_in_words
from conceptspace.settings.versions import header


class Section(BaseModel):
    """A frozen group of settings without unknown keys; descriptions name the bounds of numbers."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True, allow_inf_nan=False
    )

    @classmethod
    def __pydantic_init_subclass__(cls, **options: Any) -> None:
        super().__pydantic_init_subclass__(**options)
        for name in get_annotations(cls):  # inherited ones name theirs already
            info = cls.model_fields.get(name)
            if info and (bounds := bounds_in_words(info.metadata)):
                info.description = f"{(info.description or '').removesuffix('.')} ({bounds})."

    @field_validator("*")
    @classmethod
    def _check_text(cls, value: Any) -> Any:
        if isinstance(value, str) and "\0" in value:
            raise ValueError("no name or path holds a NUL character")
        return value

    def left_out(self) -> frozenset[str]:
        """Settings that are stored only where they are not what they are by default.

        They were added later, and a description that does not use them keeps its bytes.
        """
        return frozenset()

    @model_serializer(mode="wrap")
    def _stored(self, handler: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
        tree = handler(self)
        fields = type(self).model_fields
        for name in self.left_out():
            if getattr(self, name) == fields[name].get_default(call_default_factory=True):
                tree.pop(name, None)
        return tree


class Description(Section):
    """The content of a run's ``config.toml``: what was asked for, and what tells runs apart."""

    preset: str
    """Where the settings started from, or how the run came about."""
    seed: int = Field(0, ge=0, lt=2**31)
    """Seed of the data, the initial weights, the data order and all noise."""

    def settings(self) -> dict[str, Any]:
        """What runs are compared by, under dotted names."""
        raise NotImplementedError

    def to_toml(self) -> str:
        """The settings as TOML text that reads back to an equal description."""
        return tomli_w.dumps(self.model_dump(mode="json"))

    def text(self) -> str:
        """The description as it is stored: with who wrote it, and every setting."""
        return header() + self.to_toml()

    def digest(self) -> str:
        """SHA-256 of all settings."""
        return sha256(self.model_dump_json().encode())
