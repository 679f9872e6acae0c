"""Which runs count: each once, and none that is damaged or has diverged.

A run is what its settings, its seed and its trajectory make it, wherever it lies. A copy is no
further seed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import pandas as pd

from conceptspace.analysis import points
from conceptspace.analysis.trajectories import require
from conceptspace.errors import UserError
from conceptspace.presentation.drawing import keeps_log
from conceptspace.presentation.explorer import details, spaces
from conceptspace.presentation.explorer.discover import Found
from conceptspace.presentation.explorer.index import Entry, read_entry
from conceptspace.presentation.explorer.left_out import LeftOut, sentences
from conceptspace.presentation.explorer.run_findings import checked_information
from conceptspace.store import Run
from conceptspace.tables import JOINT, KEYS, NAIVE, SCORE_COLUMNS

T = TypeVar("T")

COPIES = "as copies of runs that count already"


@dataclass(frozen=True)
class Counted:
    """Runs that count, and what does not.

    Attributes:
        entries: in their order.
        left_out: the others.
    """

    entries: list[Entry]
    left_out: list[LeftOut]


def once(entries: Sequence[Entry]) -> Counted:
    """Runs without their copies; of those with one setting and seed but other scores, one counts.

    That is the one with the longest trajectory, then the one that keeps most, then the first. The
    others get a reason to stand ``apart``.
    """
    keys = {entry.found.token: _identity(entry) for entry in entries if entry.digest}
    best: dict[Any, Entry] = {}
    for token, entry in ((e.found.token, e) for e in entries if e.digest):
        rival = best.setdefault(keys[token], entry)
        if rival is not entry and _worth(entry) > _worth(rival):
            best[keys[token]] = entry
    seen = {(key, entry.digest) for key, entry in best.items()}
    kept, left_out = [], []
    for entry in entries:
        key = keys.get(entry.found.token)
        if key is None or best[key] is entry:
            kept.append(entry)
        elif (key, entry.digest) in seen:
            left_out.append(LeftOut(entry.found.name, COPIES, shared=True))
        else:
            seen.add((key, entry.digest))
            first = best[key].found.name
            reason = f"It has the settings and the seed of {first}, but other scores."
            kept.append(replace(entry, apart=entry.apart or reason))
    return Counted(kept, left_out)


def countable(entries: Sequence[Entry]) -> Counted:
    """Runs whose trajectories can stand together, each once."""
    sound: list[Entry] = []
    left_out = []
    for entry in entries:
        reason = fault(entry)
        if reason:
            left_out.append(LeftOut(entry.found.name, reason))
        else:
            sound.append(entry)
    found = once(sound)
    left_out += found.left_out
    left_out += [LeftOut(e.found.name, e.apart) for e in found.entries if e.apart]
    return Counted([entry for entry in found.entries if not entry.apart], left_out)


def of_countable(
    entries: Sequence[Entry],
    work: Callable[[list[Entry], list[str]], T],
    before: Sequence[LeftOut] = (),
) -> T:
    """Do some work with the runs that count; if it fails, again without those at fault.

    Args:
        entries: runs, readable or not.
        work: is given the runs that count, and sentences that name the others.
        before: what has been left out already.

    Raises:
        UserError: no run counts; or see ``work``, where no run is at fault.
    """
    found = countable(entries)
    kept, left_out = found.entries, [*before, *found.left_out]
    try:
        return _worked(kept, left_out, work)
    except Exception:
        faults = [(entry, hidden_fault(entry)) for entry in kept]
        if not any(reason for _, reason in faults):
            raise
    left_out += [LeftOut(entry.found.name, reason) for entry, reason in faults if reason]
    return _worked([entry for entry, reason in faults if not reason], left_out, work)


def entries_of(runs: Sequence[Run]) -> list[Entry]:
    """Entries of runs under their names, which no two of them share."""
    return [read_entry(Found(run.name, run.path)) for run in runs]


def fault(entry: Entry) -> str:
    """Why a run cannot stand beside others; empty if it can."""
    return " ".join([*entry.problems, entry.apart]).strip() or damage(entry)


def damage(entry: Entry) -> str:
    """Why the trajectory of a run cannot be used; empty if it can."""
    if entry.run is None or entry.space is None:
        return " ".join(entry.problems)
    try:
        table, seed = entry.run.trajectory(), entry.run.description.seed
        points.require_trajectory(table)
        coordinates = table["coordinate"][table["concept"] != JOINT]
        if not (table["accuracy"].between(0, 1).all() and coordinates.between(0, 1).all()):
            return "trajectory.parquet has accuracies or coordinates that are no shares in [0, 1]"
        if not all(isinstance(name, str) for name in table["concept_class"].unique()):
            return "trajectory.parquet has numbers in concept_class, where 01 and 1 are the same"
        if table.duplicated([*KEYS, "concept"]).any():
            return "trajectory.parquet has rows twice"
        naive = table["protocol"] == NAIVE
        if not naive.any():
            return "trajectory.parquet has no rows of naive prompting"
        classes = entry.space.classes
        if not table["concept_class"][naive].isin(classes).any():
            return f"trajectory.parquet has no row of the config's classes {', '.join(classes)}"
        if (seeds := sorted(table["seed"].unique())) != [seed]:
            listed = ", ".join(map(str, seeds))
            return f"trajectory.parquet is of seed {listed}, config.toml of seed {seed}"
    except (UserError, OSError) as error:
        return str(error)
    except Exception as error:  # whatever a table may hold
        return f"trajectory.parquet cannot be read ({type(error).__name__}: {error})"
    return ""


def hidden_fault(entry: Entry) -> str:
    """What is wrong with a run beside its trajectory: scores, log, record, images; or empty."""
    run = entry.run
    assert run is not None
    try:
        if run.folder.all_scores():
            _require_numbers(run.scores(), SCORE_COLUMNS, ("accuracy", "coordinate"), "scores")
        if (best := run.kept_best()) is not None:
            _require_numbers(best, [*KEYS, "honest"], ("honest", "accuracy"), "best settings")
        if keeps_log(run):
            details.training_curves(run.training())
        checked_information(run)
        return " ".join(details.sheet_index(run)[1])
    except (UserError, OSError) as error:
        return str(error)
    except Exception as error:
        return f"its files cannot be read ({type(error).__name__}: {error})"


def _worked(
    entries: list[Entry], left_out: list[LeftOut], work: Callable[[list[Entry], list[str]], T]
) -> T:
    texts = sentences(left_out)
    if not entries:
        raise UserError("no run is left that counts. " + " ".join(texts))
    return work(entries, texts)


def _require_numbers(
    table: pd.DataFrame, columns: Sequence[str], numeric: Sequence[str], what: str
) -> None:
    require(table, columns)
    for name in numeric:
        if not pd.api.types.is_numeric_dtype(table[name]):
            raise UserError(f"the {what} hold no numbers in {name}")


def _identity(entry: Entry) -> tuple[Any, ...]:
    """Equal for runs of the same seed, settings and concept space."""
    assert entry.run is not None
    assert entry.space is not None
    return entry.run.description.seed, frozenset(entry.values.items()), spaces.key(entry.space)


def _worth(entry: Entry) -> tuple[bool, int, int]:
    """How much a run has to show."""
    kept = ("run.json", "training.parquet", "scores", "samples", "checkpoints")
    there = sum((entry.found.path / name).exists() for name in kept)
    return not entry.apart, entry.rows, there
