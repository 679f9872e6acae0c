"""The folder that is shown, read when asked and kept until its files change."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Lock
from typing import Any

from conceptspace.analysis.sentences import Finding
from conceptspace.errors import UserError
from conceptspace.presentation.explorer import details, points, telling
from conceptspace.presentation.explorer.discover import Found, Shelf, discover
from conceptspace.presentation.explorer.index import Entry, index, read_entry
from conceptspace.presentation.explorer.ledger import read_ledger
from conceptspace.presentation.explorer.liveness import state
from conceptspace.store import Run

Tree = dict[str, Any]

LOG = logging.getLogger(__name__)
LARGEST = 512
"""Results of sets of runs that are kept."""


BLANK: dict[str, Tree] = {
    "trajectory": {"protocols": [], "emergence": [], "notes": []},
    "settings": {"protocols": {}},
    "details": {
        "training": {},
        "sheets": {},
        "toml": "",
        "provenance": {},
        "notes": [],
        "figures": [],
    },
}
"""What is told of a run beside its problems if it cannot be read."""


class NotThere(UserError):
    """Nothing of that name is shown."""


class Library:
    """Run folders, for a page.

    Everything is read only. A result is kept until a file of its runs changes.

    Args:
        roots: run folders, or folders of them.

    Raises:
        UserError: a root is no folder.
    """

    def __init__(self, roots: Sequence[Path]) -> None:
        self.roots = list(roots)
        self._runs: dict[str, Found] = {}
        self.shelf()
        self._entries: dict[str, tuple[str, Entry]] = {}
        self._kept: dict[tuple[str, ...], tuple[str, Tree]] = {}
        self._one_at_a_time = Lock()
        self._locks: defaultdict[str, Lock] = defaultdict(Lock)

    @property
    def title(self) -> str:
        """What is shown, in words."""
        return ", ".join(root.resolve().name for root in self.roots)

    def shelf(self) -> Shelf:
        """What lies in the folders now."""
        shelf = discover(self.roots)
        self._runs = {found.token: found for found in shelf.runs}
        return shelf

    def index(self, *, live: bool = True) -> Tree:
        """See :func:`conceptspace.presentation.explorer.index.index`."""
        shelf = self.shelf()
        entries = [self._entry(found) for found in shelf.runs]
        ledgers = [read_ledger(name, path) for name, path in shelf.ledgers.items()]
        return index(entries, ledgers, self.title, live=live)

    def trajectory(self, token: str) -> Tree:
        """See :func:`conceptspace.presentation.explorer.points.trajectory`."""
        return self._of_run("trajectory", token, _trajectory)

    def trajectories(self, tokens: Sequence[str]) -> Tree:
        """Those of many runs at once: ``{"runs": {token: trajectory}}``."""
        return {"runs": {token: self.trajectory(token) for token in tokens}}

    def warm(self) -> None:
        """Read every run once, so that the first visitor need not wait."""
        for found in self.shelf().runs:
            self.trajectory(found.token)

    def settings(self, token: str) -> Tree:
        """See :func:`conceptspace.presentation.explorer.points.settings`."""
        return self._of_run("settings", token, _settings)

    def details(self, token: str) -> Tree:
        """See :func:`conceptspace.presentation.explorer.details.details`."""

        def read(entry: Entry, run: Run) -> Tree:
            sheets, problems = details.sheet_index(run)
            version = entry.state.version
            told = {
                name: {
                    str(step): details.sheet(sheet, f"api/images/{token}/{name}/{step}?v={version}")
                    for step, sheet in of.items()
                }
                for name, of in sheets.items()
            }
            return details.details(run, told, problems) | {"figures": figures(run, token)}

        return self._of_run("details", token, read)

    def turns(self, tokens: Sequence[str]) -> Tree:
        """See :func:`conceptspace.presentation.explorer.telling.turns`."""
        return self._of_runs("turns", tokens, telling.turns)

    def findings(self, tokens: Sequence[str]) -> Tree:
        """``{"findings": [see :func:`sentence`]}`` of runs together."""

        def tell(runs: Sequence[Run]) -> Tree:
            rows = [(group, f) for group, of in telling.told(runs) for f in of]
            return {"findings": [sentence(f, group) for group, f in rows]}

        return self._of_runs("findings", tokens, tell)

    def run(self, token: str) -> Run:
        """A run that can be read.

        Raises:
            NotThere: there is none of that token.
            UserError: it cannot be read.
        """
        entry = self._entry(self._found(token))
        if entry.run is None:
            raise UserError("; ".join(entry.problems))
        return entry.run

    def image(self, token: str, protocol: str, step: int) -> Path:
        """The contact sheet of a checkpoint.

        Raises:
            NotThere: there is none, or it lies outside the run's folder.
        """
        run = self.run(token)
        sheet = details.sheet_index(run)[0].get(protocol, {}).get(step)
        if sheet is None:
            raise NotThere(f"{run.name} has no images of {protocol} at step {step}")
        return inside(run, sheet.path)

    def figure(self, token: str, name: str) -> Path:
        """A figure that was saved in the run's folder.

        Raises:
            NotThere: there is none, or it lies outside the run's folder.
        """
        run = self.run(token)
        for path in (run.path / "figures").glob("*.png"):
            if path.name == name:
                return inside(run, path)
        raise NotThere(f"{run.name} has no figure {name}")

    def _found(self, token: str) -> Found:
        if token not in self._runs:
            self.shelf()
        if token not in self._runs:
            raise NotThere("there is no such run; it may have been moved")
        return self._runs[token]

    def _entry(self, found: Found) -> Entry:
        known = self._entries.get(found.token)
        if known and known[0] == _stamp(found) and known[1].state.status not in ("running",):
            return known[1]
        entry = _guarded(found)
        self._entries[found.token] = (_stamp(found), entry)
        return entry

    def _of_run(self, kind: str, token: str, read: Callable[[Entry, Run], Tree]) -> Tree:
        """What is kept of a run, or else read; who asks meanwhile waits for the same answer."""
        with self._locks[token]:
            return self._kept_or_read(kind, token, read)

    def _kept_or_read(self, kind: str, token: str, read: Callable[[Entry, Run], Tree]) -> Tree:
        entry = self._entry(self._found(token))
        kept = self._kept.get((kind, token))
        if kept and kept[0] == entry.state.version:
            return kept[1]
        told: Tree = {"version": entry.state.version, "problems": [], **BLANK[kind]}
        if entry.run is None:
            told["problems"] = list(entry.problems)
        else:
            try:
                told |= read(entry, entry.run)
            except (UserError, OSError) as error:
                told["problems"] = [str(error)]
            except Exception as error:
                LOG.exception("cannot read %s of %r", kind, entry.found.name)
                told["problems"] = [f"its files cannot be shown ({type(error).__name__}: {error})"]
        self._kept[kind, token] = (entry.state.version, told)
        return told

    def _of_runs(
        self, kind: str, tokens: Sequence[str], read: Callable[[Sequence[Run]], Tree]
    ) -> Tree:
        entries = [self._entry(self._found(token)) for token in dict.fromkeys(tokens)]
        version = ",".join(entry.state.version for entry in entries)
        with self._one_at_a_time:
            kept = self._kept.get((kind, *tokens))
            if kept and kept[0] == version:
                return kept[1]
            told: Tree = {"version": version, "problems": []}
            try:
                told |= read([self.run(entry.found.token) for entry in entries])
            except (UserError, OSError) as error:
                told["problems"] = [str(error)]
            except Exception as error:
                LOG.exception("cannot tell %s", kind)
                told["problems"] = [f"nothing can be told ({type(error).__name__}: {error})"]
            if len(self._kept) > LARGEST:
                self._kept = {key: kept for key, kept in self._kept.items() if len(key) == 2}
            self._kept[kind, *tokens] = (version, told)
            return told


def sentence(finding: Finding, group: str, figure: str = "") -> Tree:
    """``{"topic", "text", "group", "figure"}``; the group is a setting in words or empty."""
    return {"topic": finding.topic, "text": finding.text, "group": group, "figure": figure}


def figures(run: Run, token: str) -> list[Tree]:
    """The figures that lie in the run's folder: ``{"name": ..., "src": address}``."""
    names = sorted(path.name for path in (run.path / "figures").glob("*.png"))
    return [{"name": name[:-4], "src": f"api/figures/{token}/{name}"} for name in names]


def inside(run: Run, path: Path) -> Path:
    """The path, if it leads to a file in the run's folder.

    Raises:
        NotThere: it does not.
    """
    resolved = path.resolve()
    if not resolved.is_relative_to(run.path.resolve()) or not resolved.is_file():
        raise NotThere(f"{path.name} does not lie in the run's folder")
    return resolved


def _guarded(found: Found) -> Entry:
    """An entry for any folder whatever it holds."""
    try:
        return read_entry(found)
    except Exception as error:
        LOG.exception("cannot read %r", found.name)
        problem = f"the folder cannot be read ({type(error).__name__}: {error})"
        return read_entry(Found(found.name, found.path, problem))


def _stamp(found: Found) -> str:
    return found.problem or state(found.path, {}).version


def _trajectory(entry: Entry, run: Run) -> Tree:
    assert entry.space is not None
    if not (run.path / "trajectory.parquet").exists():
        return {"protocols": [], "emergence": [], "notes": ["No checkpoint has been scored yet."]}
    dense = points.protocols(run.trajectory(), entry.space)
    return points.trajectory(dense, entry.space) | {"notes": points.strays(dense)}


def _settings(entry: Entry, run: Run) -> Tree:
    assert entry.space is not None
    return {
        "protocols": points.settings(points.protocols(run.trajectory(), entry.space), entry.space)
    }
