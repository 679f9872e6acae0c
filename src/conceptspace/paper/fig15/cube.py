"""Trajectories over three concepts, in the unit cube (paper Fig. 15)."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from mpl_toolkits.mplot3d.art3d import Line3DCollection

from conceptspace.errors import UserError
from conceptspace.presentation.figures.square import axis_label, color_of, on_axes
from conceptspace.presentation.series import Array, series, smooth
from conceptspace.presentation.style import (
    INK,
    MUTED,
    OOD_SHADES,
    OOD_TIME,
    TRAIN_TIME,
    footnote,
    styled,
)
from conceptspace.space import ConceptSpace

Case = tuple[pd.DataFrame, ConceptSpace]
"""Naive trajectories of one or more runs, and their three concepts."""

VIEW = {"elev": 18.0, "azim": -62.0}


@styled
def cube_figure(cases: Mapping[str, Case], *, smoothing: float = 1.0, title: str = "") -> Figure:
    """One cube per case: the mean trajectory of every class, light to dark.

    Args:
        cases: under their titles; each has three concepts.
        smoothing: standard deviation, in checkpoints, of the Gaussian average drawn as the line.
        title: above the figure.

    Raises:
        UserError: a case has not three concepts.
    """
    found = {name: curves(*case, smoothing) for name, case in cases.items()}
    figure = Figure(figsize=(4.9 * len(cases), 4.9), layout="constrained")
    for index, (name, (_, space)) in enumerate(cases.items()):
        axes: Any = figure.add_subplot(1, len(cases), index + 1, projection="3d")
        _cube(axes, space)
        for concept_class, curve in found[name].items():
            _curve(axes, curve, concept_class in space.ood_classes)
        axes.set_title(f"{'abcdef'[index]}  {name}", loc="left", y=0.98)
    footnote(
        figure,
        "Blue: training classes; magenta: OOD classes. Means over seeds, smoothed for drawing. "
        "Light to dark: early to late; hollow: first checkpoint, full: last. The page beside this "
        "figure can be turned.",
    )
    if title:
        figure.suptitle(title, fontsize=9.5, fontweight="bold", color=INK)
    return figure


def curves(table: pd.DataFrame, space: ConceptSpace, smoothing: float) -> dict[str, Array]:
    """The mean trajectory of every class on the axes, shape (T, 3), smoothed for drawing.

    Raises:
        UserError: there are not three concepts.
    """
    if len(space.concepts) != 3:
        raise UserError(f"a cube has three concepts, not {len(space.concepts)}")
    found = {}
    for name in map(str, space.classes):
        if not on_axes(space, name, range(3)):
            continue
        axes = [series(table, name, c, "coordinate").mean for c in space.names]
        found[name] = smooth(np.stack(axes), smoothing).T
    return found


def _cube(axes: Any, space: ConceptSpace) -> None:
    axes.set_axis_off()
    axes.set_box_aspect((1, 1, 1), zoom=0.98)
    axes.view_init(**VIEW)
    corners = np.array([[int(bit) for bit in np.binary_repr(i, 3)] for i in range(8)])
    for a, b in combinations(corners, 2):
        if np.abs(a - b).sum() == 1:
            axes.plot(*np.stack([a, b]).T, color=MUTED, lw=0.7, alpha=0.6)
    for name in map(str, space.classes):
        if not on_axes(space, name, range(3)):
            continue
        corner = np.array(space.corner(name), dtype=np.float64)
        color = color_of(space, name)
        axes.scatter(*corner, color=color, s=16, depthshade=False)
        outside = corner + 0.1 * (corner - 0.5)
        axes.text(*outside, name, color=color, fontsize=7.5, fontweight="bold", ha="center")
    places = ((0.5, -0.22, -0.12), (1.25, 0.5, -0.1), (-0.22, -0.05, 0.5))
    for index, place in enumerate(places):
        text = axis_label(space, index).replace(": ", ":\n", 1)
        axes.text(*place, text, color=INK, fontsize=7.5, ha="center")


def _curve(axes: Any, curve: Array, ood: bool) -> None:
    ramp = OOD_TIME if ood else TRAIN_TIME
    shades = ramp(np.linspace(0.15, 1, len(curve)))
    segments = np.stack([curve[:-1], curve[1:]], axis=1)
    axes.add_collection3d(
        Line3DCollection(list(segments), colors=shades[1:], lw=2.0 if ood else 1.3)
    )
    edge = OOD_SHADES[0] if ood else TRAIN_TIME(0.7)
    axes.scatter(*curve[0], s=20, facecolors="white", edgecolors=[edge], depthshade=False)
    axes.scatter(*curve[-1], s=26, color=[shades[-1]], edgecolors="white", depthshade=False)
