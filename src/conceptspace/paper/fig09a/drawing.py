"""Generated images by condition, one row each (paper Fig. 7b)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from conceptspace.presentation.style import INK, OOD, styled

COLUMNS = 12


@styled
def shares_figure(
    images: Mapping[str, NDArray[np.uint8]], *, label: str, title: str = ""
) -> Figure:
    """One row of images per condition, evenly picked.

    Args:
        images: by condition, shape (count, height, width, 3), bytes.
        label: what the conditions are values of.
        title: above the figure.
    """
    rows = len(images)
    columns = min(COLUMNS, *(len(of) for of in images.values()))
    figure = Figure(figsize=(0.52 * columns + 1.1, 0.56 * rows + 0.5), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False)
    for line, (name, of) in zip(panels, images.items(), strict=True):
        chosen = np.linspace(0, len(of) - 1, columns).round().astype(int)
        for axes, index in zip(line, chosen, strict=True):
            axes.imshow(of[index], interpolation="nearest")
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set(visible=True, color=OOD, linewidth=0.6)
        line[0].set_ylabel(name, rotation=0, ha="right", va="center", labelpad=6)
    figure.supylabel(label, fontsize=8, color=INK)
    if title:
        figure.suptitle(title, fontsize=9.5, fontweight="bold", color=INK)
    return figure
