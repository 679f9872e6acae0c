"""Which run folders lie below the folders that are shown, and which only look like one."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from conceptspace.errors import UserError
from conceptspace.store import Run

MARKS = (
    "config.toml",
    "run.json",
    "trajectory.parquet",
    "training.parquet",
    "checkpoints",
    "samples",
)
"""A folder that holds one of these is taken for a run, or for what is left of one."""

LEDGER = "ledger.json"
DEEPEST = 4
"""Levels of folders below a root that are searched."""


@dataclass(frozen=True)
class Found:
    """A run folder, or what looks like one.

    Attributes:
        name: its place below the folder that is shown, e.g. ``sweep/seed-0``.
        path: of the folder.
        problem: why it is not read at all; empty if it may be.
    """

    name: str
    path: Path
    problem: str = ""

    @property
    def token(self) -> str:
        """Names the run in addresses: twelve hexadecimal digits, whatever its name holds."""
        return hashlib.sha256(self.name.encode(errors="surrogateescape")).hexdigest()[:12]


@dataclass(frozen=True)
class Shelf:
    """What lies below the folders that are shown.

    Attributes:
        runs: by name.
        ledgers: every ``ledger.json`` outside a run, under its name.
    """

    runs: list[Found]
    ledgers: dict[str, Path]


def discover(roots: Sequence[Path]) -> Shelf:
    """Everything that the folders hold, ``DEEPEST`` levels down; links that lead out are not read.

    Args:
        roots: run folders, or folders of them.

    Raises:
        UserError: a root is no folder.
    """
    runs: dict[str, Found] = {}
    ledgers: dict[str, Path] = {}
    for root in roots:
        if not root.is_dir():
            raise UserError(f"{root} is not a folder; name a run, or a folder of runs")
        prefix = root.resolve().name if len(roots) > 1 else ""
        for path in _below(root, root.resolve(), DEEPEST):
            relative = path.relative_to(root).as_posix()
            name = "/".join(part for part in (prefix, relative) if part not in ("", "."))
            if path.name == LEDGER:
                ledgers[name if name not in ledgers else str(path)] = path
                continue
            name = name or root.resolve().name
            name = name if name not in runs else str(path)
            outside = not path.resolve().is_relative_to(root.resolve())
            problem = "a link that leads out of the folder shown; it is not read" if outside else ""
            runs[name] = Found(name, path, problem)
    return Shelf([runs[name] for name in sorted(runs)], dict(sorted(ledgers.items())))


def runs_in(paths: Sequence[Path]) -> list[Run]:
    """The runs that are named, and those in the folders that are named.

    Raises:
        UserError: a folder holds no run, or one is not a run and no folder either.
    """
    found: list[Run] = []
    for path in paths:
        if (path / "config.toml").exists() or not path.is_dir():
            found.append(Run(path))
            continue
        below = [Run(run.path) for run in discover([path]).runs if not run.problem]
        if not below:
            raise UserError(f"{path} is not a run and holds none; runs have a config.toml")
        found += below
    return found


def _below(folder: Path, root: Path, depth: int) -> Iterator[Path]:
    """Runs and ledgers in a folder; runs are not searched, nor are folders outside the root.

    What lies beside a ledger is no run unless it has a config. Hidden folders are not searched, but
    may be runs themselves.
    """
    inside = folder.resolve().is_relative_to(root)
    ledger = inside and (folder / LEDGER).is_file()
    if ledger:
        yield folder / LEDGER
    marks = MARKS[:1] if ledger else MARKS
    if any((folder / mark).exists() for mark in marks):
        yield folder
        return
    if depth == 0 or not inside:
        return
    try:
        names = sorted(entry.name for entry in os.scandir(folder) if entry.is_dir())
    except OSError:
        return
    for name in names:
        yield from _below(folder / name, root, 0 if name.startswith(".") else depth - 1)
