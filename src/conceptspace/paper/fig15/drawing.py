"""Trajectories over three concepts, on the three sides of the unit cube (paper Fig. 15)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from conceptspace.analysis.trajectories import Array
from conceptspace.errors import UserError
from conceptspace.presentation.figures.square import on_axes
from conceptspace.presentation.figures.trajectory import Painter
from conceptspace.presentation.series import series
from conceptspace.presentation.style import (
    INK,
    WIDTH,
    fitting,
    footnote,
    heading,
    panels_over_legend,
    styled,
)
from conceptspace.space import ConceptSpace
from conceptspace.tables import NAIVE

SIDES = tuple(combinations(range(3), 2))


@dataclass(frozen=True)
class Case:
    """One setting.

    Attributes:
        table: naive trajectories of one or more runs.
        space: three concepts.
        images: an image of each class.
    """

    table: pd.DataFrame
    space: ConceptSpace
    images: Mapping[str, ArrayLike]


@styled
def sides_figure(cases: Mapping[str, Case], *, title: str = "", subtitle: str = "") -> Figure:
    """One row per case: the mean trajectories of all classes over each pair of concepts.

    Args:
        cases: under their titles; each has three concepts.
        title: above the figure, neutral.
        subtitle: below the title; what was found, in words.

    Raises:
        UserError: a case has not three concepts.
    """
    painters = {}
    for name, case in cases.items():
        require_three(case.space)
        painters[name] = Painter.of(case.table, case.space, NAIVE)
    handles = next(iter(painters.values())).legend()
    size = (WIDTH, len(cases) * (WIDTH / 3 + 0.35) + 1.4)
    figure = Figure(figsize=size, layout="constrained")
    panels = panels_over_legend(figure, len(cases), len(SIDES), handles, ncols=fitting(handles, 4))
    for letter, row, (name, painter) in zip("abcdef", panels, painters.items(), strict=False):
        for axes, pair in zip(row, SIDES, strict=True):
            painter.square(axes, pair, cases[name].images)
        runs = painter.table["run"].nunique()
        text = f"{letter}  {name}, {runs} {'seed' if runs == 1 else 'seeds'}"
        row[0].set_title(text, color=INK, loc="left")
    notes = dict.fromkeys(painter.note() for painter in painters.values())
    footnote(figure, " ".join([*notes, "Each row shows one cube from its three sides."]))
    heading(figure, title, subtitle)
    return figure


def require_three(space: ConceptSpace) -> None:
    """Raise ``UserError`` if there are not three concepts."""
    if len(space.concepts) != 3:
        raise UserError(f"a cube has three concepts, not {len(space.concepts)}")


def mean_paths(table: pd.DataFrame, space: ConceptSpace) -> dict[str, Array]:
    """The mean trajectory of every class on the axes, shape (T, 3).

    Raises:
        UserError: there are not three concepts.
    """
    require_three(space)
    found = {}
    for name in map(str, space.classes):
        if on_axes(space, name, range(3)):
            found[name] = np.stack(
                [series(table, name, c, "coordinate").mean for c in space.names], axis=-1
            )
    return found
