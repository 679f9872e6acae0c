"""When each capability emerged, as intervals between checkpoints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from conceptspace.analysis.elicitation import elicits, is_control, teaches
from conceptspace.presentation.style import (
    INK,
    MUTED,
    OOD,
    TRAIN,
    Step,
    footnote,
    mark_band,
    styled,
)
from conceptspace.tables import NAIVE


@dataclass(frozen=True)
class Emergence:
    """One bar of the timeline; bars with the same label share a row.

    Attributes:
        label: the row, e.g. ``"overprompting · color"``.
        lower: last checkpoint at which the capability was not there.
        upper: first checkpoint from which it stays; ignored if censored.
        censored: not reached by step ``lower``.
    """

    label: str
    lower: Step
    upper: Step
    censored: bool = False


@styled
def emergence_timeline(
    spans: Sequence[Emergence],
    *,
    turn: tuple[Step, Step] | None = None,
    last_step: Step | None = None,
    hollow: bool = False,
    title: str = "",
) -> Figure:
    """Intervals of emergence, one row per label; an arrow means not reached by the end.

    Args:
        spans: in the order of the rows, from the top; several runs repeat a label.
        turn: first and last step of the turn, as a vertical band.
        last_step: where training ended; otherwise the largest step among the spans.
        hollow: for a statistic that decides nothing.
        title: above the figure.
    """
    rows: dict[str, list[Emergence]] = {}
    for span in spans:
        rows.setdefault(span.label, []).append(span)
    end = last_step or max([s.lower if s.censored else s.upper for s in spans], default=1.0)
    lines = sum(len(row) for row in rows.values())
    height = 0.95 + 0.16 * len(rows) + 0.13 * lines + 0.2 * bool(title)
    figure = Figure(figsize=(6.2, height), layout="constrained")
    axes = figure.subplots()
    y, ticks = 0.0, []
    for index, row in enumerate(rows.values()):
        top = y
        for span in sorted(row, key=lambda s: (s.censored, s.lower, s.upper)):
            _bar(axes, span, y, end, hollow)
            y += 1.0
        ticks.append((top + y - 1) / 2)
        if index % 2:
            axes.axhspan(top - 1, y, color="#f4f4f4", lw=0, zorder=-1)
        y += 1.2
    mark_band(axes, turn, "turn")
    axes.axvline(end, color=MUTED, lw=0.7, ls=":", zorder=0)
    axes.set_yticks(ticks, list(rows))
    axes.set(ylim=(y - 0.9, -1.1), xlim=(0, end * 1.09), xlabel="step")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    note = "Bar, one per run: from the last checkpoint without to the first with the capability."
    if any(s.censored for s in spans):
        note += " Arrow: not reached by the end."
    if hollow:
        note += " Hollow: by a score that decides nothing."
    if any(is_control(s.label) for s in spans):
        note += " Gray: controls."
    if any(teaches(s.label) for s in spans):
        note += " Gray as well: taught the class itself."
    footnote(figure, note)
    if title:
        figure.suptitle(title, fontsize=9.5, fontweight="bold", color=INK)
    return figure


def _color(span: Emergence) -> str:
    if not elicits(span.label):
        return MUTED
    return TRAIN if span.label.startswith(NAIVE) else OOD


def _bar(axes: Axes, span: Emergence, y: float, end: Step, hollow: bool) -> None:
    color = _color(span)
    if span.censored:
        axes.plot([span.lower], [y], "|", color=color, ms=6, mew=1.6)
        arrow = {"arrowstyle": "-|>", "color": color, "lw": 1.4, "shrinkA": 0, "mutation_scale": 9}
        axes.annotate("", (end * 1.075, y), (span.lower, y), arrowprops=arrow)
        return
    ends = [span.lower, span.upper]
    axes.hlines(y, span.lower, span.upper, color=color, lw=3.2, alpha=0.45, zorder=2)
    if hollow:
        axes.hlines(y, span.lower, span.upper, color="white", lw=1.8, zorder=2.5)
    axes.plot(ends, [y, y], "|", color=color, ms=6, mew=1.6, zorder=3)
