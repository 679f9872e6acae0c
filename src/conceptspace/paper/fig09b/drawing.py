"""Measured trajectories under masking beside the fan of Eq. 2 (paper Fig. 9b)."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure

from conceptspace.analysis.theory_fit import TheoryFit
from conceptspace.paper.fig05.drawing import square
from conceptspace.presentation.figures.conditions import shades
from conceptspace.presentation.style import INK, MARKERS, footnote, styled


@styled
def fan_figure(
    fitted: TheoryFit, percents: Sequence[float], concepts: Sequence[str], *, title: str = ""
) -> Figure:
    """Left the measured means over seeds, right the fitted Eq. 2, in the same colors.

    Args:
        fitted: Eq. 2, one trajectory per share.
        percents: the shares, in the order of the fit.
        concepts: names of the masked concept and of the other one.
        title: above the figure.
    """
    figure = Figure(figsize=(8.0, 4.1), layout="constrained")
    left, right = figure.subplots(1, 2)
    colors = shades(len(percents))
    panels = ((left, fitted.observed), (right, fitted.theory.curves))
    for axes, curves in panels:
        square(axes)
        for index, (curve, color) in enumerate(zip(curves, colors, strict=True)):
            label = f"{percents[index]:g} %"
            axes.plot(*curve.T, color=color, lw=1.6, label=label)
            axes.plot(*curve[:1].T, "o", ms=5, mfc="white", mec=color, mew=1.2)
            marker = MARKERS[index % len(MARKERS)]
            axes.plot(*curve[-1:].T, marker, ms=7, mfc=color, mec="white", mew=0.8, zorder=5)
        axes.set(xlabel=f"{concepts[0]} (masked)", ylabel=concepts[1])
    left.set_title("measured")
    estimate = fitted.estimates["slope"]
    spread = f" ({estimate.low:.4f} to {estimate.high:.4f})" if estimate.seeds > 1 else ""
    right.set_title(f"Eq. 2, s = {estimate.value:.4f}{spread}")
    right.legend(title="masked prompts", loc="center left", bbox_to_anchor=(1.0, 0.5))
    note = f"Hollow: first checkpoint; large mark: last. Means of {fitted.seeds} seeds. "
    footnote(
        figure,
        note + f"ΔAICc against the best null: {fitted.margin:+.0f}; from 2 on Eq. 2 is preferred.",
    )
    if title:
        figure.suptitle(title, fontsize=9.5, fontweight="bold", color=INK)
    return figure
