"""Settings of faces: of a CelebA folder, and of drawn ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field

from conceptspace.errors import UserError
from conceptspace.hints import meant
from conceptspace.worlds.config import DataConfig
from conceptspace.worlds.older import OWN, OlderData


class FacesData(DataConfig):
    """Faces with attributes (paper App. C.3)."""

    attributes: tuple[str, ...] = Field(("Not_Male", "Smiling"), max_length=10)
    """Faces: the concepts; Not_ before an attribute's name swaps its two values."""
    jitter: float = Field(0.1, ge=0, lt=1)
    """Faces: brightness, contrast and saturation of training images vary by up to this share."""
    flips: float = Field(0.5, ge=0, le=1)
    """Faces: share of training images that are mirrored."""

    pooled: ClassVar[bool] = True


class CelebaData(FacesData, OlderData):
    """A local folder of CelebA."""

    kind: Literal["celeba"] = "celeba"
    """A CelebA folder."""
    root: str = ""
    """CelebA: the folder that holds img_align_celeba and list_attr_celeba.txt or .csv."""

    unstored: ClassVar[tuple[str, ...]] = OWN

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
                "list_attr_celeba.txt or .csv"
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


class DrawnFacesData(FacesData):
    """Faces of a few curves that imitate CelebA's attributes; nothing is needed for them."""

    kind: Literal["drawn-faces"] = "drawn-faces"
    """Drawn faces."""

    def world(self) -> Any:
        """The faces; they are drawn when they are first needed.

        Raises:
            UserError: an attribute cannot be drawn or is named twice, or classes have the wrong
                number of digits.
        """
        from conceptspace.worlds.faces.attributes import attribute_space, plain
        from conceptspace.worlds.faces.drawing import SHARES
        from conceptspace.worlds.faces.drawn import DrawnFaces

        asked = [plain(name) for name in self.attributes]
        for name in asked:
            if name not in SHARES:
                raise UserError(
                    f"no face is drawn with the attribute {name!r}; they are "
                    f"{', '.join(SHARES)}{meant(name, SHARES)}"
                )
        if len(set(asked)) != len(asked):
            raise UserError(f"data.attributes = {list(self.attributes)} names an attribute twice")
        return DrawnFaces(
            attribute_space(self.attributes, self.train_classes, self.ood_classes),
            self.resolution,
            self.images_per_class,
            self.jitter,
            self.flips,
        )

    def check(self) -> None:
        """See whether the attributes can be drawn."""
        self.world()
