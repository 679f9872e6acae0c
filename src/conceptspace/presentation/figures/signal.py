"""The concept signal: how far apart the images of neighboring classes are (paper Fig. 2, 11)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from numpy.typing import ArrayLike

from conceptspace.presentation.figures.square import color_of
from conceptspace.presentation.series import Array
from conceptspace.presentation.style import CONCEPT_COLORS, INK, draw_tile, footnote, styled
from conceptspace.space import ConceptSpace

Setting = tuple[pd.DataFrame, Mapping[str, ArrayLike]]
"""Distances between classes, and an image of each class."""

TILE = 0.34
SHORTEST = 0.62
DIRECTIONS = np.array([[1.0, 0.0], [0.0, 1.0], [0.55, 0.38], [-0.45, 0.6], [0.3, -0.7], [0.8, 0.7]])


@styled
def signal_figure(space: ConceptSpace, settings: Mapping[str, Setting], title: str = "") -> Figure:
    """A concept-space diagram for each setting, its edges sized by the signal; numbers below.

    Args:
        space: the concepts, and which classes train.
        settings: under its title, each setting's distances and class images. The distances have
            columns ``concept, from_class, to_class, distance`` (mean squared pixel difference of
            two classes that differ in that concept alone); images are as in ``trajectory_figure``.
        title: above the figure.

    Where no two classes differ in one concept alone there is no signal to draw: the figure shows
    the classes and says so.
    """
    distances = pd.concat([table["distance"] for table, _ in settings.values()])
    largest = distances.max() if distances.max() > 0 else 1.0
    size = (3.5 * len(settings), 4.9)
    figure = Figure(figsize=(max(size[0], 3.9), size[1]), layout="constrained")
    panels = figure.subplots(2, len(settings), squeeze=False, height_ratios=[3.4, 1])
    for column, (name, (table, images)) in enumerate(settings.items()):
        _diagram(panels[0, column], space, table, images, largest)
        panels[0, column].set_title(name)
        _bars(panels[1, column], space, table, largest, labelled=column == 0)
        if table.empty:
            panels[1, column].set_title("no two classes differ in one concept alone", fontsize=7)
    note = (
        "Edge width and length grow with the mean squared pixel difference of the two classes.\n"
        "Bars: mean over the pairs of classes (dots). Blue: training classes; magenta: OOD."
    )
    footnote(figure, note)
    if title:
        figure.suptitle(title, fontsize=9.5, fontweight="bold", color=INK)
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
            _edge_label(axes, ends, f"{distance:.3g}", 6 + 4.5 * distance / largest)
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
            fontsize=7,
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
        fontsize=7,
        color=INK,
    )


def _bars(
    axes: Axes, space: ConceptSpace, table: pd.DataFrame, largest: float, labelled: bool
) -> None:
    for index, name in enumerate(space.names):
        values = table.loc[table["concept"] == name, "distance"].to_numpy(dtype=float)
        if not len(values):
            continue
        axes.barh(index, values.mean(), color=CONCEPT_COLORS[index], height=0.6, alpha=0.85)
        axes.plot(values, [index] * len(values), ".", color=INK, ms=4, zorder=3)
        at = (max(values.mean(), values.max()), index)
        axes.annotate(f"{values.mean():.3g}", at, (5, 0), textcoords="offset points", va="center")
    axes.set_yticks(range(len(space.names)), space.names if labelled else [""] * len(space.names))
    axes.set(xlim=(0, largest * 1.18), ylim=(len(space.names) - 0.4, -0.6))
    axes.set_xlabel("mean squared pixel difference")
    axes.tick_params(axis="y", length=0)
