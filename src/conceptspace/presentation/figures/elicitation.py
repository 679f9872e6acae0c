"""Joint accuracy of the OOD class under every prompting protocol (paper Fig. 6, 10, 16, 17)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from conceptspace.analysis.elicitation import teaches
from conceptspace.analysis.emergence import HOLD
from conceptspace.analysis.turning import Turn
from conceptspace.errors import UserError
from conceptspace.presentation.series import Series, highest, series
from conceptspace.presentation.style import (
    GRID,
    INK,
    OOD,
    SMALLEST,
    TURN_INK,
    WIDTH,
    Step,
    counted,
    detected,
    footnote,
    heading,
    mark,
    styled,
    turn_note,
)
from conceptspace.tables import JOINT, NAIVE, PROBE

COLUMNS = 3
FOOT = 0.16
"""Height of the hollow marks under the threshold, so that they never cover the full ones."""


@dataclass(frozen=True)
class Drawn:
    """The curves of one panel.

    Attributes:
        accuracy: of every run.
        fair: whether its settings were chosen on other images; a single one needs no choice.
        plain: the best setting by the plain probe, where it is known.
    """

    accuracy: Series
    fair: bool
    plain: Series | None


@styled
def elicitation_figure(
    table: pd.DataFrame,
    ood_class: str,
    *,
    best: pd.DataFrame | None = None,
    protocols: Sequence[str] = (),
    emergence: Mapping[str, Sequence[Step]] | None = None,
    plain: Mapping[str, Sequence[Step]] | None = None,
    threshold: float = 0.8,
    turn: Turn | None = None,
    labels: Mapping[str, str] | None = None,
    title: str = "",
    subtitle: str = "",
) -> Figure:
    """One panel per protocol: every run as a thin line, their mean as a thick one.

    Full: settings chosen on some images and scored on others, by the judge. Dashed: the best of
    several settings by the very score that is drawn. Hollow: the plain probe.

    Args:
        table: trajectories of one or more runs, columns
            :data:`conceptspace.tables.TRAJECTORY_COLUMNS`.
        ood_class: e.g. ``"11"``.
        best: of the same runs, see :func:`conceptspace.analysis.elicitation.best_settings`; without
            it, each checkpoint of a protocol with several settings shows its best one.
        protocols: which, in order; empty: naive, then the others by name.
        emergence: for each protocol the steps at which runs reached the threshold for good, one
            for each run that did.
        plain: the same by the plain probe, best of the sweep.
        threshold: drawn as a line.
        turn: of the trajectory; drawn if it is detected.
        labels: panel titles of protocols; otherwise their names.
        title: above the figure, neutral.
        subtitle: below the title; what was found, in words.
    """
    turn = detected(turn)
    table = table[table["concept_class"] == ood_class]
    present = sorted(table["protocol"].unique(), key=lambda name: (name != NAIVE, name))
    chosen = list(protocols or present)
    if not chosen:
        raise UserError(f"the trajectory has no rows of class {ood_class}")
    settings = table.groupby("protocol")["setting"].nunique()
    columns = 2 if len(chosen) in (2, 4) else min(len(chosen), COLUMNS)
    rows = -(-len(chosen) // columns)
    width = WIDTH if columns > 1 else 0.6 * WIDTH
    figure = Figure(figsize=(width, 2.45 * rows + 0.9), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    curves = {
        protocol: _curves(table, best, ood_class, protocol, int(settings.get(protocol, 0)))
        for protocol in chosen
    }
    for axes, (protocol, drawn) in zip(panels.flat, curves.items(), strict=False):
        _panel(axes, drawn)
        axes.axhline(threshold, color=INK, lw=0.8, ls=(0, (4, 3)), zorder=1)
        mark(axes, turn)
        full, hollow = (emergence or {}).get(protocol), (plain or {}).get(protocol)
        counted(axes, [(float(t), threshold - FOOT) for t in hollow or ()], TURN_INK, hollow=True)
        counted(axes, [(float(t), threshold) for t in full or ()], TURN_INK)
        axes.set_title((labels or {}).get(protocol, protocol), pad=13 if turn else 6)
        several = int(settings.get(protocol, 0))
        remarks = _remarks(protocol, drawn, several, full, hollow)
        axes.set_xlabel("\n".join(["step", *remarks]), fontsize=SMALLEST)
        axes.set(ylim=(-0.02, 1.04), xlim=(0, None), yticks=np.linspace(0, 1, 6))
        axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
        axes.tick_params(labelbottom=True)
        axes.grid(axis="y", color=GRID, lw=0.4)
    for unused in panels.flat[len(chosen) :]:
        unused.set_axis_off()
    figure.supylabel(f"joint accuracy of class {ood_class}", fontsize=9, color=INK)
    marked = [any(steps.values()) for steps in (emergence or {}, plain or {})]
    footnote(figure, _note(list(curves.values()), threshold, marked, turn))
    heading(figure, title, subtitle)
    return figure


def _curves(
    table: pd.DataFrame, best: pd.DataFrame | None, ood: str, protocol: str, settings: int
) -> Drawn:
    kept = None if best is None else best[best["protocol"] == protocol]
    if kept is None or kept.empty:
        rows = highest(table[table["protocol"] == protocol])
        return Drawn(series(rows, ood, JOINT, "accuracy", protocol), settings < 2, None)
    known = kept[kept["concept"] == JOINT][PROBE].notna().all()
    probe = series(kept, ood, JOINT, PROBE, protocol) if known else None
    return Drawn(series(kept, ood, JOINT, "honest", protocol), True, probe)


def _panel(axes: Axes, drawn: Drawn) -> None:
    own = drawn.accuracy
    dash = "-" if drawn.fair else (0, (4, 2))
    for run in own.runs if len(own.runs) > 1 else ():
        axes.plot(own.steps, run, color=OOD, ls=dash, lw=0.7, alpha=0.45, zorder=3)
    if len(own.runs) == 1:
        axes.fill_between(own.steps, own.low, own.high, color=OOD, alpha=0.14, lw=0)
    axes.plot(own.steps, own.mean, color=OOD, ls=dash, lw=2.4, zorder=4)
    if drawn.plain is not None:
        style: dict[str, Any] = {"marker": "o", "ms": 2.6, "mfc": "white", "mew": 0.7, "lw": 0.6}
        axes.plot(drawn.plain.steps, drawn.plain.mean, color=INK, zorder=5, **style)


def _remarks(
    protocol: str,
    drawn: Drawn,
    settings: int,
    full: Sequence[Step] | None,
    hollow: Sequence[Step] | None,
) -> list[str]:
    """What stands below a panel: settings, and how many runs got there."""
    lines = []
    if settings > 1:
        chosen = "one of {} settings, by other images" if drawn.fair else "best of {} settings"
        lines.append(chosen.format(settings))
    if teaches(protocol):
        lines.append("taught the class itself")
    if full is not None:
        text = f"reached by {len(full)} of {len(drawn.accuracy.runs)} runs"
        lines.append(text if hollow is None else f"{text}, plain {len(hollow)}")
    return lines


def _note(
    curves: Sequence[Drawn], threshold: float, marked: Sequence[bool], turn: Turn | None
) -> str:
    full, hollow = marked
    first = curves[0].accuracy
    several = len(first.runs) > 1
    parts = [
        f"Thin: each of {len(first.runs)} runs; thick: their mean."
        if several
        else f"Shaded: {first.interval}."
    ]
    if not all(drawn.fair for drawn in curves):
        parts.append("Dashed magenta: best of its settings by its own score, which flatters it.")
    if any(drawn.plain is not None for drawn in curves):
        parts.append("Small hollow marks: plain probe, best setting" + (", mean." * several or "."))
    parts.append(f"Dashed black: {threshold:g}.")
    if full:
        parts.append(
            f"Discs on it: emergence of a run, the first of {HOLD} checkpoints at it or above; "
            "a number counts runs."
        )
    if hollow:
        parts.append('Hollow discs below, and "plain": the same by the plain probe.')
    if turn is not None:
        parts.append(turn_note(turn))
    return " ".join(parts)
