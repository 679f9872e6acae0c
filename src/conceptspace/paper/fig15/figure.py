"""Fig. 15: three concepts, one success and one failure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from conceptspace.analysis.claims import Row
from conceptspace.analysis.emergence import THRESHOLD
from conceptspace.analysis.memorization import memorization
from conceptspace.paper.fig15 import criteria, drawing
from conceptspace.paper.fig15.cubes import cube_page
from conceptspace.paper.framework.caption import caption
from conceptspace.paper.framework.figure import PaperFigure, Rows
from conceptspace.paper.framework.results import Result, joined, late, require, world
from conceptspace.paper.settings import SEEDS, three
from conceptspace.presentation.drawing import class_images
from conceptspace.space import ConceptSpace
from conceptspace.sweeps.plan import Plan
from conceptspace.tables import JOINT, NAIVE

TITLE = "Trajectories over three concepts, in two settings"
SUCCESS, FAILURE = "success", "failure"
CASES = (SUCCESS, FAILURE)
MISTAKEN, TAKEN_FOR = "011", "010"


@dataclass(frozen=True)
class Case:
    """One of the two settings.

    Attributes:
        table: naive trajectories of all seeds.
        space: the concepts.
        images: of each class.
        worst: by seed, the joint accuracy of the worst OOD class at the last checkpoints.
        made: by seed, how many OOD classes reach 0.8 there.
        background: by seed, the accuracy of the background in the worst OOD class there.
        taken_for: of each seed that memorizes 011, the share of checkpoints at which it is taken
            for 010.
    """

    table: pd.DataFrame
    space: ConceptSpace
    images: Mapping[str, NDArray[np.float32]]
    worst: list[float]
    made: list[int]
    background: list[float]
    taken_for: list[float]


Data = dict[str, Case]
"""The data by case; a case without a finished run is left out."""


def plans(preset: str, seeds: Sequence[int] | None = None) -> list[Plan]:
    """Both cases."""
    return [plan for case in CASES for plan in three(preset, seeds or SEEDS[preset], case)]


def analyse(preset: str, results: Sequence[Result]) -> Data:
    """How each case ends, and for what 011 is taken."""
    require(results)
    groups = {c: [r for r in results if r.plan.name.startswith(f"three-{c}/")] for c in CASES}
    return {case: _case(of) for case, of in groups.items() if of}


def draw(data: Data, rows: Rows) -> Mapping[str, Figure]:
    """Every case on the three sides of the cube."""
    cases = {name: drawing.Case(case.table, case.space, case.images) for name, case in data.items()}
    found = "\n".join(caption(row) for row in rows.values())
    return {"fig15": drawing.sides_figure(cases, title=TITLE, subtitle=found)}


def pages(data: Data) -> Mapping[str, str]:
    """Both cubes, to be turned."""
    return {"fig15": cube_page({name: (case.table, case.space) for name, case in data.items()})}


def checks(data: Data) -> list[Row]:
    """How the cases end, and what is memorized on the way."""
    rows = []
    if SUCCESS in data:
        rows.append(criteria.success(data[SUCCESS].worst, data[SUCCESS].made))
        rows.append(criteria.taken_for(data[SUCCESS].taken_for))
    if FAILURE in data:
        rows.append(criteria.failure(data[FAILURE].background))
    return rows


def _case(results: Sequence[Result]) -> Case:
    table = joined(results)
    shapes = world(results)
    space = shapes.space
    ood = [str(c) for c in space.ood_classes]
    return Case(
        table[table["protocol"] == NAIVE],
        space,
        class_images(shapes),
        [float(_at_the_end(result, JOINT, ood).min()) for result in results],
        [int((_at_the_end(result, JOINT, ood) >= THRESHOLD).sum()) for result in results],
        [float(_at_the_end(result, "background", ood).min()) for result in results],
        _mistaken(table, space),
    )


def _at_the_end(result: Result, concept: str, classes: Sequence[str]) -> pd.Series:
    """The mean accuracy of each class at the last checkpoints."""
    rows = late(result.table[result.table["protocol"] == NAIVE])
    rows = rows[(rows["concept"] == concept) & rows["concept_class"].isin(classes)]
    return rows.groupby("concept_class")["accuracy"].mean()


def _mistaken(table: pd.DataFrame, space: ConceptSpace) -> list[float]:
    train = [str(c) for c in space.train_classes]
    found = memorization(table, train, MISTAKEN, concepts=space.names)
    during = found[found["memorized"]]
    return [float((of["nearest"] == TAKEN_FOR).mean()) for _, of in during.groupby("seed")]


FIGURE = PaperFigure(
    name="fig15",
    number="15",
    title=TITLE,
    claim="With a strong color every OOD class is generated in the end; with a weak background "
    "some OOD classes never show the background that is asked for.",
    cost={"quick": "16 runs of 4000 and 6000 steps", "paper": "10 runs of 80 minutes on an A100"},
    plans=plans,
    analyse=analyse,
    draw=draw,
    checks=checks,
    primary="fig15-success",
    endpoint="lowest accuracy of an OOD class at the end of the success: above 0.8",
    pages=pages,
)
