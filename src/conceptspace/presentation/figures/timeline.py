"""When each seed showed a capability under every way of asking, between checkpoints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from conceptspace.analysis.elicitation import elicits, is_control, teaches
from conceptspace.analysis.turning import Turn
from conceptspace.presentation.style import (
    INK,
    MARKERS,
    MUTED,
    OOD_SHADES,
    SMALLEST,
    TRAIN,
    WIDTH,
    Step,
    detected,
    fitting,
    footnote,
    heading,
    mark,
    panels_over_legend,
    styled,
    turn_note,
)
from conceptspace.tables import NAIVE

FULL = 0.78
"""Share of a row's height that its lanes take."""

TALLEST = 30
"""More rows than these stand in two columns."""


@dataclass(frozen=True)
class Span:
    """When a run showed the capability under one way of asking.

    Attributes:
        label: the way of asking; it has a lane of its own in every row.
        lower: last checkpoint at which the capability was not there.
        upper: first checkpoint from which it stays; ignored if censored.
        censored: not reached by step ``lower``.
        row: the run, e.g. ``"seed 200"``.
    """

    label: str
    lower: Step
    upper: Step
    censored: bool = False
    row: str = ""


Look = tuple[str, str]
"""Color and marker."""


@styled
def emergence_timeline(
    spans: Sequence[Span],
    *,
    turn: Turn | None = None,
    last_step: Step | None = None,
    hollow: bool = False,
    title: str = "",
    subtitle: str = "",
) -> Figure:
    """One row for each run, in it one lane for each way of asking; the marks of a row are joined.

    Lanes keep marks of the same step apart. Runs that did not get there stand beyond the last step.

    Args:
        spans: rows and lanes come in the order in which they first occur.
        turn: of the trajectory; drawn if it is detected.
        last_step: where training ended; otherwise the largest step among the spans.
        hollow: for a statistic that decides nothing.
        title: above the figure, neutral.
        subtitle: below the title; what was found, in words.
    """
    rows = list(dict.fromkeys(span.row for span in spans))
    lanes = looks(list(dict.fromkeys(span.label for span in spans)))
    end = float(last_step or max([s.lower if s.censored else s.upper for s in spans], default=1.0))
    columns = 2 if len(rows) > TALLEST else 1
    deep = -(-len(rows) // columns)
    height = deep * max(0.26, 0.092 * len(lanes)) + 1.35 + 0.2 * len(lanes) / 3
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    handles = _handles(spans, lanes, hollow)
    (panels,) = panels_over_legend(figure, 1, columns, handles, ncols=fitting(handles, 3))
    turn = detected(turn)
    for column, axes in enumerate(panels):
        of_column = rows[column * deep : (column + 1) * deep]
        _rows(axes, of_column, spans, lanes, end, hollow)
        mark(axes, turn)
        _beyond(axes, end, any(s.censored for s in spans))
        axes.set(ylim=(deep - 0.45, -0.55), xlim=(0, 1.12 * end), xlabel="step")
        axes.set_xticks([tick for tick in axes.get_xticks() if 0 <= tick <= end])
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
    footnote(figure, _note(spans, hollow, turn))
    heading(figure, title, subtitle)
    return figure


def _rows(
    axes: Axes,
    rows: Sequence[str],
    spans: Sequence[Span],
    lanes: Mapping[str, Look],
    end: float,
    hollow: bool,
) -> None:
    shift = FULL * (np.arange(len(lanes)) - (len(lanes) - 1) / 2) / max(len(lanes), 1)
    for at, row in enumerate(rows):
        if at % 2 == 0:
            axes.axhspan(at - 0.5, at + 0.5, color="#f4f4f4", lw=0, zorder=-2)
        of_row = {span.label: span for span in spans if span.row == row}
        own = [(of_row[n], at + y) for n, y in zip(lanes, shift, strict=True) if n in of_row]
        places = [(1.065 * end if s.censored else s.upper, y) for s, y in own]
        axes.plot(*np.transpose(places), color=MUTED, lw=0.8, alpha=0.55, zorder=1)
        for (span, _), place in zip(own, places, strict=True):
            _mark(axes, span, place, lanes[span.label], hollow)
    axes.set_yticks(range(len(rows)), rows)


def looks(labels: Sequence[str]) -> dict[str, Look]:
    """Color and marker of each way of asking: naive blue, eliciting ones magenta, others gray."""
    found: dict[str, Look] = {}
    counts = [0, 0]
    for label in sorted(labels, key=lambda name: name != NAIVE):
        if label == NAIVE:
            found[label] = (TRAIN, MARKERS[0])
            continue
        other = not elicits(label)
        color = ("#4d4d4d", "#8c8c8c")[counts[1] % 2] if other else OOD_SHADES[counts[0] % 6]
        found[label] = (color, MARKERS[(4 if other else 1) + counts[other] % (4 if other else 3)])
        counts[other] += 1
    return found


def _mark(axes: Axes, span: Span, place: tuple[Step, float], look: Look, hollow: bool) -> None:
    color, marker = look
    if not span.censored:
        axes.hlines(place[1], span.lower, span.upper, color=color, lw=1.6, alpha=0.5, zorder=2)
    face = "white" if hollow else color
    axes.plot(*place, marker, ms=4.4, mfc=face, mec=color, mew=1.0, zorder=4)


def _beyond(axes: Axes, end: float, used: bool) -> None:
    """A line where training ended, and beyond it a strip for runs that did not get there."""
    axes.axvline(end, color=MUTED, lw=0.7, ls=":", zorder=0)
    if not used:
        return
    axes.axvspan(1.02 * end, 1.11 * end, color="#e3e3e3", lw=0, zorder=-1)
    axes.annotate(
        "not reached",
        (1.065 * end, 1),
        (0, 2),
        xycoords=axes.get_xaxis_transform(),
        textcoords="offset points",
        ha="center",
        va="bottom",
        color=INK,
        fontsize=SMALLEST,
    )


def _handles(spans: Sequence[Span], lanes: Mapping[str, Look], hollow: bool) -> list[Line2D]:
    """Every way of asking, and in how many runs it got there."""
    handles = []
    for label, (color, marker) in lanes.items():
        own = [span for span in spans if span.label == label]
        reached = sum(not span.censored for span in own)
        text = f"{label}: {reached} of {len(own)}"
        style: dict[str, Any] = {
            "mfc": "white" if hollow else color,
            "mec": color,
            "ls": "none",
            "ms": 5,
        }
        handles.append(Line2D([], [], marker=marker, label=text, **style))
    return handles


def _note(spans: Sequence[Span], hollow: bool, turn: Turn | None) -> str:
    parts = ["A row is a run, its marks are joined."]
    if any(not s.censored for s in spans):
        parts.append("Bar: from the last checkpoint without to the first with the capability.")
    parts.append("Numbers: runs that got there.")
    if hollow:
        parts.append("Hollow: by a score that decides nothing.")
    gray = [
        name
        for name, found in (
            ("controls", any(is_control(s.label) for s in spans)),
            ("taught the class itself", any(teaches(s.label) for s in spans)),
        )
        if found
    ]
    if gray:
        parts.append(f"Gray: {', and '.join(gray)}.")
    if turn is not None:
        parts.append(turn_note(turn))
    return " ".join(parts)
