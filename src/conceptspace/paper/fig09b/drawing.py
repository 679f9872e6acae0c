"""Measured trajectories under masking beside the fan of Eq. 2 (paper Fig. 9b)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle
from typing import Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from conceptspace.analysis.theory_fit import TheoryFit
from conceptspace.paper.fig05.drawing import square
from conceptspace.presentation.figures.conditions import shades
from conceptspace.presentation.style import (
    MARKERS,
    WIDTH,
    footnote,
    heading,
    panels_over_legend,
    styled,
)


@styled
def fan_figure(
    fitted: TheoryFit,
    percents: Sequence[float],
    concepts: Sequence[str],
    *,
    title: str = "",
    subtitle: str = "",
) -> Figure:
    """Left the measured means over seeds, right the fitted Eq. 2, in the same colors.

    Args:
        fitted: Eq. 2, one trajectory per share.
        percents: the shares, in the order of the fit.
        concepts: names of the masked concept and of the other one.
        title: above the figure, neutral.
        subtitle: below the title; what was found, in words.
    """
    figure = Figure(figsize=(WIDTH, 5.0), layout="constrained")
    colors = shades(len(percents))
    handles = [
        Line2D([], [], color=color, lw=1.6, marker=marker, ms=6, mec="white", label=f"{share:g} %")
        for share, color, marker in zip(percents, colors, cycle(MARKERS), strict=False)
    ]
    legend: dict[str, Any] = {"title": "masked prompts", "ncols": len(handles)}
    left, right = panels_over_legend(figure, 1, 2, handles, **legend)[0]
    panels = ((left, fitted.observed), (right, fitted.theory.curves))
    for axes, curves in panels:
        square(axes)
        for curve, color, marker in zip(curves, colors, cycle(MARKERS), strict=False):
            axes.plot(*curve.T, color=color, lw=1.6)
            axes.plot(*curve[:1].T, "o", ms=5, mfc="white", mec=color, mew=1.2)
            axes.plot(*curve[-1:].T, marker, ms=7, mfc=color, mec="white", mew=0.8, zorder=5)
        axes.set(xlabel=f"{concepts[0]} (masked), coordinate", ylabel=f"{concepts[1]}, coordinate")
    plural = "seed" if fitted.seeds == 1 else "seeds"
    left.set_title(f"a  measured, {fitted.seeds} {plural}")
    estimate = fitted.estimates["slope"]
    spread = f" ({estimate.low:.4f} to {estimate.high:.4f})" if estimate.seeds > 1 else ""
    right.set_title(f"b  Eq. 2, s = {estimate.value:.4f}{spread}")
    footnote(
        figure,
        "Hollow: first checkpoint; large mark: last. a: means over seeds. b: s with its 95 % "
        f"interval; ΔAICc against the best null {fitted.margin:+.0f}; from 2 on it counts.",
    )
    heading(figure, title, subtitle)
    return figure
