"""Settings of data: what all kinds share, and the kinds by name."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import ConfigDict, Field, model_validator

from conceptspace.errors import UserError
from conceptspace.settings.kinds import Kind, Kinds


class DataConfig(Kind):
    """The concept space and the images (paper section 3.1, App. A.1 and C.3).

    A world of one's own is a subclass with its settings as fields, each with a default and a
    sentence below it, and a method :meth:`world`. What else a world may have is declared by the
    other methods, which may be left as they are.
    """

    kind: str = ""
    """shapes (rendered), celeba (a folder of it), arrays (a file, .npz or .h5), folder (pictures),
    drawn-faces, or one of your own: a name that a package registers, module:Class or
    file.py:Class."""
    train_classes: tuple[str, ...] = ()
    """Classes to train on; empty: the paper's split, at most one concept away from 0...0."""
    ood_classes: tuple[str, ...] = ()
    """Classes held out; empty: the paper's split."""
    resolution: int = Field(32, ge=4, le=512)
    """Pixels per side."""
    images_per_class: int = Field(2048, ge=2, le=10**7)
    """Images drawn for each training class, training and validation together."""
    validation_share: float = Field(0.15, ge=0, lt=1)
    """Share of these images that is kept from training."""

    pages_render: ClassVar[bool] = False
    """Whether pages build the world to draw it; of others a run keeps an image of each class."""
    pooled: ClassVar[bool] = False
    """Whether there are ``images_per_class`` images and no more, of which the probe takes some."""

    def world(self) -> Any:
        """What these settings describe, see :class:`conceptspace.worlds.world.World`.

        Raises:
            UserError: they describe something impossible.
        """
        raise NotImplementedError(f"{type(self).__name__} has no method world()")

    def check(self) -> None:
        """Look for what would go wrong later, as far as that is quick, before a run begins.

        Raises:
            UserError: says what would go wrong.
        """

    def variables(self) -> tuple[str, ...]:
        """Variables that prompts show to the model; empty: all that the world has."""
        return ()

    def masked(self) -> tuple[str, str, float] | None:
        """Underspecified prompts: class, concept, share of the class's training prompts."""
        return None

    def judge(self, world: Any) -> Any:
        """What judges images of its world; None leaves that to the probe.

        Any callable will do, see :func:`conceptspace.judges.function.checked_judge`.
        """
        return None

    def judge_memory(self) -> int:
        """About how many bytes of memory the judge takes."""
        return 0

    @model_validator(mode="after")
    def _check_split(self) -> DataConfig:
        if round(self.validation_share * self.images_per_class) >= self.images_per_class:
            raise ValueError(
                f"validation_share {self.validation_share:g} of {self.images_per_class} images "
                "leaves no training image"
            )
        return self


class UnreadData(DataConfig):
    """Data of one's own, whose code was not imported: enough to show a run, not to train it."""

    model_config = ConfigDict(extra="allow")

    def world(self) -> Any:
        """Always raises, since the code was not imported.

        Raises:
            UserError: always.
        """
        raise UserError(
            f"the world {self.kind!r} is not loaded: pages import no such code, and need what "
            "the run keeps of it, its space.json"
        )

    def settings(self) -> dict[str, Any]:
        """The settings as they were stored."""
        return super().settings() | (self.model_extra or {})


OLDER = {
    "shapes": "conceptspace.worlds.shapes.config:ShapesData",
    "celeba": "conceptspace.worlds.faces.config:CelebaData",
    "arrays": "conceptspace.worlds.own_data:ArraysData",
    "folder": "conceptspace.worlds.own_data:FolderData",
}
"""Kinds that shared one section once, see :mod:`conceptspace.worlds.older`."""

BUILT_IN = OLDER | {"drawn-faces": "conceptspace.worlds.faces.config:DrawnFacesData"}

WORLDS: Kinds[DataConfig] = Kinds(
    "world", DataConfig, "conceptspace.worlds", BUILT_IN, UnreadData, alike=tuple(OLDER)
)
"""All kinds of data; ``WORLDS.register("mine")`` is a decorator that adds one."""
