"""What masked training prompts do to the OOD class (paper Fig. 8, and the ends of 9a)."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from conceptspace.analysis.emergence import HOLD
from conceptspace.analysis.underspecification import Level, Underspecification
from conceptspace.presentation.series import over_runs
from conceptspace.presentation.style import (
    GRID,
    MUTED,
    OOD,
    SMALL,
    WIDTH,
    counted,
    footnote,
    heading,
    styled,
)


@styled
def underspecification_figure(
    found: Underspecification,
    labels: tuple[str, str] = ("bit 0", "bit 1"),
    *,
    title: str = "",
    subtitle: str = "",
) -> Figure:
    """End coordinate and steps to the threshold against the share of masked prompts.

    Args:
        found: the analysis.
        labels: the masked concept's values, of bit 0 and of bit 1.
        title: above the figure, neutral.
        subtitle: below the title; what was found, in words.
    """
    figure = Figure(figsize=(WIDTH, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    _ends(left, found, labels)
    _steps(right, found)
    ticks = [100 * level.share for level in found.levels]
    margin = 0.4 * _gap(found)
    names = [
        f"{tick:g} %\nn = {len(level.runs)}"
        for tick, level in zip(ticks, found.levels, strict=True)
    ]
    for axes in (left, right):
        axes.set_xticks(ticks, names)
        axes.set(xlabel="prompts without the concept; n: runs")
        axes.set_xlim(ticks[0] - margin, ticks[-1] + margin)
        axes.grid(axis="y", color=GRID, lw=0.4)
    footnote(figure, _note(found))
    heading(figure, title, subtitle)
    return figure


def _note(found: Underspecification) -> str:
    counts = [len(level.runs) for level in found.levels]
    parts = ["Rings: runs at the last checkpoint (a); where they emerged, the first of"]
    parts[0] += f" {HOLD} checkpoints at {found.threshold:g} or above (b); a number counts runs."
    if max(counts) > 1:
        parts.append("a: line, mean" + ("; bars, its 95 % Student interval." * (max(counts) > 2)))
        parts[-1] = parts[-1].rstrip(".") + "."
    if max(counts) > 1 and any(np.isfinite(level.steps.median) for level in found.levels):
        parts.append("b: short bars, Kaplan-Meier medians.")
    if any(not run.reached for level in found.levels for run in level.runs):
        parts.append("Arrow: not reached by the end of training (dotted), and in how many runs.")
    return " ".join(parts)


def _ends(axes: Axes, found: Underspecification, labels: tuple[str, str]) -> None:
    axes.set_title(f"a  {found.concept} of class {found.ood_class} at the end")
    shares = np.array([100 * level.share for level in found.levels])
    axes.plot(shares, [np.mean(level.ends) for level in found.levels], color=OOD, lw=1.6, zorder=3)
    for share, level in zip(shares, found.levels, strict=True):
        ends = [(float(share), float(end)) for end in level.ends]
        counted(axes, ends, OOD, hollow=True, apart=0.03)
        if len(level.ends) > 2:
            low, high = over_runs(np.array(level.ends)[:, None])
            axes.vlines(share, low, high, color=OOD, lw=5, alpha=0.3, zorder=2)
    axes.set(ylim=(-0.06, 1.06), ylabel=f"{found.concept}: {labels[0]} (0) → {labels[1]} (1)")


def _steps(axes: Axes, found: Underspecification) -> None:
    axes.set_title(f"b  steps to a joint accuracy of {found.threshold:g}")
    end = max(run.last for level in found.levels for run in level.runs)
    gap = _gap(found)
    for level in found.levels:
        share = 100 * level.share
        _runs(axes, level, share, end)
        if len(level.runs) > 1 and np.isfinite(level.steps.median):
            place = (share - 0.22 * gap, share + 0.22 * gap)
            axes.hlines(level.steps.median, *place, color=OOD, lw=3, alpha=0.6, zorder=3)
    axes.axhline(end, color=MUTED, lw=0.7, ls=":", zorder=0)
    axes.set(ylim=(0, end * 1.22), ylabel=f"step of emergence of class {found.ood_class}")


def _runs(axes: Axes, level: Level, share: float, end: float) -> None:
    """A ring where runs arrived, one arrow for all that did not, with their number."""
    reached = [run for run in level.runs if run.reached]
    for run in reached:
        axes.vlines(share, run.lower, run.upper, color=OOD, lw=1.0, alpha=0.5, zorder=2)
    counted(axes, [(share, float(run.upper)) for run in reached], OOD, hollow=True)
    missing = len(level.runs) - len(reached)
    if missing:
        arrow = {"arrowstyle": "-|>", "color": OOD, "lw": 1.3, "shrinkA": 0, "mutation_scale": 9}
        axes.annotate("", (share, 1.12 * end), (share, end), arrowprops=arrow)
        text: dict[str, Any] = {"ha": "center", "va": "bottom", "fontsize": SMALL, "color": OOD}
        axes.text(share, 1.125 * end, str(missing), **text)


def _gap(found: Underspecification) -> float:
    """The smallest distance between two shares, in percent."""
    return float(100 * np.diff([level.share for level in found.levels]).min())
