"""Joint accuracy of the OOD class under every prompting protocol (paper Fig. 6, 10, 16, 17)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib.figure import Figure

from conceptspace.analysis.elicitation import teaches
from conceptspace.analysis.emergence import HOLD
from conceptspace.errors import UserError
from conceptspace.presentation.series import highest, series
from conceptspace.presentation.style import (
    GRID,
    INK,
    OOD,
    OOD_SHADES,
    TURN_INK,
    Step,
    footnote,
    mark_band,
    styled,
)
from conceptspace.tables import JOINT, NAIVE

COLUMNS = 3


@styled
def elicitation_figure(
    table: pd.DataFrame,
    ood_class: str,
    *,
    protocols: Sequence[str] = (),
    emergence: Mapping[str, Sequence[Step]] | None = None,
    threshold: float = 0.8,
    turn: tuple[Step, Step] | None = None,
    labels: Mapping[str, str] | None = None,
    title: str = "",
) -> Figure:
    """One panel per protocol: every run as a thin line, their mean as a thick one.

    Args:
        table: trajectories of one or more runs, columns ``store.TRAJECTORY_COLUMNS``. Where a
            protocol has several settings, each checkpoint shows its best, and the panel says so.
        ood_class: e.g. ``"11"``.
        protocols: which, in order; empty: naive, then the others by name.
        emergence: for each protocol the steps at which runs reached the threshold for good, one
            for each run that did.
        threshold: drawn as a line.
        turn: first and last step of a band to mark.
        labels: panel titles of protocols; otherwise their names.
        title: above the figure.
    """
    table = table[table["concept_class"] == ood_class]
    present = sorted(table["protocol"].unique(), key=lambda name: (name != NAIVE, name))
    chosen = list(protocols or present)
    if not chosen:
        raise UserError(f"the trajectory has no rows of class {ood_class}")
    settings = table.groupby("protocol")["setting"].nunique()
    table = highest(table)
    columns = 2 if len(chosen) == 4 else min(len(chosen), COLUMNS)
    rows = -(-len(chosen) // columns)
    figure = Figure(figsize=(2.6 * columns + 0.4, 2.35 * rows + 0.35), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    for axes, protocol in zip(panels.flat, chosen, strict=False):
        drawn = series(table, ood_class, JOINT, "accuracy", protocol)
        several = len(drawn.runs) > 1
        for index, run in enumerate(drawn.runs if several else ()):
            shade = OOD_SHADES[1 + index % 5]
            axes.plot(drawn.steps, run, color=shade, lw=0.7, alpha=0.75, zorder=3)
        if not several:
            axes.fill_between(drawn.steps, drawn.low, drawn.high, color=OOD, alpha=0.14, lw=0)
        axes.plot(drawn.steps, drawn.mean, color=OOD, lw=2.4, zorder=4)
        axes.axhline(threshold, color=INK, lw=0.8, ls=(0, (4, 3)), zorder=1)
        mark_band(axes, turn, "turn")
        times = list((emergence or {}).get(protocol, ()))
        if times:
            levels = [threshold] * len(times)
            axes.plot(times, levels, "v", ms=6, mfc="#ffd23f", mec=TURN_INK, mew=0.8, zorder=6)
        name = (labels or {}).get(protocol, protocol)
        axes.set_title(name, pad=12 if turn else 6)
        remark = f"best of {settings[protocol]} settings" if settings[protocol] > 1 else ""
        if teaches(protocol):
            remark = f"taught the class itself; {remark}".rstrip("; ")
        if emergence is not None and protocol in emergence:
            reached = f"reached by {len(times)} of {len(drawn.runs)} runs"
            remark = f"{remark}; {reached}" if remark else reached
        axes.set_xlabel(f"step\n{remark}".strip())
        axes.set(ylim=(-0.02, 1.04), xlim=(0, None))
        axes.tick_params(labelbottom=True)
        axes.grid(axis="y", color=GRID, lw=0.4)
    for unused in panels.flat[len(chosen) :]:
        unused.set_axis_off()
    figure.supylabel(f"joint accuracy of class {ood_class}", fontsize=8, color=INK)
    note = "Thin: each run; thick: their mean." if several else f"Shaded: {drawn.interval}."
    note += f" Dashed: {threshold:g}."
    if emergence is not None:
        note += f" Triangles: emergence of a run, the first of {HOLD} checkpoints at it or above."
    footnote(figure, note)
    if title:
        figure.suptitle(title, fontsize=9.5, fontweight="bold", color=INK)
    return figure
