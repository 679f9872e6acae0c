"""Read a collection: the list of its runs at once, a run's rows when they are asked for."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

import pandas as pd
import pyarrow as pa
from pyarrow import parquet

from conceptspace.collection.layout import (
    BEST,
    MARK,
    POINTS,
    PREFIX,
    RUNS,
    TRAJECTORIES,
    is_collection,
    part_of,
)
from conceptspace.errors import UserError
from conceptspace.files import (
    make_folders,
    read_record,
    write_atomically,
    write_record,
    write_table,
)
from conceptspace.run_folder import RunFolder
from conceptspace.tables import TRAJECTORY_COLUMNS

LISTED = ("run", "seed", "preset", "steps", "status", "space")
"""Columns that are read for all runs at once, besides their settings."""


class Collection:
    """A collection, for reading.

    Args:
        path: its folder.

    Raises:
        UserError: it is no collection, or parts of it are missing or damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._footers: dict[Path, parquet.FileMetaData] = {}
        if not is_collection(path):
            raise UserError(f"{path} is no collection: it has no {MARK}")
        with sound(path / MARK):
            mark = read_record(path / MARK)
            self.parts, self.varied = int(mark["parts"]), [str(name) for name in mark["varied"]]
            self.count = int(mark["runs"])

    @cached_property
    def runs(self) -> pd.DataFrame:
        """A row for each run: run, seed, preset, steps, status, space, part, group, and the
        settings that vary as ``config.NAME``.

        Raises:
            UserError: parts are missing or damaged.
        """
        found = []
        names = [*LISTED, *(PREFIX + name for name in self.varied)]
        for number in range(self.parts):
            place = part_of(self.path, RUNS, number)
            with sound(place):
                frame = open_part(place).read(columns=names, use_threads=False).to_pandas()
            found.append(frame.assign(part=number, group=range(len(frame))))
        table = pd.concat(found, ignore_index=True)
        with sound(self.path):
            if len(table) != self.count or table["run"].duplicated().any():
                raise ValueError(f"it lists {len(table)} runs, not {self.count}")
            for name in table["run"]:
                if name.startswith("/") or ".." in name.split("/"):
                    raise ValueError(f"the run {name} would lie outside it")
        return table.set_index("run", drop=False)

    def where(self, asked: Mapping[str, str]) -> list[str]:
        """The names of the runs with these values.

        Args:
            asked: values as text, by setting or ``seed``, with hyphens or underscores. With commas
                it is a list where some run has that list, else several values.

        Raises:
            UserError: a setting does not vary, or no run has the values.
        """
        chosen = pd.Series(True, index=self.runs.index)
        for name, wanted in asked.items():
            column = self.runs[self._column(name)].map(str)
            whole = column.map(lambda value, wanted=wanted: _is(value, wanted))
            single = [column.map(lambda v, text=text: _is(v, text)) for text in wanted.split(",")]
            chosen &= whole if whole.any() else pd.concat(single, axis=1).any(axis=1)
        if not chosen.any():
            raise UserError(f"no run of {self.path} has {request_text(asked)}")
        return list(self.runs.index[chosen])

    def _column(self, name: str) -> str:
        """The column of a setting that varies, or of the seed."""
        if name == "seed":
            return name
        known = {each.replace("-", "_"): each for each in self.varied}
        if name not in self.varied and name.replace("-", "_") not in known:
            listed = ", ".join(["seed", *self.varied])
            raise UserError(f"{name} does not vary in {self.path}; {listed} may be chosen by")
        return PREFIX + (name if name in self.varied else known[name.replace("-", "_")])

    def trajectories(self, names: Sequence[str]) -> Iterator[tuple[str, pd.DataFrame]]:
        """The trajectories of runs, by part; texts are categories.

        Raises:
            UserError: there is no such run, or a part is damaged.
        """
        yield from self._groups(TRAJECTORIES, names)

    def points(self, names: Sequence[str]) -> Iterator[tuple[str, str]]:
        """What a page draws for runs, as JSON, by :func:`conceptspace.analysis.points.page_points`.

        Raises:
            UserError: there is no such run, or a part is damaged.
        """
        for number, rows in self._rows(names).groupby("part"):
            place = part_of(self.path, POINTS, int(str(number)))
            with sound(place):
                file, groups = open_part(place), rows["group"].tolist()
                table = file.read_row_groups(groups, columns=["run", "points"], use_threads=False)
                found = table.to_pydict()
                for name, stored in zip(rows["run"], found["run"], strict=True):
                    _check_run(stored, name)
            yield from zip(rows["run"], found["points"], strict=True)

    def unpack(self, names: Sequence[str], folder: Path) -> None:
        """Make run folders of runs, with all that the collection keeps of them.

        Args:
            names: of the runs.
            folder: where they go, ``FOLDER/NAME``.

        Raises:
            UserError: there is no such run, or a part is damaged.
            OSError: they cannot be written.
        """
        for name, (config, record, space) in self._texts(names):
            make_folders(folder / name)
            write_atomically(RunFolder(folder / name).config, config.encode())
            write_record(folder / name / "run.json", json.loads(record))
            write_record(RunFolder(folder / name).space, json.loads(space))
        for kind, file in ((TRAJECTORIES, "trajectory"), (BEST, "best")):
            for name, table in self._groups(kind, names):
                if len(table):
                    run = name.rpartition("/")[2]
                    write_table(
                        folder / name / f"{file}.parquet", without_categories(table).assign(run=run)
                    )

    def _groups(self, kind: str, names: Sequence[str]) -> Iterator[tuple[str, pd.DataFrame]]:
        """The row group of each run, without the settings."""
        for number, rows in self._rows(names).groupby("part"):
            place = part_of(self.path, kind, int(str(number)))
            with sound(place):
                file = open_part(place, self._footers.get(place))
                self._footers[place] = file.metadata
                own = [name for name in file.schema_arrow.names if not name.startswith(PREFIX)]
            for name, group in zip(rows["run"], rows["group"], strict=True):
                with sound(place):
                    found = file.read_row_group(group, columns=own, use_threads=False).to_pandas()
                    for stored in found["run"].unique():
                        _check_run(stored, name)
                yield name, found

    def _texts(self, names: Sequence[str]) -> Iterator[tuple[str, tuple[str, str, str]]]:
        """Config, record and space of each run."""
        for number, rows in self._rows(names).groupby("part"):
            place = part_of(self.path, RUNS, int(str(number)))
            with sound(place):
                texts = ["run", "config", "record", "space"]
                kept = open_part(place).read(columns=texts).to_pylist()
            for name, group in zip(rows["run"], rows["group"], strict=True):
                with sound(place):
                    of = kept[group]
                    _check_run(of["run"], name)
                yield name, (of["config"], of["record"], of["space"])

    def _rows(self, names: Iterable[str]) -> pd.DataFrame:
        asked = list(names)
        missing = [name for name in asked if name not in self.runs.index]
        if missing:
            raise UserError(f"{self.path} has no run {missing[0]}")
        return self.runs.loc[asked]


def _check_run(stored: str, name: str) -> None:
    """Raise ``ValueError`` unless what is stored is of the run that is asked for."""
    if stored != name:
        raise ValueError(
            f"it holds the run {stored} in place of {name}, as while it is written anew"
        )


def request_text(asked: Mapping[str, str]) -> str:
    """What was asked for, in words."""
    return " and ".join(f"{name} = {value}" for name, value in asked.items())


def _is(value: str, text: str) -> bool:
    """Whether a value, or each of a list, is that of a text."""
    values, texts = value.split(","), [part.strip() for part in text.split(",")]
    return len(values) == len(texts) and all(map(_same, values, texts))


def _same(value: str, text: str) -> bool:
    """Numbers are compared as numbers; a truth value may be written as in TOML."""
    try:
        return float(value) == float(text)
    except ValueError:
        return text == value or (value in ("True", "False") and text == value.lower())


def open_part(place: Path, footer: parquet.FileMetaData | None = None) -> parquet.ParquetFile:
    """A part, whose pages are verified when they are read; its footer may be known already."""
    return parquet.ParquetFile(place, metadata=footer, page_checksum_verification=True)


@contextmanager
def sound(place: Path) -> Iterator[None]:
    """Report in one sentence that a file is damaged.

    Raises:
        UserError: what is read there is not what was written.
    """
    try:
        yield
    except (OSError, ValueError, KeyError, TypeError, IndexError, pa.ArrowException) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise UserError(
            f"{place} is damaged or missing ({reason}); write it anew with: conceptspace sweep "
            "collect DIR"
        ) from None


def without_categories(table: pd.DataFrame) -> pd.DataFrame:
    """The table with texts in place of categories, without columns that only other runs have."""
    there = [n for n in table if n in TRAJECTORY_COLUMNS or table[n].notna().any()]
    coded = [n for n in there if isinstance(table[n].dtype, pd.CategoricalDtype)]
    return table[there].astype(dict.fromkeys(coded, str))
