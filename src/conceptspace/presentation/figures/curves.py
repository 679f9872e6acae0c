"""Loss and accuracies against steps (paper Fig. 1c, 12)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from conceptspace.analysis.emergence import HOLD
from conceptspace.analysis.trajectories import Array
from conceptspace.analysis.turning import Turn
from conceptspace.presentation.series import Series, highest, of_protocol, series
from conceptspace.presentation.style import (
    CONCEPT_COLORS,
    CONCEPT_DASHES,
    GRID,
    INK,
    MARKERS,
    MUTED,
    OOD_SHADES,
    SMALLEST,
    TRAIN_SHADES,
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
from conceptspace.space import ConceptSpace
from conceptspace.tables import JOINT, NAIVE

BINS = 200
COLUMNS = 2


@styled
def learning_curves(
    table: pd.DataFrame,
    training: pd.DataFrame | Sequence[pd.DataFrame] | None,
    space: ConceptSpace,
    *,
    protocol: str = NAIVE,
    threshold: float = 0.8,
    turn: Turn | None = None,
    emergence: Mapping[str, Sequence[Step]] | None = None,
    title: str = "",
    subtitle: str = "",
) -> Figure:
    """Loss, joint accuracy of every class, and the accuracy of each concept in every OOD class.

    Args:
        table: trajectories of one or more runs, columns
            :data:`conceptspace.tables.TRAJECTORY_COLUMNS`.
        training: ``Run.training()`` of one or more runs; None leaves the loss out.
        space: the concepts, and which classes train.
        protocol: whose accuracies; the best setting of each checkpoint if it has several.
        threshold: drawn as a line.
        turn: of the trajectory; drawn if it is detected.
        emergence: for each concept the steps at which runs reached the threshold for good in the
            OOD class (of a space with one), one for each run that did.
        title: above the figure, neutral.
        subtitle: below the title; what was found, in words.
    """
    turn = detected(turn)
    table = highest(of_protocol(table, protocol))
    measured = set(table["concept_class"])
    ood_classes = [name for name in space.ood_classes if name in measured]
    losses = [training] if isinstance(training, pd.DataFrame) else list(training or [])
    count = bool(losses) + 1 + len(ood_classes)
    columns = min(count, COLUMNS)
    rows = -(-count // columns)
    width = WIDTH if columns > 1 else 0.6 * WIDTH
    figure = Figure(figsize=(width, 3.2 * rows + 0.8), layout="constrained")
    panels = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axes in panels[count:]:
        axes.set_axis_off()
    notes = []
    if losses:
        notes.append(loss_panel(panels[0], losses))
    for axes, ood in zip(panels[bool(losses) : count], (None, *ood_classes), strict=True):
        interval = accuracy_panel(axes, table, space, protocol, ood, emergence or {}, threshold)
        axes.legend(loc="upper left", bbox_to_anchor=(-0.04, -0.2), handlelength=2.2)
        if ood is None:
            notes.append(f"Shaded: {interval}.")
    for letter, axes in zip("abcdefghijklmnopqrstuvwxyz", panels[:count], strict=False):
        axes.set_title(f"{letter}  {axes.get_title(loc='left')}", pad=13 if turn else 6)
        axes.set_xlabel("step")
        mark(axes, turn)
        axes.set_xlim(left=0)
    if any((emergence or {}).values()) and ood_classes:
        notes.append(
            f"Discs: emergence of a run, the first of {HOLD} checkpoints at {threshold:g} or "
            "above; a number counts runs."
        )
    notes += [turn_note(turn)] if turn else []
    footnote(figure, " ".join(notes))
    heading(figure, title, subtitle)
    return figure


def accuracy_panel(
    axes: Axes,
    table: pd.DataFrame,
    space: ConceptSpace,
    protocol: str,
    ood: str | None,
    emergence: Mapping[str, Sequence[Step]] = MappingProxyType({}),
    threshold: float | None = None,
) -> str:
    """Joint accuracy of every class, or the concepts of one OOD class; returns the interval."""
    drawn: Series
    if ood is None:
        axes.set_title("all classes")
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
            label, color = concept, CONCEPT_COLORS[index]
            if concept in emergence:
                label += f" (reached by {len(emergence[concept])} of {len(drawn.runs)} runs)"
            _line(axes, drawn, color, label, True, CONCEPT_DASHES[index])
            if threshold is not None:
                counted(axes, [(float(t), threshold) for t in emergence.get(concept, ())], color)
        drawn = series(table, ood, JOINT, "accuracy", protocol)
        _line(axes, drawn, OOD_SHADES[0], "joint: all at once", False, "-")
    what = "joint accuracy" if ood is None else f"accuracy on class {ood}"
    axes.set(ylim=(-0.02, 1.02), ylabel=what)
    if threshold is not None:
        _threshold(axes, threshold)
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
        fontsize=SMALLEST,
        color=MUTED,
    )


def loss_panel(axes: Axes, losses: Sequence[pd.DataFrame]) -> str:
    """The running mean of the loss; of several runs each, thin, and their mean; returns a note.

    A fixed noise schedule has a constant reconstruction term that dwarfs the rest; then the
    diffusion term is drawn alone.
    """
    constant = all(
        {"diffusion", "reconstruction"} <= set(table) and table["reconstruction"].nunique() == 1
        for table in losses
    )
    binned = [_binned(table, "diffusion" if constant else "loss") for table in losses]
    means = [np.array([part.mean() for part in parts]) for _, parts, _ in binned]
    steps, parts, window = binned[0]
    note = "Loss" + (f": running mean over {window} steps" if window > 1 else " as logged")
    if len(losses) == 1:
        low, high = np.array([np.percentile(p, (10, 90)) for p in parts]).T
        axes.fill_between(steps, low, high, color=MUTED, alpha=0.2, lw=0)
        axes.plot(steps, means[0], color=INK, lw=1.4)
        note += ", gray: 10 to 90 % of batches"
    else:
        for (at, _, _), mean in zip(binned, means, strict=True):
            axes.plot(at, mean, color=MUTED, lw=0.5, alpha=0.5)
        note += f", gray: each of {len(losses)} runs"
        if all(np.array_equal(at, steps) for at, _, _ in binned):
            axes.plot(steps, np.mean(means, axis=0), color=INK, lw=1.5)
            note += ", black: their mean"
    if constant:
        note += f"; without the reconstruction term, {losses[0]['reconstruction'].iloc[0]:.1f} "
        note += "throughout"
    drawn = np.concatenate(means)
    if 0 < 3 * drawn.min() < drawn.max():
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
    what = "diffusion loss" if constant else "loss"
    axes.set_title(what)
    bits = "diffusion" in losses[0]
    axes.set_ylabel("bits per dimension" if bits else what)
    axes.grid(axis="y", color=GRID)
    return f"{note}."


def _binned(table: pd.DataFrame, column: str) -> tuple[Array, list[Array], int]:
    """A loss cut into at most 200 windows: their mean steps, their losses, their length."""
    steps, loss = (table[c].to_numpy(dtype=float) for c in ("step", column))
    keep = np.isfinite(loss)
    steps, loss = steps[keep], loss[keep]
    window = max(1, -(-len(loss) // BINS))
    cuts = np.arange(window, len(loss), window)
    parts = np.split(loss, cuts)
    return np.array([p.mean() for p in np.split(steps, cuts)]), parts, window
