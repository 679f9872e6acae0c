"""From the settings of data of one's own to their world."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from conceptspace.config import DataConfig
from conceptspace.errors import UserError
from conceptspace.worlds.arrays import ArrayWorld
from conceptspace.worlds.factors import Names, Shown
from conceptspace.worlds.folder import FolderWorld
from conceptspace.worlds.stored import read_arrays

KINDS = ("arrays", "folder")


def own_world(data: DataConfig) -> ArrayWorld:
    """The images of a file of arrays or of a folder; they are read once.

    Raises:
        UserError: no path is named, a setting is for shapes only, or see :class:`ArrayWorld`.
    """
    if not data.path:
        what = "an .npz or .h5 file" if data.kind == "arrays" else "a folder of pictures"
        raise UserError(f"data.kind = {data.kind!r} needs data.path, {what}")
    if data.masked_class or data.masked_share or data.conditioned:
        raise UserError(
            "data.masked_class, data.masked_share and data.conditioned are settings of shapes; "
            f"with data.kind = {data.kind!r} every prompt shows all concepts"
        )
    try:
        changed = os.stat(data.path).st_mtime_ns
    except OSError as error:
        raise UserError(f"data.path = {data.path!r} cannot be read: {error.strerror}") from None
    return _read(data, changed)


@lru_cache(maxsize=2)
def _read(data: DataConfig, changed: int) -> ArrayWorld:
    """The world of a config, as long as the file stays as it is."""
    options: dict[str, Any] = {
        "names": names_of(data.values),
        "held_out": data.ood_classes or ("paper" if not data.train_classes else ()),
        "train": data.train_classes or None,
        "resolution": data.resolution,
        "per_class": data.images_per_class,
        "shown": shown_of(data.shown),
    }
    if data.kind == "arrays":
        return read_arrays(Path(data.path), data.factors, **options)
    options |= {"table": data.table, "file": data.file_column}
    return FolderWorld(Path(data.path), data.factors, **options)


def names_of(values: tuple[str, ...]) -> Mapping[str, Names]:
    """``("hue=red|blue", "scale=0:small|5:large")`` as names of values.

    Raises:
        UserError: a text has another form.
    """
    found: dict[str, Names] = {}
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
