"""Settings of CelebA."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field

from conceptspace.errors import UserError
from conceptspace.worlds.older import OWN, OlderData


class CelebaData(OlderData):
    """A local folder of CelebA (paper App. C.3)."""

    kind: Literal["celeba"] = "celeba"
    """A CelebA folder."""
    root: str = ""
    """CelebA: the folder that holds img_align_celeba and list_attr_celeba.txt."""
    attributes: tuple[str, ...] = Field(("Not_Male", "Smiling"), max_length=10)
    """CelebA: the concepts; Not_ before an attribute's name swaps its two values."""
    jitter: float = Field(0.1, ge=0, lt=1)
    """CelebA: brightness, contrast and saturation of training images vary by up to this share."""
    flips: float = Field(0.5, ge=0, le=1)
    """CelebA: share of training images that are mirrored."""

    unstored: ClassVar[tuple[str, ...]] = OWN
    pooled: ClassVar[bool] = True

    def world(self) -> Any:
        """The images of the folder; they are read when they are first needed.

        Raises:
            UserError: no folder is named, or classes have the wrong number of digits.
        """
        from conceptspace.cache import image_cache
        from conceptspace.worlds.faces.attributes import attribute_space
        from conceptspace.worlds.faces.celeba import CelebaWorld

        if not self.root:
            raise UserError(
                "data.kind = 'celeba' needs data.root, the folder that holds img_align_celeba and "
                "list_attr_celeba.txt"
            )
        return CelebaWorld(
            attribute_space(self.attributes, self.train_classes, self.ood_classes),
            self.resolution,
            Path(self.root),
            self.images_per_class,
            self.jitter,
            self.flips,
            image_cache(),
        )

    def check(self) -> None:
        """Read the list and choose files, but no image yet.

        Raises:
            UserError: the list cannot be read, or a class has too few images.
        """
        self.world().check()
