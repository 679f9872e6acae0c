"""One look for all figures: palette, type, class images, and writing them to disk.

Training classes are blue and OOD classes magenta, as in the paper; the two hues differ in
lightness too and stay apart under every common color-vision deficiency.
"""

from __future__ import annotations

import io
import textwrap
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property, wraps
from pathlib import Path
from typing import Any, ParamSpec

import matplotlib
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import ArrayLike, NDArray

from conceptspace.analysis.turning import Turn
from conceptspace.files import write_atomically

TRAIN = "#1f6fb4"
OOD = "#d01c7f"
INK = "#222222"
MUTED = "#767676"
GRID = "#d9d9d9"
TURN = "#e6a700"
TURN_INK = "#7a5800"

TRAIN_SHADES = ("#0b3c6b", "#1f6fb4", "#5fa3dc", "#3e8e9e", "#7a8fd0", "#9cc5ea")
OOD_SHADES = ("#d01c7f", "#8e0d57", "#f06fae", "#a8458f", "#e8467c", "#c98bb9")
CONCEPT_COLORS = ("#e08214", "#00876c", "#7b3fa0", "#8c6d1f", "#4d4d4d", "#b2182b")
CONCEPT_DASHES = ("-", (0, (5, 1.5)), (0, (1.5, 1.2)), "-.", ":", (0, (3, 1, 1, 1, 1, 1)))
MARGIN = 0.008
LETTERS = 124
KEY = 8
"""Where a line of text starts, as a share of the width; letters in an inch, times the font size in
points; and how many letters wide a legend's key and its gaps are."""

MARKERS = ("o", "D", "s", "^", "v", "P", "X", "*")

WIDTH = 7.2
"""Inches, of a figure over both columns of a page; letters are sized for it."""

SMALL, SMALLEST = 8.0, 7.5
"""Points: ticks and legends; small print and what stands among the data."""

TRAIN_TIME: Colormap = LinearSegmentedColormap.from_list("train", ["#b9d6f0", TRAIN, "#08305c"])
OOD_TIME: Colormap = LinearSegmentedColormap.from_list("ood", ["#f9c0dd", OOD, "#5e0539"])
"""Early to late: light to dark."""

RC: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlecolor": INK,
    "axes.labelsize": 9,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": False,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "legend.fontsize": SMALL,
    "legend.title_fontsize": SMALL,
    "legend.frameon": False,
    "lines.solid_capstyle": "round",
    "figure.autolayout": False,
    "figure.constrained_layout.use": False,
    "figure.dpi": 200,
    "savefig.dpi": 200,
    "svg.hashsalt": "conceptspace",
    "svg.fonttype": "path",
    "path.simplify": True,
}


P = ParamSpec("P")
Step = float | int
"""A gradient step; between checkpoints it need not be whole."""


def styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Run a drawing function under :data:`RC`, whatever the caller's settings are.

    The layout is computed once and then kept, so that every file of a figure shows the same, and
    matplotlib need not look for it again before each.
    """

    @wraps(draw)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with matplotlib.rc_context(RC):
            figure = draw(*args, **kwargs)
            lay_out(figure)
            return figure

    return wrapper


def lay_out(figure: Figure) -> None:
    """Place what is in a figure, once and for all; nothing is drawn for that."""
    if engine := figure.get_layout_engine():
        for _ in range(2):
            engine.execute(figure)
    figure.set_layout_engine(None)


def pixels(image: ArrayLike) -> NDArray[np.uint8]:
    """An image as matplotlib and Pillow want it, shape (H, W, 3).

    Args:
        image: shape (3, H, W) or (H, W, 3); floats in [0, 1] or bytes.
    """
    array = np.asarray(image)
    if array.ndim == 3 and array.shape[-1] != 3 and array.shape[0] == 3:
        array = array.transpose(1, 2, 0)
    if array.ndim != 3 or array.shape[-1] != 3:
        raise ValueError(f"an image has shape (3, H, W) or (H, W, 3), not {array.shape}")
    if array.dtype != np.uint8:
        array = (np.clip(array.astype(float), 0, 1) * 255).round().astype(np.uint8)
    return array


def heading(figure: Figure, title: str, subtitle: str = "") -> None:
    """A neutral title, and below it what was found with its interval and number of seeds."""
    if not title and not subtitle:
        return
    lines = _wrapped(figure, subtitle, SMALL)
    first = "\n" if title else ""
    style: dict[str, Any] = {"x": MARGIN, "ha": "left", "color": INK}
    figure.suptitle(first + lines, fontsize=SMALL, linespacing=1.35, **style)
    if title:
        top = 1 - 0.04 / figure.get_figheight()
        figure.text(s=title, y=top, va="top", fontsize=10, fontweight="bold", **style)


def footnote(figure: Figure, text: str) -> None:
    """Small print below a figure, wrapped to its width; line breaks are kept."""
    style: dict[str, Any] = {"x": MARGIN, "ha": "left", "color": MUTED}
    figure.supxlabel(_wrapped(figure, text, SMALLEST), fontsize=SMALLEST, **style)


def _wrapped(figure: Figure, text: str, size: float) -> str:
    width = int(figure.get_figwidth() * LETTERS / size)
    return "\n".join(textwrap.fill(line, width) for line in text.splitlines())


def _coinciding(
    points: Iterable[tuple[float, float]], apart: float
) -> list[tuple[float, float, int]]:
    groups: list[list[tuple[float, float]]] = []
    for x, y in sorted(points):
        near = groups and groups[-1][-1][0] == x and y - groups[-1][-1][1] <= apart
        if near:
            groups[-1].append((x, y))
        else:
            groups.append([(x, y)])
    return [(group[0][0], float(np.mean([y for _, y in group])), len(group)) for group in groups]


def panels_over_legend(
    figure: Figure, rows: int, columns: int, handles: Sequence[Artist], **legend: Any
) -> Any:
    """An array of panels, shape (rows, columns), above one legend; none without handles."""
    if not handles:
        return figure.subplots(rows, columns, squeeze=False)
    grid = figure.add_gridspec(rows + 1, columns, height_ratios=[*[1.0] * rows, 0.02])
    strip = figure.add_subplot(grid[rows, :])
    strip.set_axis_off()
    strip.legend(handles=handles, loc="center", borderaxespad=0, **legend)
    panels = np.empty((rows, columns), dtype=np.object_)
    for row, column in np.ndindex(rows, columns):
        panels[row, column] = figure.add_subplot(grid[row, column])
    return panels


def fitting(handles: Sequence[Artist], most: int) -> int:
    """How many columns of a legend fit the width of a page, but at most ``most``."""
    longest = max((len(str(handle.get_label())) for handle in handles), default=0) + KEY
    return max(1, min(most, int(WIDTH * LETTERS / SMALL) // longest))


def draw_tile(
    axes: Axes, image: ArrayLike, x: float, y: float, size: float, color: str | None = None
) -> None:
    """Put an image with its center at (x, y) of the data coordinates, framed in ``color``."""
    half = size / 2
    axes.imshow(
        pixels(image),
        extent=(x - half, x + half, y - half, y + half),
        interpolation="nearest",
        aspect="auto",
        zorder=4,
    )
    if color is not None:
        frame = Rectangle((x - half, y - half), size, size, fill=False, ec=color, lw=1.6, zorder=5)
        axes.add_patch(frame)


def detected(turn: Turn | None) -> Turn | None:
    """The turn if it was detected, else None."""
    return turn if turn is not None and turn.detected else None


def mark(axes: Axes, turn: Turn | None) -> None:
    """A line at the turn's estimate, named at its upper end, in the shade of its interval."""
    if turn is None:
        return
    axes.axvspan(*turn.step_interval, color=TURN, alpha=0.2, lw=0, zorder=0)
    axes.axvline(turn.step, color=TURN_INK, lw=0.9, zorder=1)
    axes.annotate(
        "turn",
        (turn.step, 1),
        (0, 2),
        xycoords=axes.get_xaxis_transform(),
        textcoords="offset points",
        ha="center",
        va="bottom",
        color=TURN_INK,
        fontsize=SMALLEST,
    )


def turn_note(turn: Turn) -> str:
    """What the line and the yellow band are."""
    return f"Yellow: turn of the trajectory, step {turn.step:,.0f}, with its 95 % interval."


def hidden_band(axes: Axes, first: float, last: float, label: str = "hidden") -> None:
    """A yellow band from the first to the last step of a hidden window, named above it."""
    axes.axvspan(first, last, color=TURN, alpha=0.16, lw=0, zorder=0)
    text: dict[str, Any] = {"ha": "center", "va": "bottom", "fontsize": SMALLEST}
    axes.text((first + last) / 2, 1.04, label, color=TURN_INK, **text)


def counted(
    axes: Axes,
    points: Iterable[tuple[float, float]],
    color: str,
    *,
    hollow: bool = False,
    apart: float = 0.0,
) -> None:
    """A mark at each point; where several coincide, one that says how many.

    Args:
        axes: in whose data coordinates the points are.
        points: x and y of each.
        color: of the marks.
        hollow: for numbers that decide nothing.
        apart: points of one x whose y are nearer than this coincide; their mark is at the mean.
    """
    for x, y, count in _coinciding(points, apart):
        size = 4.8 if count == 1 else 9.0
        face, ink = ("white", color) if hollow else (color, "white")
        edge = color if hollow else "white"
        axes.plot(x, y, "o", ms=size, mfc=face, mec=edge, mew=1.1 if hollow else 0.7, zorder=8)
        if count > 1:
            text: dict[str, Any] = {"ha": "center", "va": "center_baseline", "zorder": 9}
            axes.text(x, y, str(count), color=ink, fontsize=6.5, fontweight="bold", **text)


class Rendered:
    """The files of a figure, each drawn once, when it is asked for; the figure stays as it is."""

    def __init__(self, figure: Figure) -> None:
        self.figure = figure

    @cached_property
    def png(self) -> bytes:
        """See :func:`to_png`."""
        return to_png(self.figure)

    @cached_property
    def svg(self) -> bytes:
        """See :func:`to_svg`."""
        return to_svg(self.figure)

    def save(self, stem: Path) -> tuple[Path, Path]:
        """Write ``stem.png`` (200 dots per inch) and ``stem.svg``."""
        paths = stem.with_name(stem.name + ".png"), stem.with_name(stem.name + ".svg")
        for path, content in zip(paths, (self.png, self.svg), strict=True):
            write_atomically(path, content)
        return paths


def save(figure: Figure, stem: Path) -> tuple[Path, Path]:
    """Write ``stem.png`` (200 dots per inch) and ``stem.svg``; equal figures give equal bytes."""
    return Rendered(figure).save(stem)


def to_png(figure: Figure) -> bytes:
    """The figure as PNG, without a date or version inside."""
    return _render(figure, format="png", metadata={"Software": None})


def to_svg(figure: Figure) -> bytes:
    """The figure as SVG with its letters as outlines, without a date or version inside."""
    return _render(figure, format="svg", metadata={"Date": None, "Creator": None})


def _render(figure: Figure, **options: Any) -> bytes:
    buffer = io.BytesIO()
    with matplotlib.rc_context(RC):
        figure.savefig(buffer, facecolor="white", **options)
    return buffer.getvalue()
