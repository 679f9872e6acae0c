"""One run's hidden capability: when it could be elicited only, and the images of one step."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from conceptspace.analysis.intervals import wilson
from conceptspace.analysis.steps import digits
from conceptspace.analysis.verdict import GATE, SCALING, Window
from conceptspace.presentation.style import (
    GRID,
    INK,
    MUTED,
    OOD,
    SMALLEST,
    TRAIN,
    WIDTH,
    footnote,
    heading,
    hidden_band,
    styled,
)
from conceptspace.tables import JOINT, NAIVE

SHOWN = 16
"""Images of each row."""


@styled
def window_figure(
    best: pd.DataFrame,
    window: Window,
    ood_class: str,
    images: Mapping[str, NDArray[np.uint8]],
    step: int,
    *,
    threshold: float = 0.8,
    words: str = "",
    title: str = "",
    subtitle: str = "",
) -> Figure:
    """Joint accuracy of one run asked plainly, otherwise, and by controls, with images of a step.

    Args:
        best: rows of one run, see :func:`conceptspace.analysis.elicitation.best_settings`.
        window: of that run; shaded if it has one.
        ood_class: e.g. ``"11"``.
        images: by protocol, the images of a step, shape (n, tile, tile, 3); the first of them are
            shown, the same samples in every row.
        step: whose images they are.
        threshold: drawn as a line.
        words: the class in words.
        title: above the figure, neutral.
        subtitle: below the title; what was found, in words.
    """
    rows = best[(best["concept"] == JOINT) & (best["concept_class"] == ood_class)]
    figure = Figure(figsize=(WIDTH, 3.4 + 0.5 * len(images)), layout="constrained")
    heights = [2.5, *([0.42] * len(images))]
    axes, *strips = figure.subplots(1 + len(images), 1, height_ratios=heights)
    styles = {
        NAIVE: ("asked plainly", TRAIN, "-", 2.2),
        window.protocol: (window.protocol, OOD, "-", 2.2),
        GATE: ("control: random displacement", MUTED, "-", 1.4),
        SCALING: ("control: scaling alone", MUTED, (0, (3, 1.5)), 1.4),
    }
    for protocol, (label, color, dash, width) in styles.items():
        run = rows[rows["protocol"] == protocol].sort_values("step")
        if run.empty:
            continue
        steps, values = run["step"].to_numpy(), run["honest"].to_numpy(dtype=np.float64)
        axes.plot(steps, values, color=color, ls=dash, lw=width, label=label)
        if width > 2:
            low, high = wilson(values, run["samples"].to_numpy(dtype=np.float64))
            axes.fill_between(steps, low, high, color=color, alpha=0.12, lw=0)
    axes.axhline(threshold, color=INK, lw=0.7, ls=(0, (4, 3)), zorder=1)
    if window.found:
        hidden_band(axes, window.first, window.last)
    axes.axvline(step, color=INK, lw=0.6, ls=":", zorder=1)
    axes.set(ylim=(-0.02, 1.03), xlim=(0, None), xlabel="step")
    axes.set_ylabel(f'joint accuracy of "{words or ood_class}"')
    axes.grid(axis="y", color=GRID, lw=0.4)
    axes.legend(loc="upper left", bbox_to_anchor=(-0.01, -0.2), ncols=2)
    for strip, (protocol, tiles) in zip(strips, images.items(), strict=True):
        label, color = styles[protocol][:2] if protocol in styles else (protocol, INK)
        _strip(strip, tiles[:SHOWN], f"{label}\nstep {step}", color)
    samples = int(rows["samples"].min())
    ends = digits(window.first), digits(window.last)
    band = f", shaded from step {ends[0]} to {ends[1]}" if window.found else ""
    parts = [
        f"One run, seed {window.seed}{band}. {samples} images for each point, by the judge, "
        "settings chosen on one half of them and scored on the other; bands: 95 % binomial "
        f"interval of lines in color. Dashed: {threshold:g}."
    ]
    if images:
        parts.append(
            f"Below: the first {SHOWN} images of the step at the dotted line; a column has the "
            "same noise."
        )
    footnote(figure, " ".join(parts))
    heading(figure, title, subtitle)
    return figure


def _strip(axes: Axes, tiles: NDArray[np.uint8], label: str, color: str) -> None:
    """A row of images."""
    gap = np.full((tiles.shape[1], 1, 3), 255, dtype=np.uint8)
    parts = [part for tile in tiles for part in (tile, gap)]
    axes.imshow(np.concatenate(parts[:-1], axis=1), interpolation="nearest")
    axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.set_ylabel(label, rotation=0, ha="right", va="center", fontsize=SMALLEST, color=color)
