"""Generated images by condition, one row each (paper Fig. 7b)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from conceptspace.analysis.steps import from_to
from conceptspace.presentation.style import INK, OOD, WIDTH, footnote, heading, styled

COLUMNS = 12


@styled
def shares_figure(
    images: Mapping[str, Mapping[int, NDArray[np.uint8]]],
    *,
    label: str,
    title: str = "",
    subtitle: str = "",
) -> Figure:
    """One row of images per condition, evenly picked over its seeds.

    Args:
        images: by condition and seed, shape (count, height, width, 3), bytes.
        label: what the conditions are values of.
        title: above the figure, neutral.
        subtitle: below the title; what was found, in words.
    """
    every = {name: np.concatenate(list(of.values())) for name, of in images.items()}
    rows = len(images)
    columns = min(COLUMNS, *(len(of) for of in every.values()))
    figure = Figure(figsize=(WIDTH, 0.55 * rows + 1.2), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False)
    for line, (name, of) in zip(panels, every.items(), strict=True):
        chosen = np.linspace(0, len(of) - 1, columns).round().astype(int)
        for axes, index in zip(line, chosen, strict=True):
            axes.imshow(of[index], interpolation="nearest")
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set(visible=True, color=OOD, linewidth=0.6)
        seeds = len(images[name])
        text = f"{name}\n{seeds} {'seed' if seeds == 1 else 'seeds'}"
        line[0].set_ylabel(text, rotation=0, ha="right", va="center", labelpad=6)
    figure.supylabel(label, fontsize=9, color=INK)
    total = from_to(len(of) for of in every.values())
    footnote(figure, f"{columns} of {total} kept images in each row, evenly picked over the seeds.")
    heading(figure, title, subtitle)
    return figure
