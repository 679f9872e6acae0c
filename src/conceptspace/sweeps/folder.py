"""What a sweep's folder keeps of the sweep itself: its plan, and which runs failed.

::

    OUT/
      sweep.json        every run of the last command, with its cost; how many work at once
      failures.json     runs that failed since then, with the reason
      runs/NAME/        run folders
      logs/NAME.log     what the workers said
      collection/       all runs in a few Parquet files, see :mod:`conceptspace.collection`
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from conceptspace.errors import UserError
from conceptspace.experiment import parts
from conceptspace.files import read_record, write_record
from conceptspace.sweeps.cost import passes
from conceptspace.sweeps.plan import Plan
from conceptspace.sweeps.progress import Failed, Finished, Progress, Started

SWEEP = "sweep.json"
FAILURES = "failures.json"
COLLECTION = "collection"


@dataclass(frozen=True)
class Planned:
    """A run of a sweep, as its folder keeps it.

    Attributes:
        name: of the run.
        passes: what it costs, see :func:`conceptspace.sweeps.cost.passes`.
        checkpoints: how many are planned.
    """

    name: str
    passes: int
    checkpoints: int


def begin(out: Path, plans: Sequence[Plan], at_once: int) -> None:
    """Keep the plan, and forget the failures of earlier commands.

    Args:
        out: the sweep's folder.
        plans: every run.
        at_once: how many will work at a time; 0 where the engine decides.

    Raises:
        OSError: it cannot be written.
    """
    runs = [[p.name, passes(p.config), len(parts.checkpoints(p.config))] for p in plans]
    write_record(out / SWEEP, {"runs": runs, "at_once": at_once})
    write_record(out / FAILURES, {"failures": {}})


def remembered(events: Iterable[Progress], out: Path) -> Iterator[Progress]:
    """The events of an engine, while failures are kept in the sweep's folder.

    Those of another command that works on the same sweep stay.
    """
    for event in events:
        if isinstance(event, Failed | Started | Finished):
            before, name = _failures_or_none(out), event.plan.name
            now = {other: reason for other, reason in before.items() if other != name}
            if isinstance(event, Failed):
                now[name] = event.reason
            if now != before:
                write_record(out / FAILURES, {"failures": now})
        yield event


def planned_runs(out: Path) -> tuple[list[Planned], int]:
    """The runs of a sweep's folder, and how many work at once.

    Raises:
        UserError: no sweep was begun there, or the file is damaged.
    """
    if not (out / SWEEP).is_file():
        raise UserError(
            f"{out} is not the folder of a sweep: it has no {SWEEP}; name the folder that "
            "conceptspace sweep FILE --out DIR was given"
        )
    record = _read(out / SWEEP, ("runs", "at_once"))
    with _sound(out / SWEEP):
        return [_planned(row) for row in record["runs"]], int(record["at_once"])


def failures(out: Path) -> dict[str, str]:
    """The runs that failed since the last command began, with the reason.

    Raises:
        UserError: the file is damaged.
    """
    if not (out / FAILURES).is_file():
        return {}
    record = _read(out / FAILURES, ("failures",))["failures"]
    with _sound(out / FAILURES):
        return {str(name): str(reason) for name, reason in record.items()}


def _failures_or_none(out: Path) -> dict[str, str]:
    """The failures that are kept, none where the file is damaged: it is written anew."""
    try:
        return failures(out)
    except UserError:
        return {}


def _planned(row: Any) -> Planned:
    """A row of the plan.

    Raises:
        ValueError: the run would lie outside the sweep's folder, or numbers are missing.
        TypeError: likewise.
    """
    name, cost, checkpoints = row
    if not isinstance(name, str) or name.startswith("/") or ".." in name.split("/"):
        raise ValueError(f"the run {name} would lie outside of it")
    return Planned(name, int(cost), max(1, int(checkpoints)))


@contextmanager
def _sound(path: Path) -> Iterator[None]:
    """Tell in one sentence that a record holds something else than it should.

    Raises:
        UserError: it does.
    """
    try:
        yield
    except (ValueError, TypeError, AttributeError) as error:
        raise UserError(
            f"{path} is damaged ({error}); the same sweep command writes it anew"
        ) from None


def _read(path: Path, keys: Sequence[str]) -> dict[str, Any]:
    """A record that holds the keys."""
    with _sound(path):
        record = read_record(path)
        if missing := [key for key in keys if key not in record]:
            raise ValueError(f"it lacks {', '.join(missing)}")
        return record
