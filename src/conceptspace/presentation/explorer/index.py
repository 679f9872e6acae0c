"""The list of all runs: their state, their settings and what is wrong with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from pyarrow import ArrowException, parquet

from conceptspace.config import RunConfig
from conceptspace.errors import UserError
from conceptspace.files import sha256
from conceptspace.presentation.drawing import images_of
from conceptspace.presentation.explorer import spaces
from conceptspace.presentation.explorer.discover import Found
from conceptspace.presentation.explorer.guarded import Guarded, require_plain
from conceptspace.presentation.explorer.liveness import State, listed, state
from conceptspace.presentation.sweep import effective, setting_names, value_text
from conceptspace.presentation.worlds import world_of
from conceptspace.space import ConceptSpace
from conceptspace.store import Run

Tree = dict[str, Any]


@dataclass(frozen=True)
class Entry:
    """A run folder as far as it can be read.

    Attributes:
        found: the folder.
        state: how the run stands.
        run: None if its config cannot be read.
        space: its concepts and classes, likewise.
        images: of each class, likewise empty.
        values: every setting but seed and preset, as text; None where it has no effect.
        problems: sentences.
        digest: SHA-256 of its trajectory; empty without one.
        rows: of the trajectory, 0 if it is damaged.
        apart: why the run counts in no mean; empty if it does.
    """

    found: Found
    state: State
    run: Run | None
    space: ConceptSpace | None
    images: Mapping[str, Any]
    values: Mapping[str, str | None]
    problems: tuple[str, ...]
    digest: str = ""
    rows: int = 0
    apart: str = ""


def read_entry(found: Found) -> Entry:
    """Read a run folder; whatever is wrong with it stands in the problems, nothing is raised."""
    problems: list[str] = []
    if found.problem:
        how = State("unreadable", 0, found.problem)
        return Entry(found, how, None, None, {}, {}, (found.problem,))
    try:
        run = Guarded(Run(found.path), found.name, found.within)
    except (UserError, OSError) as error:
        how = state(found.path, {})
        return Entry(found, _unreadable(how), None, None, {}, {}, (str(error),))
    try:
        information: Tree | None = run.information()
    except (UserError, OSError) as error:
        information = None
        problems.append(str(error))
    try:
        _ = run.checkpoints
    except UserError as error:
        problems.append(str(error))
    how = state(found.path, information)
    try:
        world = world_of(run)
    except (UserError, OSError, ValueError) as error:
        return Entry(found, _unreadable(how), None, None, {}, {}, (*problems, str(error)))
    images: Mapping[str, Any] = {}
    try:
        images = images_of(run, world)
    except (UserError, OSError) as error:
        problems.append(str(error))
    values = {name: _shown(effective(run, name)) for name in setting_names([run])}
    digest, rows = _content(run)
    apart = of_divergence(how.status)
    return Entry(found, how, run, world.space, images, values, tuple(problems), digest, rows, apart)


def index(
    entries: Sequence[Entry],
    ledgers: Sequence[Tree],
    title: str,
    *,
    left_out: Sequence[str] = (),
    live: bool = False,
) -> Tree:
    """What the page starts from.

    ::

        {"title": ..., "live": true,
         "spaces": [see :func:`~conceptspace.presentation.explorer.spaces.space_tree`],
         "varied": ["data.color_separation", ...],
         "runs": [{"token": ..., "name": ..., "seed": 0, "preset": "quick", "status": "running",
                   "since": 1790000000, "version": ..., "space": 0, "steps": 2400,
                   "values": {"data.color_separation": "0.3"}, "images": true, "problems": [],
                   "apart": ""}],
         "left_out": ["Left out as copies of runs that count already: a, b."],
         "ledgers": [see :func:`~conceptspace.presentation.explorer.ledger.ledger_table`]}

    ``space`` is null for a run that cannot be read. ``values`` holds the settings in which the
    runs of a concept space differ. A run with something ``apart`` counts in no mean.
    """
    readable = [entry for entry in entries if entry.space is not None]
    keys = {entry.found.token: spaces.key(entry.space) for entry in readable if entry.space}
    order = list(dict.fromkeys(keys.values()))
    first = {keys[entry.found.token]: entry for entry in reversed(readable)}
    varied = [
        name
        for name in dict.fromkeys(name for entry in readable for name in entry.values)
        if len({entry.values.get(name) for entry in readable}) > 1
    ]
    return {
        "title": title,
        "live": live,
        "spaces": [entry_space(first[key]) for key in order],
        "varied": varied,
        "runs": [_listed(entry, varied, keys, order) for entry in entries],
        "left_out": list(left_out),
        "ledgers": list(ledgers),
    }


def entry_space(entry: Entry) -> Tree:
    """The concept space of a run that can be read."""
    assert entry.space is not None
    return spaces.space_tree(entry.space, entry.images)


def _listed(
    entry: Entry, varied: Sequence[str], keys: Mapping[str, str], order: Sequence[str]
) -> Tree:
    token = entry.found.token
    config = entry.run.description if entry.run else None
    return {
        "token": token,
        "name": entry.found.name,
        "seed": config.seed if config else None,
        "preset": config.preset if config else None,
        "status": entry.state.status,
        "since": entry.state.since,
        "version": entry.state.version,
        "space": order.index(keys[token]) if token in keys else None,
        "steps": config.train.steps if isinstance(config, RunConfig) else None,
        "values": {name: entry.values.get(name) for name in varied} if config else {},
        "images": bool(config and listed(entry.found.path / "samples", "*/*.png")),
        "problems": [*entry.problems, *([entry.apart] if entry.apart else [])],
        "apart": entry.apart,
    }


def _content(run: Guarded) -> tuple[str, int]:
    """SHA-256 and number of rows of a trajectory, by which copies are recognized."""
    path = run.folder.trajectory
    try:
        require_plain(path, run.within)
        content = path.read_bytes()
    except (UserError, OSError):
        return "", 0
    try:
        return sha256(content), parquet.read_metadata(BytesIO(content)).num_rows
    except (OSError, ValueError, ArrowException):
        return sha256(content), 0


def of_divergence(status: str) -> str:
    """Why a run of this status counts in no mean; empty if it does."""
    if status != "diverged":
        return ""
    return "Its training diverged: a loss, weight, image or score was not finite."


def _unreadable(how: State) -> State:
    return State("unreadable", how.since, how.version)


def _shown(value: Any) -> str | None:
    return None if value is None else value_text(value)
