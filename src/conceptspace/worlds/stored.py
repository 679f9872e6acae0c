"""Files of arrays as a world: ``.npz`` in general and of dSprites, ``.h5`` of 3D Shapes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from conceptspace.errors import UserError
from conceptspace.worlds.arrays import ArrayWorld, Classes
from conceptspace.worlds.factors import Names, Shown

SPRITES = ("color", "shape", "scale", "orientation", "posX", "posY")
"""The columns of dSprites' ``latents_classes``, where the file does not name them."""

DAMAGE = (OSError, ValueError, BadZipFile, EOFError, KeyError, TypeError, AttributeError)
"""What reading a file that is no archive of arrays may raise."""

SHAPES_3D = ("floor_hue", "wall_hue", "object_hue", "scale", "shape", "orientation")
"""The columns of the labels of 3D Shapes."""


def read_arrays(
    path: str | Path,
    factors: Sequence[str] = (),
    *,
    names: Mapping[str, Names] | None = None,
    held_out: Classes | Literal["paper"] = (),
    train: Classes | None = None,
    resolution: int | None = None,
    per_class: int | None = None,
    shown: Shown | None = None,
) -> ArrayWorld:
    """A world from a file.

    - ``.npz`` with ``images`` (or ``imgs``), and beside it one array for each factor;
    - ``.npz`` of dSprites: ``imgs``, bytes 0 and 1, and ``latents_classes``, whose columns are
      called as in an array of text ``latents_names``, or else as dSprites calls them. What is
      pickled in the file, such as its metadata, is not read;
    - ``.h5`` of 3D Shapes: ``images`` and ``labels``; needs ``conceptspace[h5]``. Only images that
      are taken are read.

    Args:
        path: of the file.
        factors: the columns that are concepts; by default all.
        names: see :class:`ArrayWorld`.
        held_out: see :class:`ArrayWorld`.
        train: see :class:`ArrayWorld`.
        resolution: see :class:`ArrayWorld`.
        per_class: see :class:`ArrayWorld`.
        shown: see :class:`ArrayWorld`.

    Raises:
        UserError: the file cannot be read, is of another form, or see :class:`ArrayWorld`.
    """
    path = Path(path)
    hierarchical = path.suffix in (".h5", ".hdf5")
    images, columns = _from_h5(path) if hierarchical else _from_npz(path, factors)
    return ArrayWorld(
        images,
        _asked(columns, factors, path),
        names=names,
        held_out=held_out,
        train=train,
        resolution=resolution,
        per_class=per_class,
        shown=shown,
    )


def _from_npz(path: Path, factors: Sequence[str]) -> tuple[Any, dict[str, Any]]:
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            keys = file.files
            key = next((name for name in ("images", "imgs") if name in keys), "")
            if not key:
                raise UserError(f"{path} has no array images or imgs; it has {', '.join(keys)}")
            images = file[key]
            if "latents_classes" in keys:
                return lambda rows: _bytes(images[rows]), _latents(file, path)
            headers = {name: _header(file, name) for name in keys if name != key}
            return images, _columns(file, headers, factors, len(images), path)
    except UserError:
        raise
    except DAMAGE as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"{path} cannot be read as a file of arrays (.npz): {reason}") from None


def _columns(
    file: Any, headers: Mapping[str, Any], factors: Sequence[str], count: int, path: Path
) -> dict[str, Any]:
    """The arrays that have a value for each image."""
    shapes = ((count,), (count, 1))
    for name, (shape, kind) in headers.items():
        if name in factors and shape not in shapes:
            raise UserError(
                f"{path}: {name} has the shape {shape}, and there are {count} images; one value "
                "for each belongs there"
            )
        if kind.hasobject and shape in shapes and (name in factors or not factors):
            raise UserError(
                f"{path}: {name} is pickled, and is not read, since that may run code; save text "
                f"or numbers, such as {name}.astype(str)"
                + ("" if factors else ", or name the columns that are concepts")
            )
    plain = [n for n, (shape, kind) in headers.items() if shape in shapes and not kind.hasobject]
    return {name: file[name].reshape(-1) for name in plain}


def _header(file: Any, name: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """The shape of an array and what it holds, of which nothing is read."""
    npy = np.lib.format
    with file.zip.open(f"{name}.npy") as opened:
        old = npy.read_magic(opened) == (1, 0)
        read = npy.read_array_header_1_0 if old else npy.read_array_header_2_0
        shape, _, kind = read(opened)
    return shape, kind


def _latents(file: Any, path: Path) -> dict[str, Any]:
    values = file["latents_classes"]
    named = "latents_names" in file.files and not _header(file, "latents_names")[1].hasobject
    names = [_text(name) for name in file["latents_names"].tolist()] if named else list(SPRITES)
    if values.ndim != 2 or values.shape[1] != len(names):
        raise UserError(
            f"{path}: latents_classes of shape {values.shape} has no column for each of "
            f"{', '.join(names)}; name them in an array latents_names"
        )
    return {name: values[:, column] for column, name in enumerate(names)}


def _text(name: Any) -> str:
    return name.decode() if isinstance(name, bytes) else str(name)


def _bytes(images: NDArray[Any]) -> NDArray[Any]:
    """The bytes of dSprites are 0 and 1."""
    return images * np.uint8(255) if images.dtype == np.uint8 and images.max() <= 1 else images


def _asked(columns: Mapping[str, Any], factors: Sequence[str], path: Path) -> dict[str, Any]:
    if not columns:
        raise UserError(f"{path} has no column of values beside its images")
    for name in factors:
        if name not in columns:
            raise UserError(f"{path} has no column {name!r}; it has {', '.join(columns)}")
    return {name: columns[name] for name in factors or columns}


def _from_h5(path: Path) -> tuple[Any, dict[str, Any]]:
    try:
        import h5py
    except ImportError:
        raise UserError(
            f"{path} needs the package h5py; install it with: pip install 'conceptspace[h5]'"
        ) from None
    try:
        with h5py.File(path, "r") as file:
            if "images" not in file or "labels" not in file:
                raise UserError(f"{path} has no images and labels; it has {', '.join(file)}")
            labels = np.asarray(file["labels"])
    except OSError as error:
        raise UserError(f"{path} cannot be read as HDF5: {error}") from None
    if labels.ndim != 2 or labels.shape[1] != len(SHAPES_3D):
        raise UserError(
            f"{path}: labels of shape {labels.shape} has no column for each of "
            f"{', '.join(SHAPES_3D)}"
        )

    def read(rows: NDArray[np.int64]) -> NDArray[Any]:
        with h5py.File(path, "r") as file:
            return np.asarray(file["images"][rows])

    return read, dict(zip(SHAPES_3D, labels.T, strict=True))
