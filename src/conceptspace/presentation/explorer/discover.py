"""Which run folders lie below the folders that are shown, and which only look like one."""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from conceptspace.errors import UserError
from conceptspace.files import legible
from conceptspace.presentation.explorer.left_out import LeftOut
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

SHOWN_ALREADY = "as links to what is shown already"
LEADS_OUT = "as links that lead out of the folder shown"


@dataclass(frozen=True)
class Found:
    """A run folder, or what looks like one.

    Attributes:
        name: its place below the folder that is shown, e.g. ``sweep/seed-0``.
        path: of the folder.
        problem: why it is not read at all; empty if it may be.
        within: the folder that links in it may not leave; None if they may lead anywhere.
    """

    name: str
    path: Path
    problem: str = ""
    within: Path | None = None

    @property
    def token(self) -> str:
        """Names the run in addresses: twelve hexadecimal digits, whatever its name holds."""
        return hashlib.sha256(self.name.encode(errors="surrogateescape")).hexdigest()[:12]


@dataclass(frozen=True)
class Shelf:
    """What lies below the folders that are shown.

    Attributes:
        runs: by name.
        ledgers: every ``ledger.json`` outside a run, by name.
        left_out: links that are not followed, and folders that cannot be searched.
    """

    runs: list[Found]
    ledgers: list[Found]
    left_out: list[LeftOut]


def discover(roots: Sequence[Path]) -> Shelf:
    """Everything that the folders hold, ``DEEPEST`` levels down, each folder once.

    Links that lead out are not read.

    Args:
        roots: run folders, or folders of them.

    Raises:
        UserError: a root is no folder.
    """
    search = _Search()
    for root in roots:
        if not root.is_dir():
            raise UserError(f"{root} is not a folder; name a run, or a folder of runs")
        search.look_below(root, root.resolve().name if len(roots) > 1 else "")
    runs, ledgers = search.runs, search.ledgers
    return Shelf(
        [runs[name] for name in sorted(runs)],
        [ledgers[name] for name in sorted(ledgers)],
        search.left_out,
    )


def runs_in(paths: Sequence[Path]) -> tuple[list[Run], list[LeftOut]]:
    """The runs that are named, and those in the folders that are named; and what is no run there.

    Raises:
        UserError: a folder holds no run, or one is not a run and no folder either.
    """
    found: list[Run] = []
    left_out: list[LeftOut] = []
    for path in paths:
        if (path / "config.toml").is_file() or not path.is_dir():
            found.append(Run(path))
            continue
        shelf = discover([path])
        left_out += shelf.left_out
        below = []
        for run in shelf.runs:
            try:
                below += [Run(run.path)] if not run.problem else []
                reason = run.problem
            except (UserError, OSError) as error:
                reason = str(error)
            left_out += [LeftOut(run.name, reason)] if reason else []
        if not below:
            raise UserError(f"{path} is not a run and holds none; runs have a config.toml")
        found += below
    return found, left_out


class _Search:
    """One search: no folder is entered twice, whatever links lead to it."""

    def __init__(self) -> None:
        self.runs: dict[str, Found] = {}
        self.ledgers: dict[str, Found] = {}
        self.left_out: list[LeftOut] = []
        self._seen: set[str] = set()

    def look_below(self, root: Path, prefix: str) -> None:
        """Find what a folder holds; links wait until every real folder in it has been entered."""
        top = root.resolve()
        folders, links = deque([(root, DEEPEST)]), deque[tuple[Path, int]]()
        while folders or links:
            folder, depth = folders.popleft() if folders else links.popleft()
            relative = legible(folder.relative_to(root).as_posix())
            parts = [part for part in (prefix, relative) if part not in ("", ".")]
            try:
                below = self._enter(folder, "/".join(parts), top, depth)
            except OSError as error:
                name = "/".join(parts) or legible(top.name)
                self.left_out.append(LeftOut(name, f"it cannot be read ({error.strerror})"))
                continue
            for path in below:
                level = 0 if path.name.startswith(".") else depth - 1
                (links if path.is_symlink() else folders).append((path, level))

    def _enter(self, folder: Path, name: str, top: Path, depth: int) -> list[Path]:
        """Keep the run or the ledger in a folder; the folders in it that are to be searched.

        What lies beside a ledger is no run unless it has a config. Hidden folders are not
        searched, but may be runs themselves.

        Raises:
            OSError: the folder cannot be read.
        """
        real = os.path.realpath(folder)
        inside = Path(real).is_relative_to(top)
        if real in self._seen:
            self.left_out.append(LeftOut(name or legible(top.name), SHOWN_ALREADY, shared=True))
            return []
        ledger = inside and (folder / LEDGER).is_file()
        marks = MARKS[:1] if ledger else MARKS
        run = any((folder / mark).exists() for mark in marks)
        if not inside and not run:
            self.left_out.append(LeftOut(name, LEADS_OUT, shared=True))
            return []
        self._seen.add(real)
        if ledger:
            self._keep(self.ledgers, f"{name}/{LEDGER}".lstrip("/"), folder / LEDGER, top)
        if run:
            problem = "" if inside else "a link that leads out of the folder shown; it is not read"
            self._keep(self.runs, name or legible(top.name), folder, top, problem)
        if run or depth == 0:
            return []
        return [folder / n for n in sorted(os.listdir(folder)) if os.path.isdir(folder / n)]

    def _keep(
        self, kept: dict[str, Found], name: str, path: Path, top: Path, problem: str = ""
    ) -> None:
        name = name if name not in kept else legible(str(path))
        kept[name] = Found(name, path, problem, top)
