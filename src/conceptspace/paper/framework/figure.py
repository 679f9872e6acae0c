"""A figure of the paper: its claim, its runs, their analysis, its checks and its drawing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure

from conceptspace.analysis.claims import Row
from conceptspace.paper.framework.results import Result
from conceptspace.sweeps.plan import Plan

Rows = Mapping[str, Row]
"""The checks of a figure, by their name."""


@dataclass(frozen=True)
class PaperFigure:
    """One figure, or several that show the same runs.

    What is computed, what is checked and what is drawn are apart: ``analyse`` turns finished runs
    into data, ``checks`` takes these data alone, ``draw`` the data and what the checks found.

    Attributes:
        name: on the command line and of its folder, e.g. ``fig04``.
        number: in the paper, e.g. ``"4 and 13"``.
        title: a phrase that claims nothing.
        claim: what the paper says that it shows, one sentence.
        cost: by preset, in words.
        plans: its runs, from the preset's name and the seeds; None for the figure's own seeds.
        analyse: from the preset's name and the runs that have finished, perhaps not all, to the
            figure's data. Raises ``UserError`` if they are too few to draw anything.
        draw: figures by the name of their file, from the data and the rows by their name.
        checks: rows of the ledger.
        pages: pages by the name of their file, complete HTML.
        possible: whether its data are there, by preset; without them ``all`` leaves the figure out.
        primary: name of the row that decides about the figure, fixed before its runs; the other
            rows are secondary.
        endpoint: what that row measures, and where its 95 % interval over seeds has to be.
        keeps: what is kept of its runs beside their tables: "training"; "images" of the last
            checkpoint; "images over training", of the first seed alone.
    """

    name: str
    number: str
    title: str
    claim: str
    cost: Mapping[str, str]
    plans: Callable[[str, Sequence[int] | None], list[Plan]]
    analyse: Callable[[str, Sequence[Result]], Any]
    draw: Callable[[Any, Rows], Mapping[str, Figure]]
    checks: Callable[[Any], list[Row]]
    primary: str
    endpoint: str
    pages: Callable[[Any], Mapping[str, str]] = lambda data: {}
    possible: Callable[[str], bool] = lambda preset: True
    keeps: tuple[str, ...] = ()
