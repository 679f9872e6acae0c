"""The description of a run that a :class:`~conceptspace.recording.recorder.Recorder` kept."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final, Literal

import numpy as np
from pydantic import Field, ValidationError, field_validator

from conceptspace.errors import UserError
from conceptspace.settings.description import Description
from conceptspace.settings.tree import complaint, tuples
from conceptspace.settings.versions import without_header

RECORDED: Final = "recorded"
"""The ``preset`` of recorded runs."""

Value = bool | int | float | str


class RecordConfig(Description):
    """How a model that was trained elsewhere is asked and judged."""

    preset: Literal["recorded"] = "recorded"
    """Tells recorded runs from trained ones."""
    samples: int = Field(32, ge=2, le=10**5)
    """Images per class and setting."""
    judge: str
    """Who says what the images show."""
    prompts: str
    """How a class is asked for."""
    concepts: dict[str, tuple[str, ...]]
    """The concepts, with the names of their values."""
    train_classes: tuple[str, ...]
    """Classes that were trained."""
    ood_classes: tuple[str, ...]
    """Classes that were held out."""
    protocols: dict[str, tuple[str, ...]]
    """The settings of each protocol."""
    training: dict[str, Value] = Field(default_factory=dict)
    """Settings of the training, by which runs are compared."""

    @field_validator("training", mode="before")
    @classmethod
    def _plain(cls, values: Any) -> Any:
        if not isinstance(values, Mapping):
            return values
        return {name: _plain_value(name, value) for name, value in values.items()}

    def settings(self) -> dict[str, Any]:
        """Settings of the training that the user named, and how the model is asked and judged."""
        own = {f"training.{name}": value for name, value in self.training.items()}
        return own | {"samples": self.samples, "judge": self.judge, "prompts": self.prompts}


def _plain_value(name: Any, value: Any) -> Value:
    """A setting of the training as it can be stored; scalars of NumPy are taken, too.

    Raises:
        ValueError: it cannot be.
    """
    plain = value.item() if isinstance(value, np.generic) else value
    finite = not isinstance(plain, float) or math.isfinite(plain)
    if isinstance(name, str) and isinstance(plain, Value) and finite:
        return plain
    raise ValueError(
        f"the setting {name!r} is {value!r:.80}; settings of the training have names, and are "
        "text, finite numbers, or true or false"
    )


def recorded(values: Mapping[str, Any], source: str) -> RecordConfig:
    """The description that a file holds.

    Raises:
        UserError: it is not whole, or holds what is none of its settings.
    """
    settings, newer = without_header(values, source)
    try:
        return RecordConfig.model_validate(tuples(settings))
    except ValidationError as error:
        known = dict(RecordConfig.model_fields)
        raise UserError(f"{source}: {complaint(error, known)}{newer}") from None


def described_as(**settings: Any) -> RecordConfig:
    """A description of these settings.

    Raises:
        UserError: one is not possible.
    """
    try:
        return RecordConfig(**settings)
    except ValidationError as error:
        raise UserError(f"recorder: {complaint(error, dict(RecordConfig.model_fields))}") from None
