"""Learning speed against concept signal (paper Fig. 3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from conceptspace.analysis.emergence import THRESHOLD, Emergence, survival
from conceptspace.analysis.steps import from_to
from conceptspace.presentation.style import (
    CONCEPT_COLORS,
    GRID,
    SMALLEST,
    WIDTH,
    counted,
    footnote,
    heading,
    styled,
)

THOUSAND = 1000.0


@dataclass(frozen=True)
class SpeedPanel:
    """One panel: runs at several levels of a concept's signal.

    Attributes:
        signal: of each level, the mean squared pixel distance between its classes.
        runs: of each level, the emergence of every seed.
        labels: of each level, e.g. its separation.
    """

    signal: Sequence[float]
    runs: Sequence[Sequence[Emergence]]
    labels: Sequence[str]


@styled
def speed_figure(
    rows: Mapping[str, Mapping[str, SpeedPanel]], *, title: str = "", subtitle: str = ""
) -> Figure:
    """1 / (steps to the threshold) against the signal, a column for each concept.

    Args:
        rows: by the accuracy that reaches the threshold, with ``{}`` for the concept, the panels
            by concept; all rows have the same concepts.
        title: above the figure, neutral.
        subtitle: below the title; what was found, in words.
    """
    concepts = list(next(iter(rows.values())))
    order = [(accuracy, concept) for accuracy in rows for concept in concepts]
    lines = len(rows) if len(concepts) > 1 else 1
    figure = Figure(figsize=(WIDTH, 2.7 * lines + 1.2), layout="constrained")
    panels = figure.subplots(lines, len(order) // lines, squeeze=False)
    for letter, axes, (accuracy, concept) in zip("abcdefghijkl", panels.flat, order, strict=False):
        _panel(axes, rows[accuracy][concept], CONCEPT_COLORS[concepts.index(concept)])
        axes.set_title(f"{letter}  {accuracy.format(concept)}")
        axes.set_xlabel(f"signal of {concept}: mean squared\npixel difference (its separation)")
        axes.set_ylabel(f"speed: 1000 / steps to {THRESHOLD:g}")
    shown = [p for of in rows.values() for p in of.values()]
    count = from_to(len(runs) for panel in shown for runs in panel.runs)
    parts = [
        f"{count} runs at each separation. Rings: runs, with a line up to the checkpoint before; a "
        "number counts runs. Bar and line: 1000 over the Kaplan-Meier median.",
    ]
    if any(not run.reached for panel in shown for runs in panel.runs for run in runs):
        parts.append("Arrow: not reached by the end, so slower than that, and in how many runs.")
    footnote(figure, " ".join(parts))
    heading(figure, title, subtitle)
    return figure


def _panel(axes: Axes, panel: SpeedPanel, color: str) -> None:
    """The runs at their signal; both axes are logarithmic, and nothing is shifted."""
    signal = np.asarray(panel.signal, dtype=np.float64)
    axes.set(xscale="log", yscale="log")
    medians: list[tuple[float, float]] = []
    heights: list[float] = []
    for at, runs in zip(signal, panel.runs, strict=True):
        heights += _level(axes, float(at), runs, color)
        median = survival(runs).median
        if np.isfinite(median):
            medians.append((float(at), THOUSAND / median))
            place = (at / 1.09, at * 1.09)
            axes.hlines(THOUSAND / median, *place, color=color, lw=3, alpha=0.7)
    if medians:
        axes.plot(*np.array(medians).T, color=color, lw=1.3, alpha=0.6, zorder=1)
    ticks = zip(signal, panel.labels, strict=True)
    axes.set_xticks(signal, [f"{at:.2g}\n({label})" for at, label in ticks])
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_minor_locator(NullLocator())
    axes.set(ylim=(min(heights) / 2, 1.15 * max(heights)))
    axes.set(xlim=(signal.min() / 1.35, signal.max() * 1.35))
    axes.grid(axis="y", color=GRID, lw=0.4)


def _level(axes: Axes, at: float, runs: Sequence[Emergence], color: str) -> list[float]:
    """Rings and the arrow of one level; returns the heights that are drawn.

    The line above a ring reaches to the speed of the checkpoint before.
    """
    reached = [run for run in runs if run.reached]
    counted(axes, [(at, THOUSAND / run.upper) for run in reached], color, hollow=True)
    heights = [THOUSAND / run.upper for run in reached]
    for lower, upper in {(run.lower, run.upper) for run in reached}:
        top = THOUSAND / lower if lower > 0 else 2 * THOUSAND / upper
        axes.vlines(at, THOUSAND / upper, top, color=color, lw=1.0, alpha=0.5)
        heights.append(top)
    missing = [run for run in runs if not run.reached]
    if missing:
        limit = max(THOUSAND / (run.lower or run.last) for run in missing)
        arrow = {"arrowstyle": "<|-", "color": color, "lw": 1.3, "mutation_scale": 9}
        style: dict[str, Any] = {"ha": "center", "va": "top", "fontsize": SMALLEST, "color": color}
        below: dict[str, Any] = {"xytext": (0, -16), "textcoords": "offset points"}
        axes.plot(at, limit, "_", ms=8, color=color, mew=1.4, zorder=4)
        axes.annotate(str(len(missing)), (at, limit), **below, **style, arrowprops=arrow)
        heights.append(limit)
    return heights
