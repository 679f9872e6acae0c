"""How a curve through concept space is drawn: time as shade, arrows, intervals, steps."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import Colormap
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray
from scipy.spatial import ConvexHull

from conceptspace.analysis.trajectories import Array
from conceptspace.presentation.series import Series

STEP_LABELS = 6
LABEL_SIZE = (0.17, 0.055)


def gradient_line(
    axes: Axes,
    points: Array,
    ramp: Colormap,
    shade: Array,
    width: float,
    zorder: float,
    arrows: bool = True,
) -> None:
    """A line through ``points``, shape (T, 2), whose shade in [0, 1] is time."""
    if len(points) < 2:
        return
    segments = list(np.stack([points[:-1], points[1:]], axis=1))
    shades = ramp((shade[:-1] + shade[1:]) / 2)
    axes.add_collection(
        LineCollection(segments, colors=shades, linewidths=width, zorder=zorder, capstyle="round")
    )
    if not arrows:
        return
    passed = np.r_[0.0, np.cumsum(np.hypot(*np.diff(points, axis=0).T))]
    for share in (0.3, 0.65):
        at = int(np.searchsorted(passed, share * passed[-1]))
        if at > 0 and passed[-1] > 0.1:
            direction = points[at] - points[at - 1]
            start = points[at] - direction / np.hypot(*direction) * 1e-3
            arrow = {"arrowstyle": "-|>", "color": ramp(shade[at]), "mutation_scale": 13, "lw": 0}
            axes.annotate("", points[at], start, arrowprops=arrow, zorder=zorder + 1.5)


def tube(axes: Axes, curves: Sequence[Series], color: str) -> None:
    """The interval around a curve: ellipses at the checkpoints, joined; drawn as one area."""
    angle = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    outline = []
    for c, wave in zip(curves, (np.cos(angle), np.sin(angle)), strict=True):
        reach = np.where(wave > 0, (c.high - c.mean)[:, None], (c.mean - c.low)[:, None])
        outline.append(c.mean[:, None] + np.maximum(reach, 2e-3) * wave)
    ellipses = np.stack(outline, axis=-1)
    pieces = []
    for before, after in pairwise(ellipses):
        both = np.concatenate([before, after])
        hull = both[ConvexHull(both).vertices]
        pieces.append(Path(np.r_[hull, hull[:1]], closed=True))
    if pieces:
        area = Path.make_compound_path(*pieces)
        axes.add_patch(PathPatch(area, fc=color, alpha=0.13, lw=0, zorder=1))


def step_labels(axes: Axes, points: Array, steps: NDArray[np.int64]) -> None:
    """Write some steps beside a curve, where the words do not collide."""
    written: list[Array] = []
    last = len(steps) - 1
    candidates = [0, last, *np.linspace(0, last, STEP_LABELS + 2).round().astype(int)[1:-1]]
    for at in dict.fromkeys(candidates):
        ahead, behind = points[min(at + 1, last)], points[max(at - 1, 0)]
        tangent = ahead - behind
        length = np.hypot(*tangent)
        normal = np.array([-tangent[1], tangent[0]]) / length if length > 0 else np.array([0.0, 1])
        place = points[at] + normal * 0.05 + [0.05 * np.sign(normal[0]), 0]
        if any((np.abs(place - other) < LABEL_SIZE).all() for other in written):
            continue
        written.append(place)
        text = f"step {steps[at]:,}" if at == 0 else f"{steps[at]:,}"
        _outlined(axes, points[at], text, "#8e0d57", 7.0, normal * 10)


def _outlined(
    axes: Axes,
    at: Array,
    text: str,
    color: str,
    size: float,
    offset: Array | tuple[float, float] = (0, 8),
) -> None:
    axes.annotate(
        text,
        (float(at[0]), float(at[1])),
        (float(offset[0]), float(offset[1])),
        textcoords="offset points",
        ha="left" if offset[0] > 4 else "right" if offset[0] < -4 else "center",
        va="center",
        fontsize=size,
        color=color,
        fontweight="bold",
        zorder=10,
        path_effects=[withStroke(linewidth=2.2, foreground="white")],
    )
