"""Fig. 16: learning dynamics under classifier-free guidance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from conceptspace.analysis.claims import Row
from conceptspace.analysis.trajectories import paths
from conceptspace.analysis.turning import detect_turn
from conceptspace.paper.fig16 import criteria
from conceptspace.paper.framework.caption import caption
from conceptspace.paper.framework.figure import PaperFigure, Rows
from conceptspace.paper.framework.results import Result, joined, world
from conceptspace.paper.settings import GUIDED_SEEDS, guided
from conceptspace.paper.thresholds import COINCIDENT
from conceptspace.presentation.drawing import class_images
from conceptspace.presentation.figures import guidance_figure
from conceptspace.space import ConceptSpace
from conceptspace.sweeps.plan import Plan
from conceptspace.tables import JOINT

TITLE = "Trajectories under classifier-free guidance"
PROTOCOL, ONE = "guidance", "1"


@dataclass(frozen=True)
class Data:
    """The data that the figure shows.

    Attributes:
        table: trajectories of all seeds.
        space: the concepts.
        images: an image of each class.
        weights: guidance weights that see the prompt, in rising order, as the table names them.
        shifts: by seed, where the trajectory at the largest weight bends most, less where that at
            weight 1 does, as a share of training.
        gains: by seed, the largest gain of mean joint accuracy over weight 1 before the step where
            its trajectory at weight 1 bends most.
    """

    table: pd.DataFrame
    space: ConceptSpace
    images: Mapping[str, NDArray[np.float32]]
    weights: list[str]
    shifts: list[float]
    gains: list[float]


def plans(preset: str, seeds: Sequence[int] | None = None) -> list[Plan]:
    """Runs trained for guidance, asked with every weight."""
    return guided(preset, seeds or GUIDED_SEEDS[preset])


def analyse(preset: str, results: Sequence[Result]) -> Data:
    """Where the trajectories turn, and what guidance gains before."""
    shapes = world(results)
    ood = str(shapes.space.ood_classes[0])
    table = joined(results)
    rows = table[table["protocol"] == PROTOCOL]
    weights = sorted((w for w in rows["setting"].unique() if float(w) >= 1), key=float)
    last = float(table["step"].max())
    turns = [_bend(result, ood, ONE) for result in results]
    pairs = list(zip(results, turns, strict=True))
    shifts = [(_bend(result, ood, weights[-1]) - turn) / last for result, turn in pairs]
    gains = [_gain(result, ood, turn, weights) for result, turn in pairs]
    return Data(table, shapes.space, class_images(shapes), weights, shifts, gains)


def draw(data: Data, rows: Rows) -> Mapping[str, Figure]:
    """One square per class, one trajectory per weight."""
    found = caption(rows["fig16-turn"])
    drawn = guidance_figure(data.table, data.space, data.images, title=TITLE, subtitle=found)
    return {"fig16": drawn}


def checks(data: Data) -> list[Row]:
    """Where the trajectory turns under guidance, and what that gains before."""
    return [
        criteria.guided_turn(data.shifts, f"1 to {data.weights[-1]}"),
        criteria.guided_before(data.gains),
    ]


def _bend(result: Result, ood: str, weight: str) -> float:
    found = paths(result.table, PROTOCOL, ood, setting=weight)
    return detect_turn(found.steps, found.values, found.samples).step


def _gain(result: Result, ood: str, turn: float, weights: Sequence[str]) -> float:
    rows = result.table[result.table["protocol"] == PROTOCOL]
    rows = rows[(rows["concept_class"] == ood) & (rows["concept"] == JOINT)]
    before = rows[rows["step"] < turn].groupby("setting")["accuracy"].mean()
    return float(max(before[w] - before[ONE] for w in weights)) if len(before) else 0.0


FIGURE = PaperFigure(
    name="fig16",
    number="16",
    title=TITLE,
    claim="The OOD trajectory shows the same turn under any guidance weight, and guidance has no "
    "effect before it.",
    cost={"quick": "8 runs", "paper": "5 runs of 20 minutes on an A100"},
    plans=plans,
    analyse=analyse,
    draw=draw,
    checks=checks,
    primary="fig16-turn",
    endpoint="by how much later the trajectory turns at the largest weight than at weight 1: "
    f"within ±{COINCIDENT:g} of training",
)
