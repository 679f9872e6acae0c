"""Learning trajectories of several conditions, side by side (paper Fig. 4, 9a, 13)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import ArrayLike

from conceptspace.analysis.steps import from_to
from conceptspace.errors import UserError
from conceptspace.presentation.figures.square import (
    color_of,
    corner_classes,
    corner_rows,
    unit_square,
)
from conceptspace.presentation.figures.strokes import gradient_line
from conceptspace.presentation.series import Series, highest, of_protocol, series
from conceptspace.presentation.style import (
    MARKERS,
    WIDTH,
    footnote,
    heading,
    panels_over_legend,
    styled,
)
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
    class_images: Mapping[str, ArrayLike] | Mapping[str, Mapping[str, ArrayLike]],
    *,
    label: str,
    classes: Sequence[str] = (),
    protocol: str = NAIVE,
    title: str = "",
    subtitle: str = "",
) -> Figure:
    """One unit square per class; in it one trajectory per condition, the mean over its runs.

    Args:
        tables: of each condition, in order, the trajectories of one or more runs.
        space: at least two concepts; the squares show the first two.
        class_images: an image of each class, shape (3, H, W) or (H, W, 3) in [0, 1]; or such
            images for each condition, which then all stand at the corners.
        label: what the conditions are values of, e.g. ``"color separation"``.
        classes: which; empty: the OOD classes.
        protocol: whose curves; the best setting of each checkpoint if it has several.
        title: above the figure, neutral.
        subtitle: below the title; what was found, in words.

    Raises:
        UserError: there is no class to show, or only one concept.
    """
    shown = list(classes or map(str, space.ood_classes))
    if len(space.concepts) < 2 or not shown:
        raise UserError("trajectories are compared over two concepts and at least one class")
    best = {name: highest(of_protocol(table, protocol)) for name, table in tables.items()}
    columns = min(len(shown), COLUMNS)
    rows = -(-len(shown) // columns)
    side = WIDTH / columns if columns > 1 else 0.75 * WIDTH
    figure = Figure(figsize=(columns * side, rows * side + 1.3), layout="constrained")
    colors = dict(zip(best, shades(len(best)), strict=True))
    handles = _handles(colors)
    panels = panels_over_legend(figure, rows, columns, handles, title=label, ncols=len(handles))
    corners: Any = class_images
    by_condition = any(isinstance(value, Mapping) for value in class_images.values())
    for axes, name in zip(panels.flat, shown, strict=False):
        unit_square(axes, space, PAIR)
        if by_condition:
            corner_rows(axes, space, PAIR, corners, colors)
        else:
            corner_classes(axes, space, PAIR, corners)
        for index, (condition, table) in enumerate(best.items()):
            pair = [series(table, name, space.names[i], "coordinate", protocol) for i in PAIR]
            _curve(axes, pair, colors[condition], MARKERS[index % len(MARKERS)])
        if len(shown) > 1:
            kind = "OOD" if name in space.ood_classes else "training"
            heading_ = f"class {name}: {space.describe(name)} ({kind})"
            axes.set_title(heading_, color=color_of(space, name), loc="center")
    for unused in panels.flat[len(shown) :]:
        unused.set_axis_off()
    footnote(figure, _note([table["run"].nunique() for table in best.values()]))
    heading(figure, title, subtitle)
    return figure


def _curve(axes: Axes, pair: Sequence[Series], color: str, marker: str) -> None:
    line = np.stack([c.mean for c in pair])
    if len(pair[0].runs) > 1:
        for seed in np.stack([c.runs for c in pair], axis=1):
            axes.plot(*seed, color=color, lw=0.5, alpha=0.3, zorder=3)
    one = ListedColormap([color])
    gradient_line(axes, line.T, one, np.zeros(line.shape[1]), 1.9, 5.0)
    axes.scatter(line[0], line[1], color=color, s=6, lw=0, zorder=5.5)
    axes.plot(*line[:, :1], "o", ms=5.5, mfc="white", mec=color, mew=1.3, zorder=7)
    axes.plot(*line[:, -1:], marker, ms=7.5, mfc=color, mec="white", mew=0.9, zorder=8)


def _handles(colors: Mapping[str, str]) -> list[Line2D]:
    style: dict[str, Any] = {"lw": 2, "ms": 6, "mec": "white"}
    return [
        Line2D([], [], color=color, marker=MARKERS[i % len(MARKERS)], label=name, **style)
        for i, (name, color) in enumerate(colors.items())
    ]


def _note(runs: Sequence[int]) -> str:
    parts = ["Hollow: first checkpoint; dots: checkpoints; large mark: last."]
    if set(runs) != {1}:
        parts.append(f"Thick: mean of {from_to(runs)} runs; thin: each run.")
    return " ".join(parts)
