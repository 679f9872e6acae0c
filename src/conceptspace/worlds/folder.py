"""A folder of pictures as a world: with a table of attributes, or a subfolder for each class."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from conceptspace.errors import UserError
from conceptspace.files import read_whole
from conceptspace.worlds.arrays import ArrayWorld, Classes, Encode
from conceptspace.worlds.factors import Names, Shown
from conceptspace.worlds.pictures import as_seen

WORKERS = 8
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff")
"""Files of subfolders that are read; all files that a table names are."""


class FolderWorld(ArrayWorld):
    """Pictures in a folder, read as a viewer shows them and scaled to a square as a whole.

    Without a table the names of subfolders are the values, one level for each concept::

        ROOT/red/cube/1.png      factors=("hue", "shape")

    Hidden files and folders, whose names begin with a dot, do not count.

    Args:
        root: the folder; it is never changed.
        factors: the concepts: columns of the table (by default all but the file's), or names of
            the levels of subfolders.
        resolution: pixels per side.
        table: CSV or Parquet with a row for each picture, seen from the folder.
        file: its column of the pictures' paths, seen from the folder.
        names: of the values, see :func:`conceptspace.worlds.factors.read_factors`.
        held_out: see :class:`ArrayWorld`.
        train: see :class:`ArrayWorld`.
        per_class: see :class:`ArrayWorld`; only the pictures that are taken are read.
        shown: see :class:`ArrayWorld`.
        encode: see :class:`ArrayWorld`.

    Raises:
        UserError: as :class:`ArrayWorld`; or the folder, the table or a picture cannot be read.
    """

    def __init__(
        self,
        root: str | Path,
        factors: Sequence[str] = (),
        *,
        resolution: int,
        table: str = "",
        file: str = "file",
        names: Mapping[str, Names] | None = None,
        held_out: Classes | Literal["paper"] = (),
        train: Classes | None = None,
        per_class: int | None = None,
        shown: Shown | None = None,
        encode: Encode | None = None,
    ) -> None:
        root = Path(root)
        if not root.is_dir():
            raise UserError(f"{root} is not a folder")
        if table:
            files, columns = _listed(root / table, factors, file)
        else:
            files, columns = _in_subfolders(root, factors)
        super().__init__(
            lambda rows: read_pictures([root / files[row] for row in rows], resolution),
            columns,
            names=names,
            held_out=held_out,
            train=train,
            resolution=resolution,
            per_class=per_class,
            shown=shown,
            encode=encode,
        )
        self.root = root

    def provenance(self) -> dict[str, Any]:
        """As of arrays, and the folder."""
        return {"root": str(self.root), **super().provenance()}


def read_pictures(paths: Sequence[Path], side: int) -> NDArray[np.uint8]:
    """Pictures scaled to a square, shape (N, side, side, 3).

    Raises:
        UserError: names one that cannot be read.
    """

    def read(path: Path) -> NDArray[np.uint8]:
        try:
            if path.exists() and not path.is_file():
                raise ValueError("it is not a regular file")
            picture = as_seen(path.read_bytes())
        except OSError as error:
            raise UserError(f"cannot read the picture {path}: {error.strerror}") from None
        except ValueError as error:
            raise UserError(f"{path} is no picture that can be read ({error})") from None
        return np.asarray(picture.resize((side, side), Image.Resampling.BILINEAR))

    with ThreadPoolExecutor(min(WORKERS, os.cpu_count() or 1)) as workers:
        return np.stack(list(workers.map(read, paths)))


def read_columns(path: Path) -> pd.DataFrame:
    """A CSV, whose values are text as they stand, or a Parquet file.

    Raises:
        UserError: it cannot be read.
    """
    try:
        if path.suffix == ".parquet":
            return pd.read_parquet(BytesIO(read_whole(path)))
        return pd.read_csv(
            BytesIO(read_whole(path)), dtype=str, keep_default_na=False, encoding="utf-8-sig"
        )
    except Exception as error:  # a decoder of damaged bytes raises whatever it stumbles over
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"{path} cannot be read as a table: {reason}") from None


def _listed(path: Path, factors: Sequence[str], file: str) -> tuple[list[str], dict[str, Any]]:
    table = read_columns(path)
    asked = list(factors) or [str(name) for name in table.columns if name != file]
    for name in (file, *asked):
        if name not in table.columns:
            raise UserError(f"{path} has no column {name!r}; it has {', '.join(map(str, table))}")
    files = [str(name) for name in table[file]]
    again = table.index[table[file].duplicated()]
    if len(again):
        raise UserError(f"{path} lists {files[table.index.get_loc(again[0])]} twice")
    return files, {name: table[name].tolist() for name in asked}


def _in_subfolders(root: Path, factors: Sequence[str]) -> tuple[list[str], dict[str, Any]]:
    if not factors:
        raise UserError(
            f"name what the subfolders of {root} stand for, one factor for each level, or a table"
        )
    pattern = "/".join("*" * (len(factors) + 1))
    files = sorted(path.relative_to(root) for path in root.glob(pattern))
    shown = [path for path in files if not any(part.startswith(".") for part in path.parts)]
    paths = [path for path in shown if path.suffix.lower() in SUFFIXES]
    if not paths:
        raise UserError(
            f"{root} holds no pictures {len(factors)} folders deep, a level for each of "
            f"{', '.join(factors)}"
        )
    parts = [path.parts for path in paths]
    columns = {name: [part[level] for part in parts] for level, name in enumerate(factors)}
    return [str(path) for path in paths], columns
