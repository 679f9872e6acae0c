"""What masked training prompts do to the OOD class (paper Fig. 8, and the ends of 9a)."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from conceptspace.analysis.underspecification import Level, Underspecification
from conceptspace.presentation.style import GRID, INK, MUTED, OOD, footnote, styled

SPREAD = 0.5
"""Width of the runs of one share, in gaps between shares."""


@styled
def underspecification_figure(
    found: Underspecification, labels: tuple[str, str] = ("bit 0", "bit 1"), *, title: str = ""
) -> Figure:
    """End coordinate and steps to the threshold against the share of masked prompts.

    Args:
        found: the analysis.
        labels: the masked concept's values, of bit 0 and of bit 1.
        title: above the figure.
    """
    figure = Figure(figsize=(7.4, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    _ends(left, found, labels)
    _steps(right, found)
    ticks = [100 * level.share for level in found.levels]
    margin = 0.4 * _gap(found)
    for axes in (left, right):
        axes.set_xticks(ticks, [f"{tick:g} %" for tick in ticks])
        axes.set(xlabel="masked prompts", xlim=(ticks[0] - margin, ticks[-1] + margin))
        axes.grid(axis="y", color=GRID, lw=0.4)
    several = any(len(level.runs) > 1 for level in found.levels)
    note = "Dots: runs."
    if several:
        note = "Dots: runs. a: line and bars, mean and 95 % bootstrap interval over seeds."
        note += " b: bars, Kaplan-Meier medians."
    if any(not run.reached for level in found.levels for run in level.runs):
        note += " Arrow: not reached by then."
    footnote(figure, note)
    if title:
        figure.suptitle(title, fontsize=9.5, fontweight="bold", color=INK)
    return figure


def _ends(axes: Axes, found: Underspecification, labels: tuple[str, str]) -> None:
    axes.set_title(f"a  {found.concept} of class {found.ood_class} at the end")
    shares = np.array([100 * level.share for level in found.levels])
    means = [level.coordinate.value for level in found.levels]
    axes.plot(shares, means, color=OOD, lw=1.8, zorder=3)
    for share, level in zip(shares, found.levels, strict=True):
        places = share + _jitter(len(level.ends), _gap(found))
        axes.plot(places, level.ends, "o", ms=4.2, mfc="white", mec=OOD, mew=1.0, zorder=4)
        estimate = level.coordinate
        if estimate.seeds > 1:
            axes.vlines(share, estimate.low, estimate.high, color=OOD, lw=3.5, alpha=0.4, zorder=2)
    axes.set(ylim=(-0.04, 1.04), ylabel=f"{found.concept}: {labels[0]} (0) → {labels[1]} (1)")


def _steps(axes: Axes, found: Underspecification) -> None:
    axes.set_title(f"b  steps to a joint accuracy of {found.threshold:g}")
    end = max(run.last for level in found.levels for run in level.runs)
    gap = _gap(found)
    for level in found.levels:
        share = 100 * level.share
        _runs(axes, level, share + _jitter(len(level.runs), gap), end * 1.1)
        if len(level.runs) > 1 and np.isfinite(level.steps.median):
            axes.hlines(
                level.steps.median,
                share - 0.25 * gap,
                share + 0.25 * gap,
                color=OOD,
                lw=3,
                zorder=3,
            )
    finite = [level for level in found.levels if np.isfinite(level.steps.median)]
    axes.plot(
        [100 * level.share for level in finite],
        [level.steps.median for level in finite],
        color=OOD,
        lw=1.2,
        alpha=0.6,
        zorder=2,
    )
    axes.axhline(end, color=MUTED, lw=0.7, ls=":", zorder=0)
    axes.set(ylim=(0, end * 1.16), ylabel="step")


def _runs(axes: Axes, level: Level, places: NDArray[np.float64], head: float) -> None:
    """A dot where a run arrived, an upward arrow from where it is known not to have."""
    for place, run in zip(places, level.runs, strict=True):
        if run.reached:
            axes.vlines(place, run.lower, run.upper, color=OOD, lw=1.0, alpha=0.5, zorder=2)
            axes.plot(place, run.upper, "o", ms=4.2, mfc="white", mec=OOD, mew=1.0, zorder=4)
            continue
        arrow = {"arrowstyle": "-|>", "color": OOD, "lw": 1.2, "shrinkA": 0, "mutation_scale": 8}
        axes.plot(place, run.lower, "_", ms=5, color=OOD, mew=1.4, zorder=4)
        axes.annotate("", (place, head), (place, run.lower), arrowprops=arrow)


def _gap(found: Underspecification) -> float:
    """The smallest distance between two shares, in percent."""
    return float(100 * np.diff([level.share for level in found.levels]).min())


def _jitter(count: int, gap: float) -> NDArray[np.float64]:
    """Small offsets that keep runs of one share apart, in percent."""
    apart = min(0.12, SPREAD / max(count - 1, 1)) * gap
    return np.asarray(apart * (np.arange(count) - (count - 1) / 2), dtype=np.float64)
