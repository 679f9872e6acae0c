"""Fig. 16: learning dynamics under classifier-free guidance.

The trajectory first heads for the training class that the OOD class is mistaken for, then turns:
the concept in which the two differ, which is learned second, begins to rise. The turn of a seed is
taken to be where that concept's coordinate passes one half. (Where the trajectory bends most is no
measure of one seed: one that rests in a corner bends at any step of the rest.)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from conceptspace.analysis.claims import Bounds, Row, lag
from conceptspace.analysis.emergence import crossing
from conceptspace.analysis.trajectories import Array, paths
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
        shifts: by seed, by how much later its trajectory turns at the largest weight than at weight
            1, as a share of training, as far as that is known.
        gains: by seed, the largest gain of mean joint accuracy over weight 1 at the checkpoints up
            to the one at which the concept that is learned second is lowest at weight 1.
    """

    table: pd.DataFrame
    space: ConceptSpace
    images: Mapping[str, NDArray[np.float32]]
    weights: list[str]
    shifts: list[Bounds]
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
    second = _second(table, ood)
    shifts, gains = [], []
    for result in results:
        steps, one = _rise(result, ood, ONE, second)
        largest = _rise(result, ood, weights[-1], second)
        shifts.append(lag(crossing(*largest), crossing(steps, one), float(steps[-1])))
        gains.append(_gain(result, ood, float(steps[one.argmin()]), weights))
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


def _second(table: pd.DataFrame, ood: str) -> int:
    """The concept that is learned second: the mean trajectory at weight 1 comes nearest to a class
    that differs from the OOD class in it.
    """
    found = paths(table, PROTOCOL, ood, setting=ONE)
    return int(_towards(found.values, ood).mean(0).min(0).argmin())


def _rise(result: Result, ood: str, weight: str, concept: int) -> tuple[Array, Array]:
    """Checkpoints, and at each how near one concept of the OOD class is to its value, in [0, 1]."""
    found = paths(result.table, PROTOCOL, ood, setting=weight)
    return found.steps, _towards(found.values, ood)[0, :, concept]


def _towards(coordinates: Array, ood: str) -> Array:
    bits = np.array([int(bit) for bit in ood])
    return np.where(bits == 1, coordinates, 1 - coordinates)


def _gain(result: Result, ood: str, until: float, weights: Sequence[str]) -> float:
    rows = result.table[result.table["protocol"] == PROTOCOL]
    rows = rows[(rows["concept_class"] == ood) & (rows["concept"] == JOINT)]
    before = rows[rows["step"] <= until].groupby("setting")["accuracy"].mean()
    return float(max(before[w] - before[ONE] for w in weights))


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
    endpoint="by how much later the trajectory turns, its second concept passing one half, at the "
    "largest weight than at weight 1: "
    f"within ±{COINCIDENT:g} of training",
)
