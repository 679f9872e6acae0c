"""Generated images over training."""

from __future__ import annotations

import io
from collections.abc import Mapping
from textwrap import fill

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from conceptspace.contact_sheet import Sheet
from conceptspace.errors import UserError
from conceptspace.presentation.figures.square import color_of
from conceptspace.presentation.series import highest
from conceptspace.presentation.style import INK, MUTED, OOD, SMALL, pixels, styled
from conceptspace.space import ConceptSpace
from conceptspace.tables import JOINT

CELL = 0.46

LABEL = 22
"""Letters of a class's name in a line; longer names take several."""


@styled
def image_strips(
    sheets: Mapping[int, Sheet],
    space: ConceptSpace,
    *,
    table: pd.DataFrame | None = None,
    class_images: Mapping[str, ArrayLike] | None = None,
    setting: str | None = None,
    columns: int = 12,
    samples: int = 2,
    title: str = "",
) -> Figure:
    """One row of images per class, one column per checkpoint.

    Every row shows the same sample numbers at every checkpoint; nothing is picked by hand.

    Args:
        sheets: ``Run.sheets(protocol)``.
        space: the concepts, and which classes train.
        table: this run's trajectory of the same protocol, to write the OOD joint accuracy below
            the images.
        class_images: an image of each class, drawn at the right as the target.
        setting: which setting of the protocol; None: the best one of each checkpoint by the joint
            accuracy in ``table``, or the only one.
        columns: most checkpoints shown, evenly spread over those there are.
        samples: images per checkpoint and class, one below the other.
        title: above the figure.
    """
    if not sheets:
        raise UserError("there are no sample sheets to draw")
    steps = np.array(sorted(sheets))
    steps = steps[np.unique(np.linspace(0, len(steps) - 1, columns).round().astype(int))]
    shown = {row["concept_class"] for sheet in sheets.values() for row in sheet.rows}
    classes = [name for name in space.classes if name in shown]
    targets = class_images or {}
    width, gap = len(steps) + (1.4 if targets else 0), 0.2 + 0.3 * (table is not None)
    height = len(classes) * (samples + gap)
    figure = Figure(figsize=((width + 3.1) * CELL, (height + 1.05) * CELL + 0.25 * bool(title)))
    axes = figure.add_axes((0, 0, 1, 1 - 0.25 * bool(title) / figure.get_figheight()))
    axes.set_axis_off()
    joint = _joint(table, setting)
    for column, step in enumerate(steps):
        axes.text(column + 0.5, -0.15, f"{step:,}", ha="center", va="bottom", fontsize=7)
    axes.text(-0.15, -0.15, "step", ha="right", va="bottom", fontsize=7, color=MUTED)
    for row, name in enumerate(classes):
        y = row * (samples + gap)
        color = color_of(space, name)
        kind = "OOD" if name in space.ood_classes else "training"
        text = f"{name}  {kind}\n{fill(space.describe(name), LABEL)}"
        axes.text(
            -0.25, y + samples / 2, text, ha="right", va="center", color=color, fontsize=SMALL
        )
        if kind == "OOD":
            axes.axhspan(y - 0.09, y + samples + gap - 0.16, color=OOD, alpha=0.08, lw=0)
        for column, step in enumerate(steps):
            best, accuracy = joint.get((int(step), name), (setting or "", None))
            for index, tile in enumerate(tiles(sheets[int(step)], name, best)[:samples]):
                _place(axes, tile, float(column), y + index)
            if accuracy is not None:
                at = (column + 0.5, y + samples + 0.02)
                axes.text(*at, f"{accuracy:.2f}", ha="center", va="top", fontsize=7, color=color)
        if name in targets:
            _place(axes, pixels(targets[name]), len(steps) + 0.4, y)
    if targets:
        axes.text(len(steps) + 0.9, -0.15, "target", ha="center", va="bottom", fontsize=7)
    axes.set(xlim=(-3.0, width + 0.1), ylim=(height + 0.35, -0.7), aspect="equal")
    if joint:
        note = "number: joint accuracy"
        axes.text(-0.15, height + 0.1, note, ha="right", fontsize=7, color=MUTED)
    if title:
        figure.text(0.01, 0.99, title, va="top", fontsize=10, fontweight="bold", color=INK)
    return figure


def tiles(sheet: Sheet, concept_class: str, setting: str = "") -> NDArray[np.uint8]:
    """The generated images of one class, shape (columns, tile, tile, 3).

    Raises:
        UserError: the sheet has no such row.
    """
    for index, row in enumerate(sheet.rows):
        if row["concept_class"] == concept_class and row["setting"] == setting:
            with Image.open(io.BytesIO(sheet.content())) as image:
                strip = np.asarray(image.convert("RGB"))[index * sheet.tile :][: sheet.tile]
            parts = strip.reshape(sheet.tile, sheet.columns, sheet.tile, 3)
            return parts.transpose(1, 0, 2, 3)
    raise UserError(f"{sheet.path} has no images of class {concept_class}, setting {setting!r}")


def _joint(
    table: pd.DataFrame | None, setting: str | None
) -> dict[tuple[int, str], tuple[str, float]]:
    """Setting to show and its joint accuracy, for every step and class."""
    if table is None:
        return {}
    rows = highest(table) if setting is None else table[table["setting"] == setting]
    rows = rows[rows["concept"] == JOINT]
    keys = zip(rows["step"].astype(int), rows["concept_class"].astype(str), strict=True)
    values = zip(rows["setting"].astype(str), rows["accuracy"].astype(float), strict=True)
    return dict(zip(keys, values, strict=True))


def _place(axes: Axes, tile: NDArray[np.uint8], x: float, y: float) -> None:
    extent = (x + 0.03, x + 0.97, y + 0.97, y + 0.03)
    axes.imshow(tile, extent=extent, interpolation="nearest", aspect="auto")
