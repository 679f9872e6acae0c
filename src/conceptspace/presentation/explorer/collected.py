"""A collection for the page: thousands of runs; only those that are looked at are read."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory, mkdtemp
from threading import RLock
from typing import Any
from weakref import finalize

import pandas as pd

from conceptspace.collection.layout import MARK, PREFIX, is_collection
from conceptspace.collection.read import Collection
from conceptspace.errors import UserError
from conceptspace.presentation.explorer.ask import PointAsker
from conceptspace.presentation.explorer.discover import Found
from conceptspace.presentation.explorer.index import entry_space, of_divergence, read_entry
from conceptspace.presentation.explorer.library import BLANK, GONE, Library
from conceptspace.presentation.explorer.run_files import NotThere
from conceptspace.presentation.explorer.spaces import key
from conceptspace.presentation.sweep import MASKED_SHARE, MASKING, value_text
from conceptspace.recording.space import space_of

Tree = dict[str, Any]

MOST = 300
"""Runs of a collection on one offline page."""


class CollectedLibrary:
    """A collection with the methods of a folder of runs.

    See :class:`~conceptspace.presentation.explorer.library.Library` for what they return.

    The list of runs and their trajectories come from the collection. For the rest, the runs that
    are asked for are unpacked into a temporary folder.

    Args:
        path: of the collection.

    Raises:
        UserError: it is damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.asks = None
        self._lock = RLock()  # of what is known of the collection
        self._unpacking = RLock()  # takes longer; trajectories do not wait for it
        self._folder = Path(mkdtemp(prefix="conceptspace-collection-"))
        finalize(self, rmtree, self._folder, ignore_errors=True)
        self._stamp: tuple[int, int] | None = None
        self._index: Tree | None = None
        self._renew()

    @property
    def title(self) -> str:
        """What is shown, in words."""
        return self.path.resolve().name

    def warm(self) -> None:
        """Read the list of runs once, so that the first visitor need not wait."""
        self.index()

    def index(self) -> Tree:
        """See :func:`conceptspace.presentation.explorer.index.index`."""
        with self._lock:
            self._renew()
            if self._index is not None:
                return self._index
        with self._unpacking, self._lock:  # in this order everywhere
            if self._index is None:
                self._index = self._indexed()
            return self._index

    def trajectories(self, tokens: Sequence[str]) -> Tree:
        """See :meth:`~conceptspace.presentation.explorer.library.Library.trajectories`."""
        with self._lock:
            names, collection, version = self._there(tokens), self._collection, self._version
        drawn = dict(collection.points(list(names.values())))
        known: Tree = {"version": version, "problems": []}
        gone = {"version": "", "problems": [GONE], **BLANK["trajectory"]}
        return {
            "runs": {
                token: known | json.loads(drawn[names[token]]) if token in names else gone
                for token in dict.fromkeys(tokens)
            }
        }

    def settings(self, token: str) -> Tree:
        """See :func:`conceptspace.analysis.points.settings`."""
        return self._unpacked([token]).settings(token)

    def details(self, token: str) -> Tree:
        """See :func:`conceptspace.presentation.explorer.details.details`."""
        return self._unpacked([token]).details(token)

    def turns(self, tokens: Sequence[str]) -> Tree:
        """See :func:`conceptspace.presentation.explorer.run_findings.turns_of_classes`."""
        return self._unpacked(tokens).turns(tokens)

    def findings(self, tokens: Sequence[str]) -> Tree:
        """See :meth:`~conceptspace.presentation.explorer.library.Library.findings`."""
        return self._unpacked(tokens).findings(tokens)

    def table(self, tokens: Sequence[str]) -> tuple[bytes, list[str]]:
        """See :meth:`~conceptspace.presentation.explorer.library.Library.table`."""
        return self._unpacked(tokens).table(tokens)

    def image(self, token: str, protocol: str, step: int) -> Path:
        """Images are in the run folders alone.

        Raises:
            NotThere: always.
        """
        raise NotThere("a collection keeps no images; they are in the run folders")

    def scores(self, token: str, protocol: str, step: int) -> Tree:
        """Likewise the scores of single images.

        Raises:
            NotThere: always.
        """
        raise NotThere("a collection keeps no scores of single images; they are in the run folders")

    def ask(self, token: str, step: int, at: Sequence[float]) -> Tree:
        """A collection has no models to ask.

        Raises:
            NotThere: always.
        """
        raise NotThere("a collection keeps no models; start the server with --ask on run folders")

    def figure(self, token: str, name: str) -> Path:
        """Figures are in the run folders alone.

        Raises:
            NotThere: always.
        """
        raise NotThere("a collection keeps no figures; they are in the run folders")

    def _renew(self) -> None:
        """Forget everything if the collection was written anew."""
        stat = (self.path / MARK).stat()
        stamp = stat.st_mtime_ns, stat.st_size
        if stamp == self._stamp:
            return
        self._collection = Collection(self.path)
        self._names = {Found(name, self.path).token: name for name in self._collection.runs["run"]}
        self._home = Path(mkdtemp(dir=self._folder))
        self._library = Library([self._home])
        self._there_already: set[str] = set()
        self._index = None
        self._stamp = stamp

    def _there(self, tokens: Sequence[str]) -> dict[str, str]:
        """The names of those tokens that are there.

        Raises:
            NotThere: none of them is.
        """
        found = {token: self._names[token] for token in tokens if token in self._names}
        if not found:
            raise NotThere(GONE)
        return found

    def _unpacked(self, tokens: Sequence[str]) -> Library:
        """A library in which these runs are there."""
        with self._unpacking:
            with self._lock:
                names, collection, home = self._there(tokens), self._collection, self._home
                there, library = self._there_already, self._library
            lacking = [name for name in names.values() if name not in there]
            collection.unpack(lacking, home)
            there.update(lacking)
            return library

    @property
    def _version(self) -> str:
        assert self._stamp is not None
        return f"{self._stamp[0]:x}"

    def _indexed(self) -> Tree:
        runs, varied = self._collection.runs, self._collection.varied
        codes, texts = pd.factorize(runs["space"])
        each, keys = pd.factorize(pd.Series([key(space_of(json.loads(text))) for text in texts]))
        kinds = each[codes]
        firsts = [runs["run"].iloc[int((kinds == kind).argmax())] for kind in range(len(keys))]
        for name in firsts:
            self._unpacked([Found(name, self.path).token])
        since = int(self._stamp[0] / 1e9) if self._stamp else 0
        common = {"since": since, "version": self._version, "images": False}
        steps = [None if pd.isna(count) else int(count) for count in runs["steps"]]
        rows = zip(
            self._names.items(),
            kinds.tolist(),
            steps,
            _values(runs, varied),
            *(runs[name].tolist() for name in ("seed", "preset", "status")),
            strict=True,
        )
        listed = [
            {
                "token": token,
                "name": name,
                "seed": seed,
                "preset": preset,
                "status": status,
                **common,
                "space": kind,
                "steps": step,
                "values": values,
                "problems": [apart] if (apart := of_divergence(status)) else [],
                "apart": apart,
            }
            for (token, name), kind, step, values, seed, preset, status in rows
        ]
        return {
            "title": self.title,
            "live": True,
            "spaces": [entry_space(read_entry(Found(name, self._home / name))) for name in firsts],
            "varied": varied,
            "runs": listed,
            "left_out": [],
            "ledgers": [],
        }


def open_library(
    roots: Sequence[Path],
    ask: PointAsker | None = None,
    standing: Callable[[], list[Tree]] = list,
) -> Library | CollectedLibrary:
    """What shows a collection, or folders of runs, whose models may be asked.

    Raises:
        UserError: a collection is named beside something else; or a root is no folder.
    """
    if not any(is_collection(root) for root in roots):
        return Library(roots, ask, standing)
    if len(roots) > 1:
        raise UserError("a collection is shown on its own; name it alone")
    return CollectedLibrary(roots[0])


@contextmanager
def unpacked(paths: Sequence[Path], where: Mapping[str, str]) -> Iterator[list[Path]]:
    """The paths, with a temporary folder of runs in place of each collection.

    Args:
        paths: runs, folders of them and collections.
        where: which runs of a collection, see
            :meth:`~conceptspace.collection.read.Collection.where`.

    Raises:
        UserError: see there; or more than :data:`MOST` runs are left for a page, or none of the
            paths is a collection, so that there is nothing to choose from.
    """
    if where and not any(is_collection(path) for path in paths):
        raise UserError("--where chooses from a collection; name one (sweep collect writes it)")
    with TemporaryDirectory(prefix="conceptspace-collection-") as folder:
        found = []
        for number, path in enumerate(paths):
            if not is_collection(path):
                found.append(path)
                continue
            collection = Collection(path)
            names = collection.where(where)
            if len(names) > MOST:
                raise UserError(
                    f"{len(names)} runs of {path} are too many for one page, {MOST} are the most; "
                    "choose with --where NAME=VALUE, or look at them with: conceptspace serve"
                )
            found.append(Path(folder) / str(number))
            collection.unpack(names, found[-1])
        yield found


def _values(runs: pd.DataFrame, varied: Sequence[str]) -> list[dict[str, str | None]]:
    """The settings of each run as text; None where one has no effect, or is not there."""
    found: list[dict[str, str | None]] = [{} for _ in range(len(runs))]
    for name in varied:
        codes, values = pd.factorize(runs[PREFIX + name])
        texts = [*map(value_text, values), None]  # the last, of code -1: it is not there
        for of_run, code in zip(found, codes.tolist(), strict=True):
            of_run[name] = texts[code]
    idle = dict.fromkeys(name for name in MASKING if name in varied)
    if MASKED_SHARE in varied:
        for of_run, share in zip(found, runs[PREFIX + MASKED_SHARE], strict=True):
            if share == 0:
                of_run.update(idle)
    return found
