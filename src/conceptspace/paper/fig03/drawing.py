"""Learning speed against concept signal (paper Fig. 3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from conceptspace.analysis.emergence import THRESHOLD, Emergence, survival
from conceptspace.presentation.style import CONCEPT_COLORS, GRID, INK, MUTED, footnote, styled

THOUSAND = 1000.0


@dataclass(frozen=True)
class Speed:
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
def speed_figure(panels: Mapping[str, Speed], *, title: str = "") -> Figure:
    """1 / (steps to the threshold) against the signal, one panel per concept.

    Args:
        panels: under the concept's name.
        title: above the figure.
    """
    figure = Figure(figsize=(3.4 * len(panels) + 0.4, 3.3), layout="constrained")
    for index, (axes, (concept, panel)) in enumerate(
        zip(figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True)
    ):
        _panel(axes, panel, CONCEPT_COLORS[index % len(CONCEPT_COLORS)])
        axes.set_title(f"{'abcdef'[index]}  {concept}")
        axes.set_xlabel("signal: mean squared pixel distance")
        axes.set_ylabel(f"1 / steps to {THRESHOLD:g} on the OOD class, × 1000")
    censored = any(not run.reached for p in panels.values() for of in p.runs for run in of)
    note = (
        "Dots: runs, with a line up to the checkpoint before; bar and line: one over the "
        "Kaplan-Meier median of a level's seeds."
    )
    if censored:
        note += " Arrow: not reached, the speed is lower than that."
    footnote(figure, f"{note} Small numbers: separation of the classes.")
    if title:
        figure.suptitle(title, fontsize=9.5, fontweight="bold", color=INK)
    return figure


def _panel(axes: Axes, panel: Speed, color: str) -> None:
    signal = np.asarray(panel.signal, dtype=np.float64)
    width = 0.018 * (float(np.ptp(signal)) or 1.0)
    medians: list[tuple[float, float]] = []
    top = 0.0
    for at, runs, label in zip(signal, panel.runs, panel.labels, strict=True):
        offsets = width * (np.arange(len(runs)) - (len(runs) - 1) / 2)
        for place, run in zip(at + offsets, runs, strict=True):
            top = max(top, _run(axes, float(place), run, color))
        median = survival(runs).median
        if np.isfinite(median):
            medians.append((float(at), THOUSAND / median))
            axes.hlines(THOUSAND / median, at - 2 * width, at + 2 * width, color=color, lw=3)
        axes.annotate(
            label,
            (float(at), 0),
            (0, 3),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            ha="center",
            fontsize=6.8,
            color=MUTED,
        )
    if medians:
        axes.plot(*np.array(medians).T, color=color, lw=1.3, alpha=0.7, zorder=1)
    axes.set(ylim=(0, 1.12 * top), xlim=(signal.min() - 5 * width, signal.max() + 5 * width))
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.grid(axis="y", color=GRID, lw=0.4)


def _run(axes: Axes, place: float, run: Emergence, color: str) -> float:
    """A dot, or a downward arrow from the speed that a censored run stays below.

    The line above a dot reaches to the speed of the checkpoint before. Returns the height to show.
    """
    if run.reached:
        speed = THOUSAND / run.upper
        fastest = THOUSAND / run.lower if run.lower > 0 else np.inf
        axes.vlines(place, speed, min(fastest, 2 * speed), color=color, lw=0.9, alpha=0.45)
        axes.plot(place, speed, "o", ms=4.4, mfc="white", mec=color, mew=1.1, zorder=4)
        return min(fastest, 1.3 * speed)
    limit = THOUSAND / run.lower if run.lower > 0 else THOUSAND / run.last
    arrow = {"arrowstyle": "-|>", "color": color, "lw": 1.1, "shrinkA": 0, "mutation_scale": 8}
    axes.plot(place, limit, "_", ms=5, color=color, mew=1.4, zorder=4)
    axes.annotate("", (place, limit * 0.55), (place, limit), arrowprops=arrow)
    return limit
