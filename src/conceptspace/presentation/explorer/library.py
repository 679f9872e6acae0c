"""The folders that are shown: read on request, answers kept until files change."""

from __future__ import annotations

import contextlib
import logging
import os
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Lock
from typing import Any

from conceptspace.analysis import points
from conceptspace.contact_sheet import read_sheet
from conceptspace.errors import UserError
from conceptspace.files import legible
from conceptspace.presentation.explorer import details, downloads, run_findings
from conceptspace.presentation.explorer.ask import PointAsker, steps_of
from conceptspace.presentation.explorer.counting import damage, of_countable, once
from conceptspace.presentation.explorer.discover import Found, Shelf, discover
from conceptspace.presentation.explorer.guarded import bound_of, require_plain
from conceptspace.presentation.explorer.index import Entry, index, read_entry
from conceptspace.presentation.explorer.ledger import ledger_table
from conceptspace.presentation.explorer.left_out import LeftOut, sentences
from conceptspace.presentation.explorer.liveness import state
from conceptspace.presentation.explorer.run_files import (
    NotThere,
    figure_links,
    inside,
    saved_figures,
)
from conceptspace.presentation.explorer.single import scored, scores_of
from conceptspace.store import Run

Tree = dict[str, Any]

LOG = logging.getLogger(__name__)
LARGEST = 512
"""Results of sets of runs that are kept."""


BLANK: dict[str, Tree] = {
    "trajectory": points.BLANK,
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
"""What the page gets in place of the content of a run that cannot be read."""


GONE = "there is no such run; it may have been moved"


class Library:
    """Run folders, for a page.

    Everything is read only. A result is kept until a file of its runs changes.

    Args:
        roots: run folders, or folders of them.
        ask: what makes images of a point in concept space; None if models are not asked.
        standing: returns how the sweeps among them stand, see ``Index`` of the page's
            ``types.ts``.

    Raises:
        UserError: a root is no folder.
    """

    def __init__(
        self,
        roots: Sequence[Path],
        ask: PointAsker | None = None,
        standing: Callable[[], list[Tree]] = list,
    ) -> None:
        self.roots = list(roots)
        self.asks = ask
        self.standing = standing
        self._runs: dict[str, Found] = {}
        self._entries: dict[str, tuple[str, Entry]] = {}
        self._kept: dict[tuple[str, ...], tuple[str, Tree]] = {}
        self._one_at_a_time = Lock()
        self._locks: defaultdict[str, Lock] = defaultdict(Lock)
        self.shelf()

    @property
    def title(self) -> str:
        """What is shown, in words."""
        return ", ".join(root.resolve().name for root in self.roots)

    def shelf(self) -> Shelf:
        """What lies in the folders now."""
        shelf = discover(self.roots)
        self._runs = {found.token: found for found in shelf.runs}
        self._forget_what_is_gone()
        return shelf

    def index(self, *, live: bool = True) -> Tree:
        """See :func:`conceptspace.presentation.explorer.index.index`."""
        shelf = self.shelf()
        counted = once([self._entry(found) for found in shelf.runs])
        left_out = sentences([*shelf.left_out, *counted.left_out])
        ledgers = [ledger_table(found.name, found.path, found.within) for found in shelf.ledgers]
        answer = index(counted.entries, ledgers, self.title, left_out=left_out, live=live)
        answer["sweeps"] = self.standing()
        if self.asks is not None:
            for listed, entry in zip(answer["runs"], counted.entries, strict=True):
                listed["checkpoints"] = steps_of(entry.run) if entry.run else []
        return answer

    def trajectory(self, token: str) -> Tree:
        """See :func:`conceptspace.analysis.points.trajectory`."""
        return self._of_run("trajectory", token, _trajectory)

    def trajectories(self, tokens: Sequence[str]) -> Tree:
        """Those of many runs at once: ``{"runs": {token: trajectory}}``.

        A run that is gone has an empty trajectory and says so in its problems.

        Raises:
            NotThere: none of them is there.
        """
        self._there(tokens)
        answers = {}
        for token in dict.fromkeys(tokens):
            try:
                answers[token] = self.trajectory(token)
            except NotThere:
                answers[token] = {"version": "", "problems": [GONE], **BLANK["trajectory"]}
        return {"runs": answers}

    def warm(self) -> None:
        """Read every run once, so that the first visitor need not wait."""
        for found in self.shelf().runs:
            with contextlib.suppress(NotThere):
                self.trajectory(found.token)

    def settings(self, token: str) -> Tree:
        """See :func:`conceptspace.analysis.points.settings`."""
        return self._of_run("settings", token, _settings)

    def details(self, token: str) -> Tree:
        """See :func:`conceptspace.presentation.explorer.details.details`."""

        def read(entry: Entry, run: Run) -> Tree:
            sheets, problems = details.sheet_index(run)
            version = entry.state.version
            described = {
                name: {
                    str(step): details.sheet(sheet, f"api/images/{token}/{name}/{step}?v={version}")
                    for step, sheet in by_step.items()
                }
                for name, by_step in sheets.items()
            }
            return details.details(run, described, problems) | {"figures": figure_links(run, token)}

        return self._of_run("details", token, read)

    def turns(self, tokens: Sequence[str]) -> Tree:
        """See :func:`conceptspace.presentation.explorer.run_findings.turns_of_classes`."""
        return self._of_runs("turns", tokens, run_findings.turns_of_classes)

    def findings(self, tokens: Sequence[str]) -> Tree:
        """See :func:`~conceptspace.presentation.explorer.run_findings.findings_payload`."""

        def read(runs: Sequence[Run]) -> Tree:
            return run_findings.findings_payload(run_findings.findings_by_setting(runs))

        return self._of_runs("findings", tokens, read)

    def table(self, tokens: Sequence[str]) -> tuple[bytes, list[str]]:
        """The trajectories of runs as Parquet, and sentences on those that cannot be read.

        Raises:
            NotThere: none of the runs is there.
            UserError: none can be read.
        """
        there, gone = self._there(tokens)
        entries = [self._entry(found) for found in there]
        left_out = [LeftOut(e.found.name, reason) for e in entries if (reason := damage(e))]
        names = {each.name for each in left_out}
        runs = [e.run for e in entries if e.run is not None and e.found.name not in names]
        without = [GONE] * bool(gone) + sentences(left_out)
        if not runs:
            raise UserError(" ".join(without))
        return downloads.parquet(downloads.joined(runs)), without

    def run(self, token: str) -> Run:
        """A run that can be read.

        Raises:
            NotThere: there is none of that token, or no longer.
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
            UserError: the index that older sheets have beside them may not be read.
        """
        run = self.run(token)
        if protocol in details.protocols_with_images(run):
            for path in run.folder.sheets(protocol):
                if path.stem == f"step-{step:08d}":
                    require_plain(path.with_suffix(".json"), bound_of(run))
                    return inside(run, path)
        raise NotThere(f"{run.name} has no images of {protocol} at step {step}")

    def scores(self, token: str, protocol: str, step: int) -> Tree:
        """``{"rows": see :func:`~conceptspace.presentation.explorer.single.scored`}``; of a sheet.

        Raises:
            NotThere: there is no such sheet, or its images' scores are not kept.
            UserError: it is damaged.
        """
        path = self.image(token, protocol, step)
        entry = self._entry(self._found(token))
        assert entry.run is not None
        assert entry.space is not None
        found = scores_of(entry.run, protocol, step)
        if found is None:
            raise NotThere(f"{entry.found.name} keeps no scores of single images")
        _, sheet = read_sheet(path)
        return {"rows": scored(found, sheet.rows, sheet.columns, entry.space.names)}

    def ask(self, token: str, step: int, at: Sequence[float]) -> Tree:
        """See :class:`conceptspace.presentation.explorer.ask.PointAsker`.

        Raises:
            NotThere: models are not asked here, or the run is gone.
            UserError: it cannot be asked.
        """
        if self.asks is None:
            raise NotThere("models are not asked here; start the server with --ask")
        run = self.run(token)
        return self.asks(run, self._entry(self._found(token)).state.version, step, at)

    def figure(self, token: str, name: str) -> Path:
        """A figure that was saved in the run's folder.

        Raises:
            NotThere: there is none, or it lies outside the run's folder.
        """
        run = self.run(token)
        for path in saved_figures(run):
            if legible(path.name) == name:
                return inside(run, path)
        raise NotThere(f"{run.name} has no figure {name}")

    def _found(self, token: str) -> Found:
        if token not in self._runs:
            self.shelf()
        found = self._runs.get(token)
        if found is None or not os.path.isdir(found.path):
            raise NotThere(GONE)
        return found

    def _there(self, tokens: Sequence[str]) -> tuple[list[Found], list[str]]:
        """The runs of some tokens, each once, and the tokens of which there is none.

        Raises:
            NotThere: there is none at all.
        """
        there, gone = [], []
        for token in dict.fromkeys(tokens):
            try:
                there.append(self._found(token))
            except NotThere:
                gone.append(token)
        if not there:
            raise NotThere(GONE)
        return there, gone

    def _forget_what_is_gone(self) -> None:
        """Drop what is kept of runs that are no longer there."""
        there = self._runs
        for token in {*list(self._entries), *list(self._locks)} - there.keys():
            self._entries.pop(token, None)
            self._locks.pop(token, None)
        for key in [key for key in list(self._kept) if not there.keys() >= set(key[1:])]:
            self._kept.pop(key, None)

    def _entry(self, found: Found) -> Entry:
        known = self._entries.get(found.token)
        if known and known[0] == _stamp(found) and known[1].state.status not in ("running",):
            return known[1]
        entry = _guarded(found)
        self._entries[found.token] = (_stamp(found), entry)
        return entry

    def _of_run(self, kind: str, token: str, read: Callable[[Entry, Run], Tree]) -> Tree:
        """The kept answer for a run, or else a new one; requests meanwhile wait for the same."""
        self._found(token)
        with self._locks[token]:
            return self._kept_or_read(kind, token, read)

    def _kept_or_read(self, kind: str, token: str, read: Callable[[Entry, Run], Tree]) -> Tree:
        entry = self._entry(self._found(token))
        kept = self._kept.get((kind, token))
        if kept and kept[0] == entry.state.version:
            return kept[1]
        answer: Tree = {"version": entry.state.version, "problems": [], **BLANK[kind]}
        if entry.run is None:
            answer["problems"] = list(entry.problems)
        else:
            try:
                answer |= read(entry, entry.run)
            except OSError as error:  # may pass, so it is not kept
                return answer | {"problems": [str(error)]}
            except UserError as error:
                answer["problems"] = [str(error)]
            except Exception as error:
                LOG.exception("cannot read %s of %r", kind, entry.found.name)
                answer["problems"] = [
                    f"its files cannot be shown ({type(error).__name__}: {error})"
                ]
        self._kept[kind, token] = (entry.state.version, answer)
        return answer

    def _of_runs(
        self, kind: str, tokens: Sequence[str], read: Callable[[Sequence[Run]], Tree]
    ) -> Tree:
        """The answer for the runs that count; the problems name the others and say why."""
        there, gone = self._there(tokens)
        entries = [self._entry(found) for found in there]
        version = ",".join(entry.state.version for entry in entries) + "," * len(gone)

        def work(kept: Sequence[Entry], left_out: list[str]) -> Tree:
            problems = [GONE] * bool(gone) + left_out
            return {"problems": problems, **read([e.run for e in kept if e.run is not None])}

        with self._one_at_a_time:
            kept = self._kept.get((kind, *tokens))
            if kept and kept[0] == version:
                return kept[1]
            answer: Tree = {"version": version}
            try:
                answer |= of_countable(entries, work)
            except OSError as error:  # may pass, so it is not kept
                return answer | {"problems": [str(error)]}
            except UserError as error:
                answer["problems"] = [str(error)]
            except Exception as error:
                LOG.exception("cannot compute %s", kind)
                answer["problems"] = [
                    f"the {kind} cannot be computed ({type(error).__name__}: {error})"
                ]
            if len(self._kept) > LARGEST:
                self._kept = {key: kept for key, kept in self._kept.items() if len(key) == 2}
            self._kept[kind, *tokens] = (version, answer)
            return answer


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
    if not run.folder.trajectory.exists():
        return {"protocols": [], "emergence": [], "notes": ["No checkpoint has been scored yet."]}
    return points.page_points(run.trajectory(), entry.space)


def _settings(entry: Entry, run: Run) -> Tree:
    assert entry.space is not None
    return {
        "protocols": points.settings(points.protocols(run.trajectory(), entry.space), entry.space)
    }
