"""Accuracies under every way of asking against steps, and where one is hidden."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from conceptspace.analysis.elicitation import elicits
from conceptspace.analysis.emergence import THRESHOLD
from conceptspace.analysis.quantities import Quantity
from conceptspace.analysis.verdict import Window
from conceptspace.presentation.figures.timeline import looks
from conceptspace.presentation.series import series
from conceptspace.presentation.style import GRID, INK, WIDTH, footnote, hidden_band, styled
from conceptspace.tables import JOINT, NAIVE

MOST_PANELS = 9
MOST_BANDS = 4
"""Lines in a panel up to which intervals are drawn: more would not be distinguishable."""

COLUMNS = 2


@styled
def asked_figure(
    table: pd.DataFrame,
    windows: Mapping[Quantity, Sequence[Window]],
    threshold: float = THRESHOLD,
) -> Figure:
    """One panel for each quantity, one line for each way of asking; the hidden window is shaded.

    Args:
        table: trajectory table of one setting a way of asking.
        windows: the quantities, at most :data:`MOST_PANELS`, with the window of each seed; the
            medians of those that were found are shaded.
        threshold: accuracy from which something counts as present; a dashed line.
    """
    columns = min(len(windows), COLUMNS)
    rows = -(-len(windows) // columns)
    ways = table["protocol"].nunique()
    width = WIDTH if columns > 1 else 0.75 * WIDTH
    figure = Figure(figsize=(width, (2.8 + 0.17 * ways) * rows + 0.6), layout="constrained")
    panels = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axes in panels[len(windows) :]:
        axes.set_axis_off()
    for axes in panels[: len(windows)]:
        axes.axhline(threshold, color=INK, lw=0.7, ls=(0, (4, 3)), zorder=1)
    intervals = [
        _panel(axes, table, q, windows[q]) for axes, q in zip(panels, windows, strict=False)
    ]
    runs = len(next(iter(windows.values())))
    notes = [f"Lines: means of {runs} runs." if runs > 1 else "One run."]
    notes += [f"Bands: {interval}." for interval in dict.fromkeys(filter(None, intervals))]
    notes.append(f"Dashed black: {threshold:g}.")
    if any(window.found for of_seeds in windows.values() for window in of_seeds):
        median = ", median of the runs that have one" if runs > 1 else ""
        notes.append(f"Yellow: the hidden window{median}.")
    footnote(figure, " ".join(notes))
    return figure


def _panel(axes: Axes, table: pd.DataFrame, quantity: Quantity, windows: Sequence[Window]) -> str:
    rows = table[table["concept_class"] == quantity.concept_class]
    rows = rows[rows["concept"] == quantity.concept]
    names = sorted(map(str, rows["protocol"].unique()), key=lambda name: (name != NAIVE, name))
    interval = ""
    for name, (color, marker) in looks(names).items():
        drawn = series(rows, quantity.concept_class, quantity.concept, "accuracy", name)
        style: dict[str, Any] = {
            "color": color,
            "ls": "-" if elicits(name) else "--",
            "marker": marker,
            "ms": 3,
        }
        if len(names) <= MOST_BANDS:
            interval = drawn.interval
            axes.fill_between(drawn.steps, drawn.low, drawn.high, color=color, alpha=0.14, lw=0)
        axes.plot(drawn.steps, drawn.mean, lw=1.5, mec="white", mew=0.3, label=name, **style)
    hit = [window for window in windows if window.found]
    if hit:
        first, last = (float(np.median([getattr(w, k) for w in hit])) for k in ("first", "last"))
        counted = sum(not window.undecided for window in windows)
        label = "hidden" if counted == 1 else f"hidden in {len(hit)} of {counted} runs"
        hidden_band(axes, first, last, label)
    what = "joint accuracy" if quantity.concept == JOINT else f"accuracy of {quantity.concept}"
    axes.set_title(quantity.name, pad=12 if hit else 6)
    axes.set(ylim=(-0.02, 1.03), xlabel="step", ylabel=what)
    axes.grid(axis="y", color=GRID, lw=0.4)
    axes.legend(loc="upper left", bbox_to_anchor=(-0.04, -0.2))
    return interval
