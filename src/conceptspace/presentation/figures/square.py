"""The unit square of two concepts, with its classes at the corners."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from textwrap import fill
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, Normalize
from matplotlib.patches import Rectangle
from numpy.typing import ArrayLike

from conceptspace.presentation.style import GRID, INK, MUTED, OOD, SMALL, SMALLEST, TRAIN, draw_tile
from conceptspace.space import ConceptSpace

TILE = 0.22
MARGIN = 0.06
REACH = MARGIN + TILE + 0.01
LONGEST = 14
"""Letters in a line beside an image that leave room for what stands between the corners."""


def color_of(space: ConceptSpace, concept_class: str) -> str:
    """Blue for training classes, magenta for OOD classes."""
    return OOD if concept_class in space.ood_classes else TRAIN


def unit_square(axes: Axes, space: ConceptSpace, pair: Sequence[int]) -> None:
    """Axes from (0, 0) to (1, 1) for two concepts, with room for an image outside of each corner.

    A concept of more than two values runs between those two of ``space.axes()``.
    """
    axes.set(xlim=(-REACH, 1 + REACH), ylim=(-REACH, 1 + REACH))
    axes.set_axis_off()
    axes.add_patch(Rectangle((0, 0), 1, 1, fc="#fbfbfb", ec=MUTED, lw=0.8, zorder=0))
    axes.plot([0.5, 0.5], [0, 1], color=GRID, lw=0.7, zorder=0.5)
    axes.plot([0, 1], [0.5, 0.5], color=GRID, lw=0.7, zorder=0.5)
    crowded = len(space.concepts) > 2
    small: dict[str, Any] = {"fontsize": SMALLEST, "color": MUTED}
    for value in (0, 1) if crowded else (0, 0.5, 1):
        axes.text(value, -0.025, f"{value:g}", ha="center", va="top", **small)
        axes.text(-0.025, value, f"{value:g}", ha="right", va="center", **small)
    first, second = (axis_label(space, index) for index in pair)
    named: dict[str, Any] = {"fontsize": 7 if crowded else SMALL, "color": INK}
    axes.text(0.5, -0.075 if crowded else -0.11, first, ha="center", va="top", **named)
    left = -0.075 if crowded else -0.135
    axes.text(left, 0.5, second, ha="right", va="center", rotation=90, **named)


def corner_classes(
    axes: Axes, space: ConceptSpace, pair: Sequence[int], images: Mapping[str, ArrayLike]
) -> None:
    """The images and names of the classes that belong to each corner, beside it.

    With two concepts that is one class; with more, the classes that differ elsewhere share it.
    """
    crowded = len(space.concepts) > 2
    tile = TILE * 0.62 if crowded else TILE
    for x, y in product((0, 1), repeat=2):
        here = [c for c in space.classes if [space.corner(c)[i] for i in pair] == [x, y]][:2]
        inward, vertical = 1 - 2 * x, 1 if y else -1
        for index, name in enumerate(here):
            color = color_of(space, name)
            gap = 0.08 if crowded else 0.03
            left = x - inward * (MARGIN + TILE - tile / 2) + inward * index * (tile + gap)
            away = (1 if y else 2.6) if crowded else 1  # below stand the numbers of the axis
            middle = y + vertical * (away * MARGIN + tile / 2)
            if name in images:
                draw_tile(axes, images[name], left, middle, tile, color)
            text: dict[str, Any] = {
                "fontsize": SMALLEST * (0.85 if crowded else 1),
                "color": color,
                "fontweight": "bold",
                "linespacing": 1.25,
            }
            edge = middle + vertical * tile / 2
            if crowded:
                text |= {"ha": "center", "va": "bottom" if y else "top"}
                axes.text(left, edge + vertical * 0.015, name, **text)
            else:
                text |= {"ha": "right" if x else "left", "va": "top" if y else "bottom"}
                at = left + inward * (tile / 2 + 0.025)
                axes.text(at, edge, f"{name}\n{class_label(space, name)}", **text)
    axes.set_aspect("equal")


def corner_rows(
    axes: Axes,
    space: ConceptSpace,
    pair: Sequence[int],
    images: Mapping[str, Mapping[str, ArrayLike]],
    colors: Mapping[str, str],
) -> None:
    """At each corner its class under every condition, in a row of images framed in their colors.

    Args:
        axes: of the unit square.
        space: at least two concepts; of more, a corner's first class is shown.
        pair: the two concepts.
        images: of each condition an image of each class.
        colors: of the conditions.
    """
    count = len(images)
    tile = min(TILE * 0.72, (0.5 + REACH - 0.03) / count - 0.015)
    margins = {0: 0.17, 1: 1.2 * MARGIN}
    axes.set_ylim(bottom=-(margins[0] + tile + 0.08))
    for x, y in product((0, 1), repeat=2):
        here = [c for c in space.classes if [space.corner(c)[i] for i in pair] == [x, y]]
        if not here:
            continue
        name, vertical = here[0], 1 if y else -1
        outer = -REACH + 0.01 if x == 0 else 1 + REACH - 0.01
        middle = y + vertical * (margins[y] + tile / 2)
        for index, (condition, of_class) in enumerate(images.items()):
            place = (index if x == 0 else index - count + 1) * (tile + 0.015)
            at = outer + place + (tile / 2 if x == 0 else -tile / 2)
            if name in of_class:
                draw_tile(axes, of_class[name], at, middle, tile, colors[condition])
        axes.text(
            outer,
            middle + vertical * (tile / 2 + 0.02),
            f"{name} {space.describe(name)}",
            ha="right" if x else "left",
            va="bottom" if y else "top",
            fontsize=SMALLEST,
            fontweight="bold",
            color=color_of(space, name),
        )
    axes.set_aspect("equal")


def axis_label(space: ConceptSpace, index: int) -> str:
    """``color: red → blue``."""
    return f"{space.names[index]}: {' → '.join(space.ends()[index])}"


def on_axes(space: ConceptSpace, concept_class: str, indices: Sequence[int]) -> bool:
    """Whether a class has one of the two values of each axis."""
    corner = space.corner(concept_class)
    return all(corner[index] is not None for index in indices)


def class_label(space: ConceptSpace, concept_class: str) -> str:
    """A class in words, one line for each concept if they are long, or more."""
    words = space.describe(concept_class)
    if len(words) <= LONGEST:
        return words
    values = zip(space.concepts, concept_class, strict=True)
    return "\n".join(fill(concept.labels[int(value)], LONGEST) for concept, value in values)


def time_bar(axes: Axes, norm: Normalize, ramps: Mapping[str, Colormap]) -> None:
    """Between the lower corners: how the curves' shades stand for steps, one bar per ramp."""
    left, right, height, bottom = 0.32, 0.7, 0.027, -REACH + 0.045
    places = np.linspace(0, 1, 256)
    for index, (label, ramp) in enumerate(reversed(list(ramps.items()))):
        low = bottom + index * (height + 0.015)
        extent = (left, right, low, low + height)
        axes.imshow(ramp(places)[None], extent=extent, aspect="equal", interpolation="bilinear")
        middle = low + height / 2
        axes.text(left - 0.015, middle, label, ha="right", va="center", fontsize=7, color=MUTED)
    for place in (0.0, 0.5, 1.0):
        step = float(norm.inverse(place))
        at = left + place * (right - left)
        text = f"step {step:,.0f}" if place == 0 else f"{step:,.0f}"
        axes.text(at, bottom - 0.012, text, ha="center", va="top", fontsize=7, color=MUTED)
    axes.set(xlim=(-REACH, 1 + REACH), ylim=(-REACH, 1 + REACH))
