"""The scores of a run, averaged over images: each file is read once, however often one asks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from conceptspace.recording.scoring import Agreement, agreement, trajectory
from conceptspace.store import read_scores
from conceptspace.tables import KEYS

Stamp = tuple[int, int, int]
"""Inode, size and time of change of a file, which is replaced and never changed in place."""


@dataclass(frozen=True)
class Averaged:
    """The averages of one file of scores.

    Attributes:
        stamp: of the file that was read or written.
        table: its averages, see :func:`~conceptspace.recording.scoring.trajectory`.
        agreement: of probe and judge, or of two probes.
    """

    stamp: Stamp
    table: pd.DataFrame
    agreement: Agreement

    @property
    def asked(self) -> set[tuple[str, str]]:
        """The pairs (setting, class) that have been scored."""
        pairs = self.table[["setting", "concept_class"]].drop_duplicates()
        return set(pairs.itertuples(index=False, name=None))


class Averages:
    """The averages of the files of scores; one that was replaced meanwhile is read again."""

    def __init__(self) -> None:
        self.known: dict[Path, Averaged] = {}

    def of(self, path: Path) -> Averaged | None:
        """The averages of a file; None where there is none.

        Raises:
            UserError: it is damaged.
        """
        try:
            stamp = _stamp(path)
        except FileNotFoundError:
            return None
        known = self.known.get(path)
        if known is None or known.stamp != stamp:
            return self.learn(path, read_scores(path), stamp)
        return known

    def learn(self, path: Path, scores: pd.DataFrame, stamp: Stamp | None = None) -> Averaged:
        """Keep the averages of scores that were read from a file, or just written to it."""
        found = Averaged(stamp or _stamp(path), trajectory(scores), agreement(scores))
        self.known[path] = found
        return found


def together(averages: Sequence[Averaged]) -> pd.DataFrame:
    """The learning trajectory of a run: the same table as from all scores at once."""
    table = pd.concat([one.table for one in averages], ignore_index=True)
    return table.sort_values([*KEYS, "concept"], kind="stable", ignore_index=True)


def agreements(averages: Sequence[Averaged], concepts: Sequence[str]) -> dict[str, float]:
    """Share of images on which two find the same value, per concept, see :class:`Agreement`.

    Empty where there was no judge, or no probe.
    """
    same = {c: sum(one.agreement.same.get(c, 0) for one in averages) for c in concepts}
    images = {c: sum(one.agreement.images.get(c, 0) for one in averages) for c in concepts}
    return {c: same[c] / images[c] for c in concepts if images[c]}


def _stamp(path: Path) -> Stamp:
    file = path.stat()
    return file.st_ino, file.st_size, file.st_mtime_ns
