"""Loss and accuracies against steps (paper Fig. 1c, 12)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from conceptspace.presentation.series import Array, Series, highest, of_protocol, series
from conceptspace.presentation.style import (
    CONCEPT_COLORS,
    CONCEPT_DASHES,
    GRID,
    INK,
    MARKERS,
    MUTED,
    OOD_SHADES,
    TRAIN_SHADES,
    Step,
    footnote,
    mark_band,
    styled,
)
from conceptspace.space import ConceptSpace
from conceptspace.tables import JOINT, NAIVE

BINS = 200
COLUMNS = 3


@styled
def learning_curves(
    table: pd.DataFrame,
    training: pd.DataFrame | Sequence[pd.DataFrame] | None,
    space: ConceptSpace,
    *,
    protocol: str = NAIVE,
    threshold: float = 0.8,
    turn: tuple[Step, Step] | None = None,
    title: str = "",
) -> Figure:
    """Loss, joint accuracy of every class, and the accuracy of each concept in every OOD class.

    Args:
        table: trajectories of one or more runs, columns ``store.TRAJECTORY_COLUMNS``.
        training: ``Run.training()`` of one or more runs; None leaves the loss out.
        space: the concepts, and which classes train.
        protocol: whose accuracies; the best setting of each checkpoint if it has several.
        threshold: drawn as a line.
        turn: first and last step of a band to mark.
        title: above the figure.
    """
    table = highest(of_protocol(table, protocol))
    measured = set(table["concept_class"])
    ood_classes = [name for name in space.ood_classes if name in measured]
    losses = [training] if isinstance(training, pd.DataFrame) else list(training or [])
    count = bool(losses) + 1 + len(ood_classes)
    columns = min(count, COLUMNS)
    rows = -(-count // columns)
    figure = Figure(figsize=(2.9 * columns + 0.4, 2.7 * rows + 0.3), layout="constrained")
    panels = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axes in panels[count:]:
        axes.set_axis_off()
    if losses:
        loss_panel(panels[0], losses)
        mark_band(panels[0], turn, "turn")
    interval = ""
    for axes, ood in zip(panels[bool(losses) : count], (None, *ood_classes), strict=True):
        interval = accuracy_panel(axes, table, space, protocol, ood)
        _threshold(axes, threshold)
        mark_band(axes, turn, "turn")
    for letter, axes in zip("abcdefghijklmnopqrstuvwxyz", panels[:count], strict=False):
        axes.set_title(f"{letter}  {axes.get_title(loc='left')}", pad=12 if turn else 6)
        axes.set_xlabel("step")
        axes.set_xlim(left=0)
    footnote(figure, f"Shaded: {interval}.")
    if title:
        figure.suptitle(title, fontsize=9.5, fontweight="bold", color=INK)
    return figure


def accuracy_panel(
    axes: Axes, table: pd.DataFrame, space: ConceptSpace, protocol: str, ood: str | None
) -> str:
    """Joint accuracy of every class, or the concepts of one OOD class; returns the interval."""
    drawn: Series
    if ood is None:
        axes.set_title("joint accuracy of each class")
        shades = {c: TRAIN_SHADES[i % 6] for i, c in enumerate(space.train_classes)}
        shades |= {c: OOD_SHADES[i % 6] for i, c in enumerate(space.ood_classes)}
        measured = set(table["concept_class"])
        for index, name in enumerate(c for c in space.classes if c in measured):
            drawn = series(table, name, JOINT, "accuracy", protocol)
            label = f"{name} {space.describe(name)}"
            if name in space.ood_classes:
                label += " (OOD)"
            marker = MARKERS[index % len(MARKERS)]
            _line(axes, drawn, shades[name], label, name in space.ood_classes, "-", marker)
    else:
        axes.set_title(f"OOD class {ood}: {space.describe(ood)}")
        for index, concept in enumerate(space.names):
            drawn = series(table, ood, concept, "accuracy", protocol)
            _line(axes, drawn, CONCEPT_COLORS[index], concept, True, CONCEPT_DASHES[index])
        drawn = series(table, ood, JOINT, "accuracy", protocol)
        _line(axes, drawn, OOD_SHADES[0], JOINT, False, "-")
    axes.set(ylim=(-0.02, 1.02), ylabel="accuracy")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2, handlelength=2.4)
    return drawn.interval


def _line(
    axes: Axes,
    drawn: Series,
    color: str,
    label: str,
    strong: bool,
    dashes: object,
    marker: str | None = None,
) -> None:
    axes.fill_between(drawn.steps, drawn.low, drawn.high, color=color, alpha=0.14, lw=0)
    axes.plot(
        drawn.steps,
        drawn.mean,
        color=color,
        label=label,
        linestyle=dashes,
        lw=2.0 if strong else 1.3,
        marker=marker,
        markevery=max(1, len(drawn.steps) // 8),
        ms=3.8,
        mec="white",
        mew=0.4,
        zorder=4 if strong else 3,
    )


def _threshold(axes: Axes, threshold: float) -> None:
    axes.axhline(threshold, color=MUTED, lw=0.8, ls=(0, (4, 3)), zorder=1)
    axes.annotate(
        f"{threshold:g}",
        (1, threshold),
        (2, 0),
        xycoords=axes.get_yaxis_transform(),
        textcoords="offset points",
        va="center",
        fontsize=7,
        color=MUTED,
    )


def loss_panel(axes: Axes, losses: Sequence[pd.DataFrame]) -> None:
    """The running mean of each run's loss, with the spread of single batches behind it.

    A fixed noise schedule has a constant reconstruction term that dwarfs the rest; then the
    diffusion term is drawn alone.
    """
    constant = all(
        {"diffusion", "reconstruction"} <= set(table) and table["reconstruction"].nunique() == 1
        for table in losses
    )
    column = "diffusion" if constant else "loss"
    window, means = 1, []
    for table in losses:
        steps, parts, window = _binned(table, column)
        low, high = np.array([np.percentile(p, (10, 90)) for p in parts]).T
        means.append(np.array([p.mean() for p in parts]))
        alone = len(losses) == 1
        axes.fill_between(steps, low, high, color=MUTED, alpha=0.2 if alone else 0.08, lw=0)
        axes.plot(steps, means[-1], color=INK, lw=1.4 if alone else 0.9)
    drawn = np.concatenate(means)
    if 0 < 3 * drawn.min() < drawn.max():
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_title("loss: diffusion term" if constant else "loss")
    axes.set_ylabel("bits per dimension" if "diffusion" in losses[0] else "loss")
    axes.grid(axis="y", color=GRID)
    text = f"line: running mean of {window} steps\nband: 10 to 90 % of batches"
    if constant:
        text += f"\nreconstruction: {losses[0]['reconstruction'].iloc[0]:.1f} throughout"
    axes.text(0.97, 0.97, text, transform=axes.transAxes, ha="right", va="top", fontsize=6.8)


def _binned(table: pd.DataFrame, column: str) -> tuple[Array, list[Array], int]:
    """A loss cut into at most 200 windows: their mean steps, their losses, their length."""
    steps, loss = (table[c].to_numpy(dtype=float) for c in ("step", column))
    keep = np.isfinite(loss)
    steps, loss = steps[keep], loss[keep]
    window = max(1, -(-len(loss) // BINS))
    cuts = np.arange(window, len(loss), window)
    parts = np.split(loss, cuts)
    return np.array([p.mean() for p in np.split(steps, cuts)]), parts, window
