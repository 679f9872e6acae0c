"""Runs under the names that they have on a page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from conceptspace.files import legible
from conceptspace.store import Run


class Renamed(Run):
    """A run under another name than its folder's, which other runs may have, too."""

    def __init__(self, run: Run, name: str) -> None:
        super().__init__(run.path)
        self._name = name

    @property
    def name(self) -> str:
        """The name on the page."""
        return self._name


def distinct(runs: Sequence[Run]) -> list[Run]:
    """Runs under distinct names: those with the same name get as much of their path as it takes."""
    count = Counter(run.name for run in runs)
    names = [run.name if count[run.name] == 1 else _longer(run, runs) for run in runs]
    return [Renamed(run, legible(name)) for run, name in zip(runs, names, strict=True)]


def _longer(run: Run, runs: Sequence[Run]) -> str:
    parts = run.path.resolve().parts
    for length in range(2, len(parts)):
        tails = [other.path.resolve().parts[-length:] for other in runs]
        if tails.count(parts[-length:]) == 1:
            return "/".join(parts[-length:])
    return str(run.path)
