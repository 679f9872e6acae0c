"""Figs. 4 and 13: concept signal governs generalization dynamics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from conceptspace.analysis import memorization
from conceptspace.analysis.claims import Row
from conceptspace.analysis.turning import find_turn
from conceptspace.paper.fig04 import criteria
from conceptspace.paper.framework.caption import caption
from conceptspace.paper.framework.figure import PaperFigure, Rows
from conceptspace.paper.framework.results import Result, by_seed, levels, merged_tables, world
from conceptspace.paper.settings import COLORS, SEEDS, color_runs
from conceptspace.presentation.drawing import class_images
from conceptspace.presentation.figures import conditions_figure
from conceptspace.space import ConceptSpace
from conceptspace.sweeps.plan import Plan
from conceptspace.tables import NAIVE
from conceptspace.worlds.shapes.config import ShapesData

TITLE = "Trajectories by color separation"
LABEL = "color separation"


@dataclass(frozen=True)
class Data:
    """The data that the figures show.

    Attributes:
        tables: naive trajectories by color separation.
        space: the concepts.
        images: by separation, an image of each class.
        leanings: by separation and seed, the accuracy of color less that of size on the OOD class.
        turned: by class and seed, whether the trajectory turns, one for each separation.
    """

    tables: Mapping[float, pd.DataFrame]
    space: ConceptSpace
    images: Mapping[float, Mapping[str, NDArray[np.float32]]]
    leanings: Mapping[float, Mapping[int, float]]
    turned: Mapping[str, Mapping[int, list[bool]]]


def plans(preset: str, seeds: Sequence[int] | None = None) -> list[Plan]:
    """Every color separation."""
    of = seeds or SEEDS[preset]
    return [plan for level in COLORS[preset] for plan in color_runs(preset, of, level)]


def analyse(preset: str, results: Sequence[Result]) -> Data:
    """To which side each run leans, and which trajectories turn."""
    found = levels(results, lambda config: ShapesData.of(config.data).color_separation)
    worlds = {level: world(of) for level, of in found.items()}
    space = next(iter(worlds.values())).space
    ood = str(space.ood_classes[0])
    tables = {
        level: table[table["protocol"] == NAIVE] for level, table in merged_tables(found).items()
    }
    leanings = {
        level: by_seed(of, lambda result: _leaning(result, ood)) for level, of in found.items()
    }
    turned: dict[str, dict[int, list[bool]]] = {str(c): {} for c in space.classes}
    for result in (r for of in found.values() for r in of):
        for name, of_seed in turned.items():
            of_seed.setdefault(result.seed, []).append(find_turn(result.table, name).detected)
    images = {level: class_images(shapes) for level, shapes in worlds.items()}
    return Data(tables, space, images, leanings, turned)


def draw(data: Data, rows: Rows) -> Mapping[str, Figure]:
    """Fig. 4: one training class and the OOD class; Fig. 13: all classes."""
    tables = {f"{level:g}": table for level, table in data.tables.items()}
    images = {f"{level:g}": of for level, of in data.images.items()}
    ood = str(data.space.ood_classes[0])
    return {
        "fig04": conditions_figure(
            tables,
            data.space,
            images,
            label=LABEL,
            classes=["00", ood],
            title=TITLE,
            subtitle=caption(rows["fig04-rise"]),
        ),
        "fig13": conditions_figure(
            tables,
            data.space,
            images,
            label=LABEL,
            classes=[str(c) for c in data.space.classes],
            title=f"{TITLE}, all classes",
            subtitle=f"{caption(rows['fig04-turn'])}\n{caption(rows['fig13-straight'])}",
        ),
    }


def checks(data: Data) -> list[Row]:
    """Sides along the sweep; turns of the OOD class and of the training classes."""
    ood = str(data.space.ood_classes[0])
    train: dict[int, list[bool]] = {}
    for name in data.space.train_classes:
        for seed, found in data.turned[str(name)].items():
            train.setdefault(seed, []).extend(found)
    return [*criteria.sides(data.leanings), *criteria.turns(data.turned[ood], train)]


def _leaning(result: Result, ood: str) -> float:
    return memorization.bias(result.table, ood, concepts=("color", "size")).value


FIGURE = PaperFigure(
    name="fig04",
    number="4 and 13",
    title=TITLE,
    claim="The OOD trajectory first heads for the training class of the stronger concept, then "
    "turns; trajectories of training classes go straight.",
    cost={"quick": "24 naive runs and 8 of Fig. 6", "paper": "30 runs of 20 minutes on an A100"},
    plans=plans,
    analyse=analyse,
    draw=draw,
    checks=checks,
    primary="fig04-rise",
    endpoint="order of color separations by the side to which the trajectory leans: above 1/3, tau",
)
