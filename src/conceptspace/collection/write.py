"""Collect the runs of a sweep; parts whose runs have not changed stay as they are."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree
from typing import Any

import pandas as pd
import pyarrow as pa
from pyarrow import parquet

from conceptspace import files
from conceptspace.analysis.elicitation import best_settings
from conceptspace.analysis.points import BLANK, page_points
from conceptspace.collection.layout import (
    BEST,
    MARK,
    PART,
    POINTS,
    RUNS,
    TRAJECTORIES,
    columns,
    part_of,
    varied,
)
from conceptspace.config import RunConfig
from conceptspace.errors import UserError
from conceptspace.experiment import parts
from conceptspace.files import make_folders, read_record, sha256, write_atomically, write_record
from conceptspace.locking import alone
from conceptspace.recording.space import read_space, record_of, space_of
from conceptspace.run_folder import LOCK
from conceptspace.space import ConceptSpace
from conceptspace.store import Run
from conceptspace.tables import NAIVE

FRESH = ".new"
"""Folder of the parts that are being written, within the collection."""

OWN = frozenset((MARK, RUNS, TRAJECTORIES, BEST, POINTS, FRESH, LOCK))
"""What may lie in the folder of a collection, even of one that was cut short."""

PATIENCE = 600.0
"""Seconds to wait for another process that writes the collection."""


class Unreadable(UserError):
    """Runs cannot be read.

    Attributes:
        reasons: why, by name.
    """

    def __init__(self, reasons: Mapping[str, str]) -> None:
        super().__init__("; ".join(f"{name}: {reason}" for name, reason in reasons.items()))
        self.reasons = reasons


@dataclass(frozen=True)
class Member:
    """What a collection keeps for each run.

    Attributes:
        name: in the collection.
        seed: of the run.
        settings: by dotted name.
        config: text of its ``config.toml``.
        record: content of its ``run.json``.
        space: its concept space, see :func:`conceptspace.recording.space.record_of`.
        trajectory: see :data:`conceptspace.tables.TRAJECTORY_COLUMNS`.
        best: see :meth:`conceptspace.store.Run.kept_best`; None where it is not known.
        digest: changes with the run's trajectory and its record.
    """

    name: str
    seed: int
    settings: Mapping[str, Any]
    config: str
    record: Mapping[str, Any]
    space: Mapping[str, Any]
    trajectory: Callable[[], pd.DataFrame]
    best: Callable[[], pd.DataFrame | None]
    digest: str


def collect(runs: Mapping[str, Run], folder: Path) -> dict[str, str]:
    """Write the runs' trajectories and settings as a collection.

    Args:
        runs: by their names in the collection.
        folder: created, or brought up to date.

    Returns:
        Why runs are left out, by name: they have no trajectory yet, or are damaged.

    Raises:
        UserError: no run is left, or the folder holds something else.
        OSError: it cannot be written.
    """
    found, left_out = dict[str, Member](), dict[str, str]()
    for name, run in runs.items():
        try:
            found[name] = member(name, run)
        except (UserError, OSError) as error:
            left_out[name] = str(error)
    while found:
        firsts = _firsts(found.values())
        kept = [of for name, of in found.items() if firsts[name] is of]
        try:
            write(kept, folder)
        except Unreadable as error:
            left_out |= error.reasons
            found = {name: of for name, of in found.items() if name not in error.reasons}
            continue
        copies = {name: first.name for name, first in firsts.items() if first.name != name}
        return left_out | {
            name: f"it has the settings and the seed of {first}" for name, first in copies.items()
        }
    reasons = "; ".join(list(left_out.values())[:1])
    raise UserError(f"there is no run to collect{': ' * bool(reasons)}{reasons}")


def _firsts(members: Iterable[Member]) -> dict[str, Member]:
    """By the name of each member, the first one with its settings and its seed."""
    seen: dict[str, Member] = {}
    return {
        of.name: seen.setdefault(repr((of.seed, sorted(of.settings.items()))), of) for of in members
    }


def member(name: str, run: Run) -> Member:
    """What a collection keeps of a run.

    Raises:
        UserError: it has no trajectory yet, or is damaged.
        OSError: the system cannot read it.
    """
    run.trajectory()
    described = run.description
    record = run.information()
    content = json.dumps(record, sort_keys=True).encode()
    return Member(
        name,
        described.seed,
        described.settings(),
        (run.path / "config.toml").read_text(),
        record,
        record_of(_space(run)),
        run.trajectory,
        lambda: _best(run),
        sha256((run.path / "trajectory.parquet").read_bytes() + content),
    )


def _space(run: Run) -> ConceptSpace:
    """The concept space that a run keeps, or that of its world; no code of one's own is imported.

    Raises:
        UserError: it keeps none, and was recorded or has a world of one's own.
    """
    kept, described = read_space(run.path), run.description
    if kept is not None:
        return kept
    if not isinstance(described, RunConfig):
        raise UserError(f"{run.path} was recorded, and its space.json is missing")
    return parts.world(described.data).space


def write(members: Sequence[Member], folder: Path) -> None:
    """Write a collection, part by part; those whose runs have not changed are kept.

    What was there stays until all that is new is ready. One process writes at a time.

    Raises:
        Unreadable: runs are damaged; the collection stays as it was.
        UserError: the folder holds something else, or another process has been writing for long.
        OSError: it cannot be written.
    """
    there = {place.name for place in folder.iterdir()} if folder.exists() else set[str]()
    if MARK not in there and there - OWN:
        raise UserError(f"{folder} is no collection and not empty; choose another folder")
    make_folders(folder)
    with alone(folder, PATIENCE):
        try:
            _write_anew(members, folder)
        finally:
            rmtree(folder / FRESH, ignore_errors=True)


def _write_anew(members: Sequence[Member], folder: Path) -> None:
    """Make new parts ready, and then put them in place."""
    rmtree(folder / FRESH, ignore_errors=True)  # of a process that was killed
    each = [of.settings for of in members]
    names = varied(each)
    settings = pa.Table.from_pandas(columns(each, names), preserve_index=False)
    starts = range(0, len(members), PART)
    changed = [
        number
        for number, start in enumerate(starts)
        if _write_part(members[start : start + PART], settings.slice(start, PART), folder, number)
    ]
    for number in changed:
        _put_in_place(folder, number)
    for number in range(len(starts), _parts(folder)):
        for kind in (RUNS, TRAJECTORIES, BEST, POINTS):
            files.DISK.remove(part_of(folder, kind, number))
    record = {"runs": len(members), "parts": len(starts), "varied": names}
    write_record(folder / MARK, record)


def _parts(folder: Path) -> int:
    """Number of parts of the collection that was there; 0 if there was none, or it is damaged."""
    try:
        return int(read_record(folder / MARK)["parts"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0


def _write_part(members: Sequence[Member], settings: pa.Table, folder: Path, number: int) -> bool:
    """Make a part ready, beside the one that is there; false if that has just these runs.

    Raises:
        Unreadable: some of its runs are damaged.
        OSError: it cannot be written.
    """
    kept = {
        "run": [of.name for of in members],
        "seed": [of.seed for of in members],
        "digest": [of.digest for of in members],
        "preset": [str(of.settings.get("preset", "")) for of in members],
        "steps": [of.settings.get("train.steps") for of in members],
        "status": [str(of.record.get("status", "unknown")) for of in members],
        "config": [of.config for of in members],
        "record": [json.dumps(dict(of.record), sort_keys=True) for of in members],
        "space": [json.dumps(dict(of.space), sort_keys=True) for of in members],
    }
    table = pa.table(kept | dict(zip(settings.column_names, settings.columns, strict=True)))
    if part_of(folder, POINTS, number).exists() and _same(part_of(folder, RUNS, number), table):
        return False
    tables, best = _read(members)
    points = [_points(of, table) for of, table in zip(members, tables, strict=True)]
    texts = pa.table({"run": kept["run"], "points": points})
    fresh = folder / FRESH
    _write_groups(part_of(fresh, TRAJECTORIES, number), members, tables, settings)
    _write_groups(part_of(fresh, BEST, number), members, best, settings)
    _write(part_of(fresh, POINTS, number), texts, rows=1)
    _write(part_of(fresh, RUNS, number), table, rows=len(table))
    return True


def _put_in_place(folder: Path, number: int) -> None:
    """Put a part that is ready in the place of the one that was there."""
    files.DISK.remove(part_of(folder, RUNS, number))  # a part without its runs does not count
    for kind in (TRAJECTORIES, BEST, POINTS, RUNS):
        place = part_of(folder, kind, number)
        make_folders(place.parent)
        files.DISK.rename(part_of(folder / FRESH, kind, number), place)
        files.DISK.sync(place.parent)


def _read(members: Sequence[Member]) -> tuple[list[pd.DataFrame], list[pd.DataFrame]]:
    """The trajectories of runs, and their best settings.

    Raises:
        Unreadable: some are damaged.
    """
    tables, best, reasons = list[pd.DataFrame](), list[pd.DataFrame](), dict[str, str]()
    for of in members:
        try:
            tables.append(of.trajectory())
            best.append(_best_or_none(of, tables[-1]))
        except (UserError, OSError) as error:
            reasons[of.name] = str(error)
    if reasons:
        raise Unreadable(reasons)
    return tables, best


def _write(path: Path, table: pa.Table, rows: int) -> None:
    """A file of texts with so many rows a row group."""
    buffer = io.BytesIO()
    parquet.write_table(
        table,
        buffer,
        row_group_size=rows,
        compression="zstd",
        use_dictionary=rows > 1,  # of texts that repeat
        write_page_checksum=True,
    )
    write_atomically(path, buffer.getvalue())


def _points(of: Member, table: pd.DataFrame) -> str:
    """What a page draws for a run, by :func:`conceptspace.analysis.points.page_points`, as JSON."""
    try:
        points = page_points(table, space_of(of.space))
    except UserError as error:
        points = BLANK | {"problems": [str(error)]}
    return json.dumps(points, allow_nan=False, separators=(",", ":"))


def _same(place: Path, table: pa.Table) -> bool:
    """Whether a part with exactly these runs is there."""
    try:
        return bool(parquet.read_table(place, page_checksum_verification=True).equals(table))
    except (OSError, ValueError, pa.ArrowException):
        return False


def _best_or_none(of: Member, table: pd.DataFrame) -> pd.DataFrame:
    """The best settings of a run, without rows where they are not known."""
    best = of.best()
    return table.iloc[:0].assign(honest=0.0) if best is None else best


def _best(run: Run) -> pd.DataFrame | None:
    kept = run.kept_best()
    if kept is not None:
        return kept
    table = run.trajectory()
    if not any((run.path / "scores").glob("*/*.parquet")) or set(table["protocol"]) == {NAIVE}:
        return None
    return best_settings(table, run.scores())


def _write_groups(
    path: Path, members: Sequence[Member], tables: Sequence[pd.DataFrame], settings: pa.Table
) -> None:
    """A file with a row group for each run; columns that a run lacks are missing values."""
    found = [
        _group(table.assign(run=of.name), settings.slice(at, 1))
        for at, (of, table) in enumerate(zip(members, tables, strict=True))
    ]
    schema = pa.unify_schemas([table.schema for table in found], promote_options="permissive")
    buffer = io.BytesIO()
    with parquet.ParquetWriter(
        buffer, schema, compression="zstd", write_page_checksum=True
    ) as writer:
        for table in found:
            whole = pa.concat_tables([schema.empty_table(), table], promote_options="permissive")
            writer.write_table(whole, row_group_size=max(1, len(table)))
    write_atomically(path, buffer.getvalue())


def _group(table: pd.DataFrame, settings: pa.Table) -> pa.Table:
    """The rows of a run, with its settings in every one; texts as numbers of a dictionary."""
    arrow = pa.Table.from_pandas(table, preserve_index=False).replace_schema_metadata(None)
    for name in settings.column_names:
        arrow = arrow.append_column(name, pa.repeat(settings[name][0], len(table)))
    for at, field in enumerate(arrow.schema):
        if pa.types.is_string(field.type) or pa.types.is_large_string(field.type):
            encoded = arrow[field.name].cast(pa.string()).dictionary_encode()
            arrow = arrow.set_column(at, field.name, encoded)
    return arrow
