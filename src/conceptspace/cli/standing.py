"""How sweeps stand, in words: on the terminal, and on the page that ``serve`` shows."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from conceptspace.cli.carry_out import duration
from conceptspace.errors import UserError
from conceptspace.sweeps.folder import SWEEP
from conceptspace.sweeps.status import SweepStatus, status

PAUSE = 5.0
"""Seconds for which an answer is good: a page asks every two, of thousands of runs."""

MOST = 200
"""Runs that a page names."""


def sentence(found: SweepStatus) -> str:
    """How many runs stand how, and the time that is left."""
    counts = ", ".join(f"{count} {name}" for name, count in found.counts.items())
    left = f"; about {duration(3600 * found.hours_left)} left" if found.hours_left else ""
    return f"{len(found.runs)} runs: {counts}{left}"


def unfinished(found: SweepStatus) -> list[str]:
    """A line for every run that is neither done nor waiting."""
    return [
        f"{run.name}: {run.status}, {run.reason or f'{100 * run.share:.0f} % of its checkpoints'}"
        for run in found.runs
        if run.status not in ("done", "waiting")
    ]


class Standing:
    """How the sweeps among the folders that a page shows stand, looked up anew after :data:`PAUSE`.

    Links that lead out of the folders are not read.

    Args:
        roots: the folders.
    """

    def __init__(self, roots: Sequence[Path]) -> None:
        self.roots = list(roots)
        self._summaries: list[dict[str, Any]] = []
        self._until = 0.0

    def __call__(self) -> list[dict[str, Any]]:
        """``[{"name": ..., "summary": a sentence, "runs": [a sentence, ...]}]``."""
        if time.monotonic() >= self._until:
            self._summaries = [_summary(root) for root in self.roots if (root / SWEEP).is_file()]
            self._until = time.monotonic() + PAUSE
        return self._summaries


def _summary(root: Path) -> dict[str, Any]:
    name = root.resolve().name
    try:
        found = status(root, within=root)
    except (UserError, OSError) as error:
        return {"name": name, "summary": str(error), "runs": []}
    lines = unfinished(found)
    more = [f"and {len(lines) - MOST} more"] if len(lines) > MOST else []
    return {"name": name, "summary": sentence(found), "runs": [*lines[:MOST], *more]}
