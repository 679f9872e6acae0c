"""The toy models of learning in concept space beside measurements (Figs. 5 and 9b)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import Colormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from conceptspace.analysis.theory_fit import Eq1Fit
from conceptspace.analysis.trajectories import Array
from conceptspace.presentation.style import (
    GRID,
    MUTED,
    OOD,
    OOD_TIME,
    SMALLEST,
    TRAIN,
    TRAIN_TIME,
    WIDTH,
    footnote,
    heading,
    panels_over_legend,
    styled,
)

COLUMNS = 3
MARGIN = 0.12


@styled
def theory_fits(
    fits: Mapping[str, Eq1Fit], concepts: Sequence[str], *, title: str = "", subtitle: str = ""
) -> Figure:
    """Measured trajectories with the fitted Eq. 1 and the best null.

    Args:
        fits: by the title of their panel.
        concepts: names of the two axes.
        title: above the figure, neutral.
        subtitle: below the title; what was found, in words.
    """
    columns = 2 if len(fits) in (2, 4) else min(len(fits), COLUMNS)
    rows = -(-len(fits) // columns)
    side = WIDTH / columns if columns > 1 else 0.6 * WIDTH
    figure = Figure(figsize=(side * columns, (side + 0.5) * rows + 1.1), layout="constrained")
    handles = [
        Line2D(
            [], [], color=GRID, lw=0.8, marker="o", ms=4, mfc=OOD, mec="white", label="measured"
        ),
        Line2D([], [], color=TRAIN, lw=2.2, label="Eq. 1, fitted"),
        Line2D([], [], color=MUTED, lw=1.2, ls="--", label="best null, a simpler curve"),
    ]
    panels = panels_over_legend(figure, rows, columns, handles, ncols=3)
    for axes, (name, fitted) in zip(panels.flat, fits.items(), strict=False):
        square(axes)
        null = min(fitted.nulls, key=lambda other: other.aicc)
        points = fitted.observed[0]
        axes.plot(*points.T, color=GRID, lw=0.8, zorder=1)
        shades = _shades(OOD_TIME, len(points))
        axes.scatter(*points.T, c=shades, s=14, lw=0.4, ec="white", zorder=3)
        axes.plot(*null.curves[0].T, color=MUTED, lw=1.2, ls="--")
        _shaded(axes, fitted.theory.curves[0], TRAIN_TIME)
        plural = "seed" if fitted.seeds == 1 else "seeds"
        axes.set_title(f"{name}\nΔAICc {fitted.margin:+.0f}, {fitted.seeds} {plural}")
        axes.set(xlabel=f"{concepts[0]} (coordinate)", ylabel=f"{concepts[1]} (coordinate)")
        text = f"null: {null.family.name}"
        axes.annotate(text, (0.5, -0.06), color=MUTED, fontsize=SMALLEST, ha="center")
    for unused in panels.flat[len(fits) :]:
        unused.set_axis_off()
    footnote(
        figure,
        "Dots: means over seeds. Light to dark: early to late. ΔAICc: by how much Eq. 1 is better "
        "(+) or worse (-) than the best null; from 2 on it counts.",
    )
    heading(figure, title, subtitle)
    return figure


def square(axes: Axes) -> None:
    """A unit square with the classes named at its corners."""
    axes.set(xlim=(-MARGIN, 1 + MARGIN), ylim=(-MARGIN, 1 + MARGIN), aspect="equal")
    axes.add_patch(Rectangle((0, 0), 1, 1, fc="#fbfbfb", ec=GRID, lw=0.8, zorder=0))
    axes.set(xticks=[0, 0.5, 1], yticks=[0, 0.5, 1], xlabel="concept 1", ylabel="concept 2")
    for name in ("00", "01", "10", "11"):
        x, y = (int(bit) for bit in name)
        axes.text(
            x + (0.03 if x else -0.03),
            y + (0.06 if y else -0.06),
            name,
            color=OOD if name == "11" else TRAIN,
            ha="left" if x else "right",
            va="center",
            fontsize=SMALLEST,
            fontweight="bold",
        )


def _shades(ramp: Colormap, count: int) -> Array:
    return np.asarray(ramp(np.linspace(0.25, 1, count)), dtype=np.float64)


def _shaded(axes: Axes, curve: Array, ramp: Colormap) -> None:
    """A curve that darkens from its first to its last point."""
    segments = np.stack([curve[:-1], curve[1:]], axis=1)
    colors = _shades(ramp, len(segments))
    axes.add_collection(LineCollection(list(segments), colors=colors, lw=2.2, zorder=2.5))
