"""Loss, accuracies and trajectory side by side: only one of them turns (paper Fig. 12)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from conceptspace.analysis.turning import Turn
from conceptspace.errors import UserError
from conceptspace.presentation.figures.curves import accuracy_panel, loss_panel
from conceptspace.presentation.figures.trajectory import Painter
from conceptspace.presentation.style import (
    WIDTH,
    detected,
    footnote,
    heading,
    mark,
    styled,
)
from conceptspace.space import ConceptSpace
from conceptspace.tables import NAIVE


@styled
def story_figure(
    table: pd.DataFrame,
    training: Sequence[pd.DataFrame],
    space: ConceptSpace,
    class_images: Mapping[str, ArrayLike],
    *,
    turn: Turn | None = None,
    title: str = "",
    subtitle: str = "",
) -> Figure:
    """The loss, the joint accuracy of every class, and the trajectory with its turn as a star.

    Args:
        table: trajectories of one or more runs, columns
            :data:`conceptspace.tables.TRAJECTORY_COLUMNS`.
        training: ``Run.training()`` of the runs, at least one.
        space: two concepts, and which classes train.
        class_images: an image of each class, shape (3, H, W) or (H, W, 3) in [0, 1].
        turn: a line with its interval in the panels over steps, a star on the trajectory.
        title: above the figure, neutral.
        subtitle: below the title; what was found, in words.

    Raises:
        UserError: no training log, or not two concepts.
    """
    if not training or len(space.concepts) != 2:
        raise UserError("loss, accuracy and trajectory side by side need a log and two concepts")
    turn = detected(turn)
    painter = Painter.of(table, space, NAIVE, turn)
    figure = Figure(figsize=(WIDTH, 5.2), layout="constrained")
    places = figure.subplot_mosaic([["a", "c"], ["b", "c"]], width_ratios=(1, 1.35))
    loss, accuracy, square = (places[letter] for letter in "abc")
    notes = [loss_panel(loss, training)]
    accuracy_panel(accuracy, painter.table, space, NAIVE, None)
    below: dict[str, Any] = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.01), "ncols": 2}
    square.legend(*accuracy.get_legend_handles_labels(), title="in b", **below)
    for letter, axes in zip("ab", (loss, accuracy), strict=True):
        mark(axes, turn)
        axes.set_title(f"{letter}  {axes.get_title(loc='left')}", pad=13 if turn else 6)
        axes.set_xlabel("step")
        axes.set_xlim(left=0)
    loss.sharex(accuracy)
    painter.square(square, (0, 1), class_images, small=True)
    square.set_title("c  trajectories in concept space")
    notes += [painter.note()] + (["Yellow: that step with its 95 % interval."] if turn else [])
    footnote(figure, " ".join(notes))
    heading(figure, title, subtitle)
    return figure
