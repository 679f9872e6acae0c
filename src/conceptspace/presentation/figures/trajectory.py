"""The learning trajectory in concept space (paper Fig. 4, 13, 15)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, Normalize, PowerNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import ArrayLike

from conceptspace.presentation.figures.square import (
    axis_label,
    color_of,
    corner_classes,
    on_axes,
    time_bar,
    unit_square,
)
from conceptspace.presentation.figures.strokes import gradient_line, step_labels, tube
from conceptspace.presentation.series import (
    Series,
    highest,
    of_protocol,
    series,
    smooth,
)
from conceptspace.presentation.style import (
    INK,
    MARKERS,
    OOD,
    OOD_TIME,
    TRAIN_TIME,
    Step,
    footnote,
    pixels,
    styled,
)
from conceptspace.space import ConceptSpace
from conceptspace.tables import NAIVE

COLUMNS = 3


@styled
def trajectory_figure(
    table: pd.DataFrame,
    space: ConceptSpace,
    class_images: Mapping[str, ArrayLike],
    *,
    protocol: str = NAIVE,
    smoothing: float = 1.0,
    turn: Step | None = None,
    title: str = "",
) -> Figure:
    """Where the generated images of every class stand in concept space, over training.

    Two concepts span a unit square with the classes at its corners; more concepts give one square
    for each pair; one concept is drawn against the steps.

    Args:
        table: trajectories of one or more runs, columns ``store.TRAJECTORY_COLUMNS``.
        space: the concepts, and which classes train.
        class_images: an image of each class, shape (3, H, W) or (H, W, 3) in [0, 1]; classes
            without one are marked by their name alone.
        protocol: whose curves; the best setting of each checkpoint if it has several.
        smoothing: standard deviation, in checkpoints, of the Gaussian average that is drawn as the
            line; the dots are never smoothed. 0 joins the dots.
        turn: step to mark with a star on the OOD curve, for up to two concepts.
        title: above the figure.
    """
    painter = Painter.of(table, space, protocol, smoothing, turn)
    pairs = list(combinations(range(len(space.concepts)), 2))
    columns, rows = min(len(pairs), COLUMNS) or 1, -(-len(pairs) // COLUMNS) or 1
    side = 5.2 if len(pairs) == 1 else 3.7
    size = (columns * side, rows * side + 0.45) if pairs else (5.6, 3.6)
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False)
    for axes, pair in zip(panels.flat, pairs, strict=False):
        painter.square(axes, pair, class_images, bar=axes is panels[0, 0])
    if not pairs:
        painter.against_steps(panels[0, 0], class_images)
    for unused in panels.flat[max(len(pairs), 1) :]:
        unused.set_axis_off()
    if painter.crowded and space.ood_classes:
        legend: dict[str, Any] = {"loc": "outside lower center", "ncols": 8, "title_fontsize": 6.8}
        figure.legend(*painter.legend(), title=painter.note(), **legend)
    else:
        footnote(figure, painter.note())
    if title:
        figure.suptitle(title, fontsize=9.5, fontweight="bold", color=INK)
    return figure


@dataclass(frozen=True)
class Painter:
    """What all curves of the figure share."""

    table: pd.DataFrame
    space: ConceptSpace
    protocol: str
    smoothing: float
    turn: Step | None
    norm: Normalize

    @classmethod
    def of(
        cls,
        table: pd.DataFrame,
        space: ConceptSpace,
        protocol: str,
        smoothing: float,
        turn: Step | None,
    ) -> Painter:
        """Of the best settings of a protocol, shaded from the first to the last step."""
        table = highest(of_protocol(table, protocol))
        steps = table["step"]
        norm = PowerNorm(0.5, steps.min(), max(steps.max(), steps.min() + 1))
        return cls(table, space, protocol, smoothing, turn, norm)

    @property
    def crowded(self) -> bool:
        return len(self.space.concepts) > 2

    @property
    def classes(self) -> list[str]:
        """The classes that were measured; a protocol may concern the OOD classes alone."""
        measured = set(self.table["concept_class"])
        return [name for name in self.space.classes if name in measured]

    def coordinates(self, name: str, pair: Sequence[int]) -> list[Series]:
        concepts = [self.space.concepts[i].name for i in pair]
        return [series(self.table, name, c, "coordinate", self.protocol) for c in concepts]

    def ramps(self) -> dict[str, Colormap]:
        """The shades of time, under what they stand for."""
        return {"training": TRAIN_TIME} | ({"OOD": OOD_TIME} if self.space.ood_classes else {})

    def marker(self, name: str) -> str:
        """Training classes have dots; each OOD class has a marker of its own."""
        ood: list[str] = list(self.space.ood_classes)
        return MARKERS[1 + ood.index(name) % 6] if name in ood else "o"

    def legend(self) -> tuple[list[Line2D], list[str]]:
        """Markers and names of the OOD classes, where several share a corner."""
        style: dict[str, Any] = {"ls": "none", "mfc": OOD, "mec": "white", "ms": 6}
        lines = [Line2D([], [], marker=self.marker(c), **style) for c in self.space.ood_classes]
        return lines, [f"{c} {self.space.describe(c)}" for c in self.space.ood_classes]

    def note(self) -> str:
        """What smoothing and shading mean."""
        drawn = self.coordinates(self.classes[0], [0])[0]
        parts = []
        if self.smoothing > 0:
            parts.append(
                "Lines are smoothed for drawing (Gaussian over neighboring checkpoints, "
                f"σ = {self.smoothing:g}); dots are the raw means."
            )
        if not self.crowded:
            whose = "" if len(drawn.runs) > 1 or not self.space.ood_classes else " of the OOD class"
            parts.append(f"Shaded: {drawn.interval}{whose}.")
        if len(drawn.runs) > 1:
            parts.append("Thin lines: single runs.")
        if max(self.space.sizes) > 2:
            parts.append("Axes run between two values; classes with others are not drawn.")
        if self.turn is not None and not self.crowded:
            parts.append(f"Star: turn, step {self.turn:,.0f}.")
        return " ".join(parts)

    def square(
        self,
        axes: Axes,
        pair: Sequence[int],
        class_images: Mapping[str, ArrayLike],
        bar: bool = True,
    ) -> None:
        """All classes over two concepts, and how shades stand for steps."""
        unit_square(axes, self.space, pair)
        corner_classes(axes, self.space, pair, class_images)
        for name in self.classes:
            if on_axes(self.space, name, pair):
                self.curve(axes, name, pair)
        if bar:
            time_bar(axes, self.norm, self.ramps())

    def curve(self, axes: Axes, name: str, pair: Sequence[int]) -> None:
        """One class over two concepts: a line that darkens with time, its dots, start and end."""
        ood = name in self.space.ood_classes
        color, ramp = color_of(self.space, name), OOD_TIME if ood else TRAIN_TIME
        curves = self.coordinates(name, pair)
        steps = curves[0].steps
        if not self.crowded and (ood or len(curves[0].runs) > 1):
            tube(axes, curves, color)
        if len(curves[0].runs) > 1 and (ood or not self.crowded):
            for seed in np.stack([c.runs for c in curves], axis=1):
                axes.plot(*smooth(seed, self.smoothing), color=color, lw=0.6, alpha=0.35, zorder=2)
        raw = np.stack([c.mean for c in curves])
        line = smooth(raw, self.smoothing)
        width = (1.8 if ood else 1.2) if self.crowded else (2.6 if ood else 1.8)
        gradient_line(axes, line.T, ramp, self.norm(steps), width, 6.0 if ood else 5.0)
        marker, area = self.marker(name), 14.0 if ood else 10.0
        shades = ramp(self.norm(steps))
        axes.scatter(raw[0], raw[1], c=shades, marker=marker, s=area, lw=0.4, ec="white", zorder=7)
        axes.plot(*line[:, :1], marker=marker, ms=7.5, mfc="white", mec=color, mew=1.5, zorder=8)
        if ood and not self.crowded:
            step_labels(axes, line.T, steps)
        if ood and self.turn is not None and not self.crowded:
            at = [float(np.interp(self.turn, steps, values)) for values in line]
            axes.plot(*at, marker="*", ms=14, color="#ffd23f", mec=INK, mew=0.8, zorder=9)

    def against_steps(self, axes: Axes, class_images: Mapping[str, ArrayLike]) -> None:
        """One concept: its coordinate over the steps, the two classes beside the ends."""
        for name in self.classes:
            if not on_axes(self.space, name, [0]):
                continue
            drawn = self.coordinates(name, [0])[0]
            ood = name in self.space.ood_classes
            color, ramp = color_of(self.space, name), OOD_TIME if ood else TRAIN_TIME
            axes.fill_between(drawn.steps, drawn.low, drawn.high, color=color, alpha=0.15, lw=0)
            if len(drawn.runs) > 1:
                axes.plot(drawn.steps, drawn.runs.T, color=color, lw=0.6, alpha=0.35)
            line = np.stack([drawn.steps.astype(float), smooth(drawn.mean, self.smoothing)])
            gradient_line(axes, line.T, ramp, self.norm(drawn.steps), 2.2, 5.0, arrows=False)
            axes.scatter(drawn.steps, drawn.mean, c=ramp(self.norm(drawn.steps)), s=10, zorder=6)
            if name in class_images:
                tile = axes.inset_axes(
                    (1.02, 0.72 if self.space.corner(name)[0] else 0.02, 0.2, 0.28)
                )
                tile.imshow(pixels(class_images[name]), interpolation="nearest")
                tile.set(xticks=[], yticks=[])
                tile.spines[:].set(visible=True, color=color)
                tile.set_xlabel(f"{name} {self.space.describe(name)}", color=color, labelpad=2)
        axes.set(ylim=(-0.03, 1.03), xlabel="step")
        axes.set_ylabel(axis_label(self.space, 0))
