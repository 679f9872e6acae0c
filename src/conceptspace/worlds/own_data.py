"""Settings of data of one's own: a file of arrays, or a folder of pictures."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from conceptspace.errors import UserError
from conceptspace.worlds.older import OlderData

if TYPE_CHECKING:
    from conceptspace.worlds.factors import Shown


class ImagesData(OlderData):
    """Images that are there, with a column of values for each concept."""

    path: str = ""
    """Arrays, folder: the file, or the folder."""
    factors: tuple[str, ...] = Field((), max_length=10)
    """Arrays, folder: columns, or levels of subfolders, that are concepts; empty: all columns."""
    values: tuple[str, ...] = Field((), max_length=10)
    """Arrays, folder: names of values, e.g. "hue=red|blue" in order, or "scale=0:small|5:large" to
    take these values alone."""
    shown: tuple[str, ...] = Field((), max_length=10)
    """Arrays, folder: numbers in [0, 1] by which prompts show each value, in their order, e.g.
    "hue=0.6 0.4 0.4|0.4 0.4 0.6"; of all other concepts one-hot codes."""

    pooled: ClassVar[bool] = True
    what: ClassVar[str]
    """What ``path`` names."""

    def left_out(self) -> frozenset[str]:
        """Prompts that show numbers came later."""
        return frozenset(["shown"])

    def world(self) -> Any:
        """The images; they are read once, until the file changes.

        Raises:
            UserError: no path is named, or see :class:`conceptspace.worlds.arrays.ArrayWorld`.
        """
        if not self.path:
            raise UserError(f"data.kind = {self.kind!r} needs data.path, {self.what}")
        try:
            changed = os.stat(self.path).st_mtime_ns
        except OSError as error:
            raise UserError(f"data.path = {self.path!r} cannot be read: {error.strerror}") from None
        return _read(self, changed)

    def check(self) -> None:
        """Read the images.

        Raises:
            UserError: see :meth:`world`.
        """
        self.world()

    def read(self, **options: Any) -> Any:
        """The world, with what these settings say to :class:`ArrayWorld`."""
        raise NotImplementedError


class ArraysData(ImagesData):
    """A file of arrays, see :func:`conceptspace.worlds.stored.read_arrays`."""

    kind: Literal["arrays"] = "arrays"
    """A file of arrays."""
    what: ClassVar[str] = "an .npz or .h5 file"

    def read(self, **options: Any) -> Any:
        """The world of the file."""
        from conceptspace.worlds.stored import read_arrays

        return read_arrays(Path(self.path), self.factors, **options)


class FolderData(ImagesData):
    """A folder of pictures, see :class:`conceptspace.worlds.folder.FolderWorld`."""

    kind: Literal["folder"] = "folder"
    """A folder of pictures."""
    table: str = ""
    """Folder: a CSV or Parquet file in it with a row for each picture; empty: class subfolders."""
    file_column: str = "file"
    """Folder: the table's column of the pictures' paths."""
    what: ClassVar[str] = "a folder of pictures"

    def read(self, **options: Any) -> Any:
        """The world of the folder."""
        from conceptspace.worlds.folder import FolderWorld

        options |= {"table": self.table, "file": self.file_column}
        return FolderWorld(Path(self.path), self.factors, **options)


@lru_cache(maxsize=2)
def _read(data: ImagesData, changed: int) -> Any:
    """The world of settings, as long as the file stays as it is."""
    return data.read(
        names=names_of(data.values),
        held_out=data.ood_classes or ("paper" if not data.train_classes else ()),
        train=data.train_classes or None,
        resolution=data.resolution,
        per_class=data.images_per_class,
        shown=shown_of(data.shown),
    )


def names_of(values: tuple[str, ...]) -> dict[str, list[str] | dict[str, str]]:
    """``("hue=red|blue", "scale=0:small|5:large")`` as names of values.

    Raises:
        UserError: a text has another form.
    """
    found: dict[str, list[str] | dict[str, str]] = {}
    for text in values:
        factor, equals, rest = text.partition("=")
        parts = [part.strip() for part in rest.split("|")]
        if not factor.strip() or not equals or not all(parts) or factor.strip() in found:
            raise UserError(
                f"data.values = {text!r}: FACTOR=NAME|NAME or FACTOR=VALUE:NAME|VALUE:NAME belongs "
                "there, once for each factor"
            )
        pairs = [part.partition(":") for part in parts]
        chosen = {value: name or value for value, _, name in pairs}
        found[factor.strip()] = chosen if any(colon for _, colon, _ in pairs) else parts
    return found


def shown_of(values: tuple[str, ...]) -> Shown:
    """``("hue=0.6 0.4 0.4|0.4 0.4 0.6",)`` as the numbers that prompts show of values.

    Raises:
        UserError: a text has another form.
    """
    found: dict[str, list[list[float]]] = {}
    for text in values:
        factor, equals, rest = text.partition("=")
        try:
            numbers = [[float(number) for number in part.split()] for part in rest.split("|")]
        except ValueError:
            numbers = [[]]
        if not factor.strip() or not equals or not all(numbers) or factor.strip() in found:
            raise UserError(
                f"data.shown = {text!r}: FACTOR=NUMBERS|NUMBERS belongs there, the numbers of each "
                "value with spaces between them, once for each factor"
            )
        found[factor.strip()] = numbers
    return found
