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

from conceptspace.analysis.turning import Turn
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
)
from conceptspace.presentation.style import (
    INK,
    MARKERS,
    OOD,
    OOD_TIME,
    TRAIN_TIME,
    WIDTH,
    detected,
    fitting,
    footnote,
    heading,
    panels_over_legend,
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
    turn: Turn | None = None,
    title: str = "",
    subtitle: str = "",
) -> Figure:
    """Where the generated images of every class stand in concept space, over training.

    Two concepts span a unit square with the classes at its corners; more concepts give one square
    for each pair; one concept is drawn against the steps.

    Args:
        table: trajectories of one or more runs, columns
            :data:`conceptspace.tables.TRAJECTORY_COLUMNS`.
        space: the concepts, and which classes train.
        class_images: an image of each class, shape (3, H, W) or (H, W, 3) in [0, 1]; classes
            without one are marked by their name alone.
        protocol: whose curves; the best setting of each checkpoint if it has several.
        turn: if it is detected, marked with a star on the OOD curve, for up to two concepts.
        title: above the figure, neutral.
        subtitle: below the title; what was found, in words.
    """
    painter = Painter.of(table, space, protocol, turn)
    pairs = list(combinations(range(len(space.concepts)), 2))
    columns, rows = min(len(pairs), COLUMNS) or 1, -(-len(pairs) // COLUMNS) or 1
    if len(pairs) == 1:
        size = (0.75 * WIDTH, 0.75 * WIDTH + 0.6)
    else:
        size = (WIDTH, rows * WIDTH / columns + 1.0) if pairs else (0.75 * WIDTH, 3.8)
    figure = Figure(figsize=size, layout="constrained")
    handles = painter.legend() if painter.crowded else []
    panels = panels_over_legend(figure, rows, columns, handles, ncols=fitting(handles, 4))
    for axes, pair in zip(panels.flat, pairs, strict=False):
        painter.square(axes, pair, class_images)
    if not pairs:
        painter.against_steps(panels[0, 0], class_images)
    for unused in panels.flat[max(len(pairs), 1) :]:
        unused.set_axis_off()
    footnote(figure, painter.note())
    heading(figure, title, subtitle)
    return figure


@dataclass(frozen=True)
class Painter:
    """What all curves of the figure share."""

    table: pd.DataFrame
    space: ConceptSpace
    protocol: str
    turn: Turn | None
    norm: Normalize

    @classmethod
    def of(
        cls,
        table: pd.DataFrame,
        space: ConceptSpace,
        protocol: str,
        turn: Turn | None = None,
    ) -> Painter:
        """Of the best settings of a protocol, shaded from the first to the last step."""
        table = highest(of_protocol(table, protocol))
        steps = table["step"]
        norm = PowerNorm(0.5, steps.min(), max(steps.max(), steps.min() + 1))
        return cls(table, space, protocol, detected(turn), norm)

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

    def legend(self) -> list[Line2D]:
        """Markers and names of the OOD classes, where several share a corner."""
        style: dict[str, Any] = {"ls": "none", "mfc": OOD, "mec": "white", "ms": 6}
        return [
            Line2D([], [], marker=self.marker(c), label=f"{c} {self.space.describe(c)}", **style)
            for c in self.space.ood_classes
        ]

    def note(self) -> str:
        """What lines, marks and shades mean."""
        drawn = self.coordinates(self.classes[0], [0])[0]
        several = len(drawn.runs) > 1
        parts = ["Blue: training classes"]
        parts[0] += "; magenta: OOD." if self.space.ood_classes else "."
        if self.space.names[1:]:
            parts.append("Hollow: first checkpoint; light to dark: early to late.")
        if several:
            parts.append(f"Thick lines with dots: means of {len(drawn.runs)} runs")
            parts[-1] += "." if self.crowded else "; thin lines: single runs."
        if not self.space.names[1:]:
            parts.append(f"Shaded: {drawn.interval}.")
        elif not self.crowded and not several and self.space.ood_classes:
            parts.append(f"Shaded: {drawn.interval} of the OOD class.")
        if max(self.space.sizes) > 2:
            parts.append("Axes run between two values; classes with others are not drawn.")
        if self.turn is not None and len(self.space.names) == 2:
            parts.append(f"Star: turn, step {self.turn.step:,.0f}.")
        return " ".join(parts)

    def square(
        self,
        axes: Axes,
        pair: Sequence[int],
        class_images: Mapping[str, ArrayLike],
        small: bool = False,
    ) -> None:
        """All classes over two concepts, and, if there is room, which steps the shades are."""
        unit_square(axes, self.space, pair)
        corner_classes(axes, self.space, pair, class_images)
        for name in self.classes:
            if on_axes(self.space, name, pair):
                self.curve(axes, name, pair, steps=not small and not self.crowded)
        if not small and not self.crowded:
            time_bar(axes, self.norm, self.ramps())

    def curve(self, axes: Axes, name: str, pair: Sequence[int], steps: bool) -> None:
        """One class over two concepts: a line that darkens with time, its dots, start and end."""
        ood = name in self.space.ood_classes
        color, ramp = color_of(self.space, name), OOD_TIME if ood else TRAIN_TIME
        curves = self.coordinates(name, pair)
        at = curves[0].steps
        if ood and not self.crowded and len(curves[0].runs) == 1:
            tube(axes, curves, color)
        if len(curves[0].runs) > 1 and not self.crowded:
            for seed in np.stack([c.runs for c in curves], axis=1):
                axes.plot(*seed, color=color, lw=0.6, alpha=0.35, zorder=2)
        line = np.stack([c.mean for c in curves])
        width = (1.6 if ood else 1.1) if self.crowded else (2.4 if ood else 1.7)
        shades = self.norm(at)
        gradient_line(axes, line.T, ramp, shades, width, 6.0 if ood else 5.0)
        marker, area = self.marker(name), 14.0 if ood else 10.0
        dots: dict[str, Any] = {"marker": marker, "s": area, "lw": 0.4, "ec": "white", "zorder": 7}
        axes.scatter(line[0], line[1], c=ramp(shades), **dots)
        size = 5.0 if self.crowded else 7.5
        axes.plot(*line[:, :1], marker=marker, ms=size, mfc="white", mec=color, mew=1.3, zorder=8)
        if ood and steps:
            step_labels(axes, line.T, at)
        if ood and self.turn is not None and not self.crowded:
            place = [float(np.interp(self.turn.step, at, values)) for values in line]
            axes.plot(*place, marker="*", ms=14, color="#ffd23f", mec=INK, mew=0.8, zorder=9)

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
            line = np.stack([drawn.steps.astype(float), drawn.mean])
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
