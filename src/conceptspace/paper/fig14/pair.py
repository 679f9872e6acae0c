"""The results of the runs of one pair of attributes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from conceptspace.analysis.memorization import bias, memorization
from conceptspace.analysis.turning import Turn, find_turn
from conceptspace.analysis.verdict import Window, windows
from conceptspace.contact_sheet import Sheet
from conceptspace.errors import UserError
from conceptspace.experiment import parts
from conceptspace.paper.framework.results import Result, joined, joined_best, late
from conceptspace.presentation.drawing import images_of
from conceptspace.space import ConceptSpace
from conceptspace.tables import JOINT, NAIVE

AROUND = 1
"""Checkpoints on either side of the turn that count as around it."""


@dataclass(frozen=True)
class Pair:
    """The data that the figure shows for one pair of attributes.

    Attributes:
        table: trajectories of all seeds under every protocol.
        best: of every protocol by checkpoint, settings chosen on other images.
        space: the attributes.
        images: of each class.
        turn: of the mean OOD trajectory under naive prompting, or the best candidate.
        sheets: the first seed's images by step; empty if they were not kept.
        shown: the first seed's trajectory under naive prompting.
        leanings: of each seed, accuracy of the first attribute less that of the second.
        taken_for: of each seed that memorizes, the share of these checkpoints that say 10.
        turned: of each seed, whether its trajectory turns.
        ends: of each seed, the joint accuracy at the last checkpoints.
        windows: of each seed, see :mod:`conceptspace.analysis.verdict`.
        around: by protocol, of each seed, the joint accuracy at the checkpoints around its turn.
    """

    table: pd.DataFrame
    best: pd.DataFrame
    space: ConceptSpace
    images: Mapping[str, NDArray[Any]]
    turn: Turn
    sheets: Mapping[int, Sheet]
    shown: pd.DataFrame
    leanings: list[float]
    taken_for: list[float]
    turned: list[bool]
    ends: list[float]
    windows: list[Window]
    around: Mapping[str, list[float]]

    @property
    def ood(self) -> str:
        """The class that is held out."""
        return str(self.space.ood_classes[0])

    def gains(self, protocol: str, over: str) -> list[float]:
        """For each seed, the gain in joint accuracy of a protocol over another around the turn."""
        return [a - b for a, b in zip(self.around[protocol], self.around[over], strict=True)]


def analysed(results: Sequence[Result]) -> Pair:
    """What class 11 is taken for, whether it turns, what other ways of asking make of it.

    Raises:
        UserError: a run kept no scores of single images.
    """
    first = results[0]
    world = parts.world(first.config.data)
    space = world.space
    ood = str(space.ood_classes[0])
    best = joined_best(results)
    if best is None:
        raise UserError("its runs kept no scores of single images")
    table = joined(results)
    naive = table[table["protocol"] == NAIVE]
    turns = [find_turn(result.table, ood) for result in results]
    found = [
        _around(result.best, ood, turn.step) for result, turn in zip(results, turns, strict=True)
    ]
    return Pair(
        table=table,
        best=best,
        space=space,
        images=images_of(first.run, world),
        turn=find_turn(naive, ood),
        sheets=first.run.sheets(),
        shown=first.table[first.table["protocol"] == NAIVE],
        leanings=[bias(r.table, ood, concepts=_two(space)).value for r in results],
        taken_for=_taken_for(naive, space, ood),
        turned=[turn.detected for turn in turns],
        ends=[_end(result.table, ood) for result in results],
        windows=[w for r in results if r.best is not None for w in windows(r.best, ood)],
        around={name: [of[name] for of in found] for name in found[0]},
    )


def _two(space: ConceptSpace) -> tuple[str, str]:
    return space.names[0], space.names[1]


def _around(best: pd.DataFrame | None, ood: str, step: float) -> dict[str, float]:
    """The mean joint accuracy of every protocol around a step, settings chosen on other images."""
    assert best is not None
    rows = best[(best["concept"] == JOINT) & (best["concept_class"] == ood)]
    wide = rows.pivot_table(index="step", columns="protocol", values="honest")
    nearest = int(np.abs(wide.index.to_numpy(dtype=np.float64) - step).argmin())
    near = wide.iloc[max(nearest - AROUND, 0) : nearest + AROUND + 1].mean()
    return {str(protocol): float(value) for protocol, value in near.items()}


def _taken_for(table: pd.DataFrame, space: ConceptSpace, ood: str) -> list[float]:
    found = memorization(table, [str(c) for c in space.train_classes], ood, concepts=space.names)
    during = found[found["memorized"]]
    shared = ood[0] + str(1 - int(ood[1]))
    return [float((of["nearest"] == shared).mean()) for _, of in during.groupby("seed")]


def _end(table: pd.DataFrame, ood: str) -> float:
    rows = table[(table["concept"] == JOINT) & (table["concept_class"] == ood)]
    return float(late(rows[rows["protocol"] == NAIVE])["accuracy"].mean())
