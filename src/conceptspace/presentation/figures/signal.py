"""The concept signal: how far apart the images of neighboring classes are (paper Fig. 2, 11)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from numpy.typing import ArrayLike

from conceptspace.analysis.trajectories import Array
from conceptspace.presentation.figures.square import color_of
from conceptspace.presentation.style import (
    CONCEPT_COLORS,
    INK,
    SMALLEST,
    WIDTH,
    draw_tile,
    footnote,
    heading,
    styled,
)
from conceptspace.space import ConceptSpace

Setting = tuple[pd.DataFrame, Mapping[str, ArrayLike]]
"""Distances between classes, and an image of each class."""

COLUMNS = 2
TILE = 0.34
SHORTEST = 0.62
DIRECTIONS = np.array([[1.0, 0.0], [0.0, 1.0], [0.55, 0.38], [-0.45, 0.6], [0.3, -0.7], [0.8, 0.7]])


@styled
def signal_figure(
    space: ConceptSpace, settings: Mapping[str, Setting], title: str = "", subtitle: str = ""
) -> Figure:
    """A concept-space diagram for each setting, its edges sized by the signal; numbers below.

    Args:
        space: the concepts, and which classes train.
        settings: under its title, each setting's distances and class images. The distances have
            columns ``concept, from_class, to_class, distance`` (mean squared pixel difference of
            two classes that differ in that concept alone); images are as in ``trajectory_figure``.
        title: above the figure, neutral.
        subtitle: below the title; what was found, in words.

    Where no two classes differ in one concept alone there is no signal to draw: the figure shows
    the classes and says so.
    """
    distances = pd.concat([table["distance"] for table, _ in settings.values()])
    largest = distances.max() if distances.max() > 0 else 1.0
    columns = min(len(settings), COLUMNS)
    rows = -(-len(settings) // columns)
    width = WIDTH if columns > 1 else 0.6 * WIDTH
    figure = Figure(figsize=(width, rows * (0.9 * width / columns + 1.5) + 0.8))
    figure.set_layout_engine("constrained")
    heights = [3.2, 1] * rows
    panels = figure.subplots(2 * rows, columns, squeeze=False, height_ratios=heights)
    for axes in panels.flat:
        axes.set_axis_off()
    for index, (name, (table, images)) in enumerate(settings.items()):
        row, column = divmod(index, columns)
        diagram, bars = panels[2 * row, column], panels[2 * row + 1, column]
        _diagram(diagram, space, table, images, largest)
        diagram.set_title(name)
        bars.set_axis_on()
        _bars(bars, space, table, largest)
        if table.empty:
            bars.set_title("no two classes differ in one concept alone", fontsize=SMALLEST)
    parts = ["Blue frames: training classes" + ("; magenta: OOD." if space.ood_classes else ".")]
    if not distances.empty:
        parts.append("Numbers at edges, their width and dots: mean squared pixel difference of two")
        parts[-1] += " classes, values from 0 to 1; bars: mean over the pairs, by which edges are"
        parts[-1] += " longer."
    footnote(figure, " ".join(parts))
    heading(figure, title, subtitle)
    return figure


def _diagram(
    axes: Axes,
    space: ConceptSpace,
    table: pd.DataFrame,
    images: Mapping[str, ArrayLike],
    largest: float,
) -> None:
    """Classes at the corners of a box whose sides grow with each concept's mean signal."""
    means = table.groupby("concept")["distance"].mean()
    share = np.array([means.get(name, 0.0) / largest for name in space.names])
    dimensions = len(space.concepts)
    sides = (SHORTEST + (1.5 - SHORTEST) * share)[:, None] * DIRECTIONS[:dimensions]
    place: dict[str, Array] = {}
    for name in space.classes:
        place[name] = np.array([int(bit) for bit in name]) @ sides
    for concept, a, b, distance in table[
        ["concept", "from_class", "to_class", "distance"]
    ].itertuples(index=False):
        if a not in place or b not in place:
            continue
        color = CONCEPT_COLORS[space.names.index(concept)]
        ends = np.stack([place[a], place[b]])
        axes.plot(*ends.T, color=color, lw=1 + 9 * distance / largest, zorder=1, alpha=0.85)
        if dimensions < 3:
            _edge_label(axes, ends, f"{distance:.2g}", 6 + 4.5 * distance / largest)
    for node, at in place.items():
        color = color_of(space, node)
        tile = TILE if dimensions < 3 else 0.27
        if node in images:
            draw_tile(axes, images[node], at[0], at[1], tile, color)
        above = dimensions == 2 and node[1] == "1"
        axes.text(
            at[0],
            at[1] + (tile / 2 + 0.03) * (1 if above else -1),
            node if dimensions > 2 else f"{node} {space.describe(node)}",
            ha="center",
            va="bottom" if above else "top",
            fontsize=SMALLEST,
            color=color,
            fontweight="bold",
            path_effects=[withStroke(linewidth=2.2, foreground="white")],
        )
    corners = np.stack(list(place.values()))
    low, high = corners.min(0) - 0.32, corners.max(0) + 0.32
    center, reach = (low + high) / 2, max(float((high - low).max()), 1.9) / 2
    axes.set(xlim=(center[0] - reach, center[0] + reach), aspect="equal")
    axes.set_ylim(center[1] - reach, center[1] + reach)
    axes.set_axis_off()


def _edge_label(axes: Axes, ends: Array, text: str, away: float) -> None:
    along = ends[1] - ends[0]
    vertical = abs(along[1]) > abs(along[0])
    axes.annotate(
        text,
        tuple(ends.mean(0)),
        (away, 0) if vertical else (0, away + 2),
        textcoords="offset points",
        ha="left" if vertical else "center",
        va="center",
        fontsize=SMALLEST,
        color=INK,
    )


def _bars(axes: Axes, space: ConceptSpace, table: pd.DataFrame, largest: float) -> None:
    """A bar for the mean of each concept, with its value in the label; a dot for each pair."""
    labels = []
    for index, name in enumerate(space.names):
        values = table.loc[table["concept"] == name, "distance"].to_numpy(dtype=float)
        labels.append(f"{name}\n{values.mean():.2g}" if len(values) else name)
        if len(values):
            axes.barh(index, values.mean(), color=CONCEPT_COLORS[index], height=0.55, alpha=0.85)
            style: dict[str, Any] = {"mfc": INK, "mec": "white", "mew": 0.7, "ms": 5}
            axes.plot(values, [index] * len(values), "o", zorder=3, **style)
    axes.set_yticks(range(len(space.names)), labels)
    axes.set(xlim=(0, largest * 1.05), ylim=(len(space.names) - 0.4, -0.6))
    axes.set_xlabel("mean squared pixel difference")
    axes.tick_params(axis="y", length=0)
