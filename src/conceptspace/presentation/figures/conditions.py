"""Learning trajectories of several conditions, side by side (paper Fig. 4, 9a, 13)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import ArrayLike

from conceptspace.errors import UserError
from conceptspace.presentation.figures.square import color_of, corner_classes, unit_square
from conceptspace.presentation.figures.strokes import gradient_line
from conceptspace.presentation.series import Series, highest, of_protocol, series, smooth
from conceptspace.presentation.style import INK, MARKERS, footnote, styled
from conceptspace.space import ConceptSpace
from conceptspace.tables import NAIVE

COLUMNS = 2
PAIR = (0, 1)


def shades(count: int) -> list[str]:
    """Colors of ordered conditions: dark violet to yellow green, distinct in gray as well."""
    ramp = matplotlib.colormaps["viridis"]
    return [matplotlib.colors.to_hex(ramp(at)) for at in np.linspace(0, 0.88, max(count, 2))][
        :count
    ]


@styled
def conditions_figure(
    tables: Mapping[str, pd.DataFrame],
    space: ConceptSpace,
    class_images: Mapping[str, ArrayLike],
    *,
    label: str,
    classes: Sequence[str] = (),
    protocol: str = NAIVE,
    smoothing: float = 1.0,
    title: str = "",
) -> Figure:
    """One unit square per class; in it one trajectory per condition, the mean over its runs.

    Args:
        tables: of each condition, in order, the trajectories of one or more runs.
        space: at least two concepts; the squares show the first two.
        class_images: an image of each class, shape (3, H, W) or (H, W, 3) in [0, 1].
        label: what the conditions are values of, e.g. ``"color separation"``.
        classes: which; empty: the OOD classes.
        protocol: whose curves; the best setting of each checkpoint if it has several.
        smoothing: standard deviation, in checkpoints, of the Gaussian average drawn as the line.
        title: above the figure.

    Raises:
        UserError: there is no class to show, or only one concept.
    """
    shown = list(classes or map(str, space.ood_classes))
    if len(space.concepts) < 2 or not shown:
        raise UserError("trajectories are compared over two concepts and at least one class")
    best = {name: highest(of_protocol(table, protocol)) for name, table in tables.items()}
    columns = min(len(shown), COLUMNS)
    rows = -(-len(shown) // columns)
    side = 5.2 if len(shown) == 1 else 3.9
    figure = Figure(figsize=(columns * side + 1.2, rows * side + 0.35), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False)
    colors = dict(zip(best, shades(len(best)), strict=True))
    for axes, name in zip(panels.flat, shown, strict=False):
        unit_square(axes, space, PAIR)
        corner_classes(axes, space, PAIR, class_images)
        for index, (condition, table) in enumerate(best.items()):
            pair = [series(table, name, space.names[i], "coordinate", protocol) for i in PAIR]
            _curve(axes, pair, colors[condition], MARKERS[index % len(MARKERS)], smoothing)
        if len(shown) > 1:
            kind = "OOD" if name in space.ood_classes else "training"
            heading = f"class {name}: {space.describe(name)} ({kind})"
            axes.set_title(heading, color=color_of(space, name), loc="center")
    for unused in panels.flat[len(shown) :]:
        unused.set_axis_off()
    _legend(figure, colors, label)
    runs = {len(table["run"].unique()) for table in best.values()}
    footnote(figure, _note(runs, smoothing))
    if title:
        figure.suptitle(title, fontsize=9.5, fontweight="bold", color=INK)
    return figure


def _curve(axes: Axes, pair: Sequence[Series], color: str, marker: str, smoothing: float) -> None:
    raw = np.stack([c.mean for c in pair])
    line = smooth(raw, smoothing)
    one = ListedColormap([color])
    gradient_line(axes, line.T, one, np.zeros(line.shape[1]), 2.0, 5.0)
    axes.scatter(raw[0], raw[1], color=color, s=5, lw=0, alpha=0.55, zorder=4)
    axes.plot(*line[:, :1], "o", ms=5.5, mfc="white", mec=color, mew=1.3, zorder=7)
    axes.plot(*line[:, -1:], marker, ms=7.5, mfc=color, mec="white", mew=0.9, zorder=8)


def _legend(figure: Figure, colors: Mapping[str, str], label: str) -> None:
    lines = [
        Line2D([], [], color=color, lw=2, marker=MARKERS[i % len(MARKERS)], ms=6, mec="white")
        for i, color in enumerate(colors.values())
    ]
    figure.legend(
        lines,
        list(colors),
        title=label,
        loc="outside right center",
        title_fontsize=7.5,
        handlelength=2.4,
    )


def _note(runs: set[int], smoothing: float) -> str:
    parts = ["Hollow: first checkpoint; large mark: last; small dots: raw means."]
    if smoothing > 0:
        parts.append(
            f"Lines are smoothed for drawing (Gaussian over neighboring checkpoints, σ = "
            f"{smoothing:g})."
        )
    if runs != {1}:
        low, high = min(runs), max(runs)
        count = f"{low}" if low == high else f"{low} to {high}"
        parts.append(f"Each curve is the mean of {count} runs.")
    return " ".join(parts)
