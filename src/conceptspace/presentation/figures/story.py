"""Loss, accuracies and trajectory side by side: only one of them turns (paper Fig. 12)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from conceptspace.errors import UserError
from conceptspace.presentation.figures.curves import accuracy_panel, loss_panel
from conceptspace.presentation.figures.trajectory import Painter
from conceptspace.presentation.style import INK, Step, footnote, mark_band, styled
from conceptspace.space import ConceptSpace
from conceptspace.tables import NAIVE


@styled
def story_figure(
    table: pd.DataFrame,
    training: Sequence[pd.DataFrame],
    space: ConceptSpace,
    class_images: Mapping[str, ArrayLike],
    *,
    turn: Step | None = None,
    band: tuple[Step, Step] | None = None,
    smoothing: float = 1.0,
    title: str = "",
) -> Figure:
    """The loss, the joint accuracy of every class, and the trajectory with its turn as a star.

    Args:
        table: trajectories of one or more runs, columns ``store.TRAJECTORY_COLUMNS``.
        training: ``Run.training()`` of the runs, at least one.
        space: two concepts, and which classes train.
        class_images: an image of each class, shape (3, H, W) or (H, W, 3) in [0, 1].
        turn: step of the star.
        band: first and last step of the turn, as a band in the first two panels.
        smoothing: standard deviation, in checkpoints, of the Gaussian average drawn as the line.
        title: above the figure.

    Raises:
        UserError: no training log, or not two concepts.
    """
    if not training or len(space.concepts) != 2:
        raise UserError("loss, accuracy and trajectory side by side need a log and two concepts")
    painter = Painter.of(table, space, NAIVE, smoothing, turn)
    figure = Figure(figsize=(11.2, 4.5), layout="constrained")
    loss, accuracy, square = figure.subplots(1, 3, width_ratios=(1, 1, 1.45))
    loss_panel(loss, training)
    accuracy_panel(accuracy, painter.table, space, NAIVE, None)
    accuracy.legend(loc="best", fontsize=6.8, frameon=True, framealpha=0.85, edgecolor="none")
    for letter, axes in zip("ab", (loss, accuracy), strict=True):
        mark_band(axes, band, "turn")
        axes.set_title(f"{letter}  {axes.get_title(loc='left')}", pad=12 if band else 6)
        axes.set_xlabel("step")
        axes.set_xlim(left=0)
    painter.square(square, (0, 1), class_images, bar=False)
    square.set_title("c  trajectory in concept space", pad=12 if band else 6)
    footnote(figure, painter.note())
    if title:
        figure.suptitle(title, fontsize=9.5, fontweight="bold", color=INK)
    return figure
