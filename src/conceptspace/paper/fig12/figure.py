"""Fig. 12: loss, accuracy and trajectory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from conceptspace.analysis.claims import Row
from conceptspace.analysis.findings import change_points, turn_of
from conceptspace.analysis.kinks import Kink
from conceptspace.analysis.turning import Turn, find_turn
from conceptspace.paper.fig12 import criteria
from conceptspace.paper.framework.caption import caption
from conceptspace.paper.framework.figure import PaperFigure, Rows
from conceptspace.paper.framework.results import Result, joined, world
from conceptspace.paper.settings import studied
from conceptspace.presentation.drawing import class_images
from conceptspace.presentation.figures import learning_curves, story_figure
from conceptspace.space import ConceptSpace
from conceptspace.tables import NAIVE

TITLE = "Loss, accuracy and trajectory"

Case = tuple[Turn | None, dict[str, Kink]]
"""Turn of the OOD trajectory, and the strongest change of slope of each curve."""


@dataclass(frozen=True)
class Data:
    """The data that the figure shows.

    Attributes:
        table: naive trajectories of all seeds.
        logs: training logs, none if a run kept none.
        space: the concepts.
        images: an image of each class.
        whole: of all seeds.
        left_out: without each seed in turn.
        ranks: of each seed with a log, see :func:`loss_rank`.
    """

    table: pd.DataFrame
    logs: list[pd.DataFrame]
    space: ConceptSpace
    images: Mapping[str, NDArray[np.float32]]
    whole: Case
    left_out: list[Case]
    ranks: list[float]


def analyse(preset: str, results: Sequence[Result]) -> Data:
    """Turn and change points of all seeds, and without each of them."""
    shapes = world(results)
    space = shapes.space
    table, ood = joined(results), str(space.ood_classes[0])
    logs = [result.log for result in results if result.log is not None]
    others = [[r for r in results if r is not left] for left in results]
    return Data(
        table[table["protocol"] == NAIVE],
        logs if len(logs) == len(results) else [],
        space,
        class_images(shapes),
        _case(results, space),
        [_case(of, space) for of in others if of],
        [
            loss_rank(result.log, result.table, find_turn(result.table, ood).step)
            for result in results
            if result.log is not None
        ],
    )


def loss_rank(log: pd.DataFrame, table: pd.DataFrame, bend: float) -> float:
    """How much the loss bends at a step, as a rank among all checkpoints in [0, 1].

    Args:
        log: columns step and diffusion.
        table: whose steps are the checkpoints.
        bend: the step.
    """
    steps = np.sort(table["step"].unique()).astype(np.float64)
    steps = steps[steps > 0]
    parts = pd.cut(log["step"], [0.0, *steps])
    loss = np.log(log.groupby(parts, observed=True)["diffusion"].mean().to_numpy(dtype=np.float64))
    bends = np.abs(np.diff(loss, 2))
    at = int(np.abs(steps[1:-1] - bend).argmin())
    others = np.delete(bends, at)
    return float((others < bends[at]).mean())


def draw(data: Data, rows: Rows) -> Mapping[str, Figure]:
    """Loss, accuracies and trajectory; without a log the accuracies alone."""
    style: dict[str, Any] = {
        "turn": data.whole[0],
        "title": TITLE,
        "subtitle": caption(rows["fig12-unremarkable"]),
    }
    if not data.logs:
        return {"fig12": learning_curves(data.table, None, data.space, **style)}
    return {"fig12": story_figure(data.table, data.logs, data.space, data.images, **style)}


def checks(data: Data) -> list[Row]:
    """Change points within the interval of the turn."""
    return [
        criteria.unremarkable_loss(data.ranks),
        criteria.smooth_loss(*data.whole, data.left_out),
    ]


def _case(results: Sequence[Result], space: ConceptSpace) -> Case:
    table = joined(results)
    logs = {r.seed: r.log for r in results if r.log is not None}
    training = logs if len(logs) == len(results) else {}
    return (
        turn_of(table, str(space.ood_classes[0])),
        change_points(table, space.train_classes, training),
    )


FIGURE = PaperFigure(
    name="fig12",
    number="12",
    title=TITLE,
    claim="The loss and the in-distribution accuracy show no change point where the trajectory "
    "turns.",
    cost={"quick": "the first 12 runs of Fig. 6", "paper": "the 5 runs of Fig. 6"},
    plans=studied,
    analyse=analyse,
    draw=draw,
    checks=checks,
    primary="fig12-unremarkable",
    endpoint="rank of the loss's bend at the step where the trajectory bends (chance: 1/2): "
    "below 3/4",
    keeps=("training",),
)
