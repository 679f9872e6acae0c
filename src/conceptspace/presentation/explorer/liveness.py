"""Is a run being trained, has it ended, or has it fallen silent?"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISREG
from typing import Any

FILES = ("config.toml", "space.json", "run.json", "trajectory.parquet", "training.parquet")
FOLDERS = ("checkpoints", "resume", "samples", "scores")
RESULTS = {"trajectory.parquet", "training.parquet", "scores"}
"""What a run that has not started cannot have."""

PATIENCE = 120.0
"""Seconds without a new file before a run counts as silent, at least."""

GAPS = 5.0
"""Usual times between two checkpoints that a run may take before it counts as silent."""


@dataclass(frozen=True)
class State:
    """How a run stands.

    Attributes:
        status: "not started", "running", "silent" (its ``run.json`` says running, but nothing has
            been written for long: the process was killed, or hangs), "stopped", "failed",
            "diverged", "finished", or "unknown" where ``run.json`` does not say.
        since: Unix time of its newest file, in whole seconds.
        version: changes when its files do.
    """

    status: str
    since: int
    version: str


def state(path: Path, information: dict[str, Any] | None, now: float | None = None) -> State:
    """How a run stands by its files.

    Args:
        path: the run's folder.
        information: content of its ``run.json``; None if that is damaged.
        now: Unix time; otherwise the clock's.
    """
    marks = list(_marks(path))
    newest = max((mark[1] for mark in marks), default=0) / 1e9
    begun = information is None or information or RESULTS & {mark[0] for mark in marks}
    status = str((information or {}).get("status", "unknown" if begun else "not started"))
    now = time.time() if now is None else now
    if status == "running" and now - newest > max(PATIENCE, GAPS * _gap(path / "checkpoints")):
        status = "silent"
    version = hashlib.sha256(repr(marks).encode()).hexdigest()[:16]
    return State(status, int(newest), version)


def _marks(path: Path) -> Iterator[tuple[str, int, int]]:
    """Name, time of change and size of everything that is read of a run."""
    places = [path / name for name in FILES]
    for name in FOLDERS:
        places.append(path / name)
        if name in ("samples", "scores"):
            places += listed(path / name, "*/")
    for place in places:
        try:
            stat = place.stat()
        except OSError:
            continue
        size = stat.st_size if S_ISREG(stat.st_mode) else 0
        yield place.relative_to(path).as_posix(), stat.st_mtime_ns, size


def _gap(checkpoints: Path) -> float:
    """Mean time in seconds between the saved checkpoints; 0 with fewer than two."""
    times = []
    for path in listed(checkpoints, "step-*.json"):
        try:
            times.append(path.stat().st_mtime)
        except OSError:
            continue
    return (max(times) - min(times)) / (len(times) - 1) if len(times) > 1 else 0.0


def listed(folder: Path, pattern: str) -> list[Path]:
    """What lies in a folder that may be removed meanwhile."""
    try:
        return sorted(folder.glob(pattern))
    except OSError:
        return []
