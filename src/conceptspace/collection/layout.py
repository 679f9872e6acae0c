"""The files of a collection, and settings as columns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

MARK = "collection.json"
"""A folder with this file is a collection."""

RUNS, TRAJECTORIES, BEST, POINTS = "runs", "trajectories", "best", "points"
"""The kinds of data that are kept for every run, each in a folder of parts."""

PART = 100
"""Number of runs in a part."""

PREFIX = "config."
"""Begins the name of a setting's column, so that it is never that of another column."""

APART = ("seed", "preset")
"""Settings that are no column of their own: the seed is one already."""


def part_of(folder: Path, kind: str, number: int) -> Path:
    """The file of a part."""
    return folder / kind / f"part-{number:04d}.parquet"


def is_collection(path: Path) -> bool:
    """Whether a folder is a collection."""
    return (path / MARK).is_file()


def as_column(value: Any) -> Any:
    """A setting as a value of a column: a number, a truth value or text; None stays."""
    if isinstance(value, tuple | list):
        return ",".join(str(as_column(each)) for each in value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return str(value)


def varied(settings: Sequence[Mapping[str, Any]]) -> list[str]:
    """Dotted names of the settings in which runs differ, in their order."""
    names = dict.fromkeys(name for of_run in settings for name in of_run if name not in APART)
    return [name for name in names if len({as_column(of_run.get(name)) for of_run in settings}) > 1]


def columns(settings: Sequence[Mapping[str, Any]], names: Iterable[str]) -> pd.DataFrame:
    """The settings of runs as columns, numbers as numbers, mixtures as text.

    Args:
        settings: of each run, by dotted name.
        names: of the columns, without :data:`PREFIX`.
    """
    found = {PREFIX + name: _column([as_column(s.get(name)) for s in settings]) for name in names}
    return pd.DataFrame(found, index=range(len(settings)))


def _column(values: list[Any]) -> pd.Series:
    column = pd.Series(values, dtype=object).convert_dtypes()
    if column.dtype == object:
        column = pd.Series([None if v is None else str(v) for v in values], dtype="string")
    return column
