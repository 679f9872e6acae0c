"""The unit square of two concepts, with its classes at the corners."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from numpy.typing import ArrayLike

from conceptspace.data.concepts import Concept, ConceptClass, ConceptSpace
from conceptspace.presentation.style import GRID, INK, MUTED, OOD, TRAIN, draw_tile

TILE = 0.22
MARGIN = 0.06
REACH = MARGIN + TILE + 0.01


def color_of(space: ConceptSpace, concept_class: str) -> str:
    """Blue for training classes, magenta for OOD classes."""
    return OOD if concept_class in space.ood_classes else TRAIN


def unit_square(axes: Axes, concepts: Sequence[Concept]) -> None:
    """Axes from (0, 0) to (1, 1) with room for an image outside of each corner."""
    axes.set(xlim=(-REACH, 1 + REACH), ylim=(-REACH, 1 + REACH), aspect="equal")
    axes.set_axis_off()
    axes.add_patch(Rectangle((0, 0), 1, 1, fc="#fbfbfb", ec=MUTED, lw=0.8, zorder=0))
    axes.plot([0.5, 0.5], [0, 1], color=GRID, lw=0.7, zorder=0.5)
    axes.plot([0, 1], [0.5, 0.5], color=GRID, lw=0.7, zorder=0.5)
    for value in (0, 0.5, 1):
        axes.text(value, -0.025, f"{value:g}", ha="center", va="top", fontsize=7, color=MUTED)
        axes.text(-0.025, value, f"{value:g}", ha="right", va="center", fontsize=7, color=MUTED)
    first, second = (f"{c.name}: {c.labels[0]} → {c.labels[1]}" for c in concepts)
    axes.text(0.5, -0.11, first, ha="center", va="top", fontsize=8.5, color=INK)
    axes.text(-0.11, 0.5, second, ha="right", va="center", rotation=90, fontsize=8.5, color=INK)


def corner_classes(
    axes: Axes, space: ConceptSpace, pair: Sequence[int], images: Mapping[str, ArrayLike]
) -> None:
    """The image and name of each class at its corner; other concepts stand at bit 0."""
    for bits in ("00", "01", "10", "11"):
        name = ["0"] * len(space.concepts)
        for index, bit in zip(pair, bits, strict=True):
            name[index] = bit
        concept_class = ConceptClass("".join(name))
        x, y = (1.0 if bit == "1" else 0.0 for bit in bits)
        away = MARGIN + TILE / 2
        at = (x + (away if x else -away), y + (away if y else -away))
        color = color_of(space, concept_class)
        if concept_class in images:
            draw_tile(axes, images[concept_class], *at, TILE, color)
        crowded = len(space.concepts) > 2
        words = "" if crowded else f"\n{space.describe(concept_class)}"
        inner = at[0] + (-1 if x else 1) * (TILE / 2 + 0.025)
        axes.text(
            inner,
            at[1] + (TILE / 2 if y else -TILE / 2),
            concept_class + words,
            ha="right" if x else "left",
            va="top" if y else "bottom",
            fontsize=7.5,
            color=color,
            fontweight="bold",
            linespacing=1.25,
        )
