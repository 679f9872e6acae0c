"""Fig. 14: concept space dynamics in CelebA (App. C.3).

The images are not ours to give: the environment variable CONCEPTSPACE_CELEBA names a folder that
holds img_align_celeba and list_attr_celeba.txt. Without it there are no runs, and ``all`` leaves
the figure out.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from conceptspace.analysis.claims import Row
from conceptspace.analysis.memorization import bias, memorization
from conceptspace.analysis.trajectories import paths
from conceptspace.analysis.turning import Turn, detect_turn
from conceptspace.contact_sheet import Sheet
from conceptspace.errors import UserError
from conceptspace.experiment import parts
from conceptspace.paper.fig14 import criteria
from conceptspace.paper.framework.caption import caption
from conceptspace.paper.framework.figure import PaperFigure, Rows
from conceptspace.paper.framework.results import Result, joined, late
from conceptspace.paper.settings import SEEDS
from conceptspace.presentation.drawing import images_of
from conceptspace.presentation.figures import image_strips, trajectory_figure
from conceptspace.space import ConceptSpace
from conceptspace.sweeps.plan import Plan
from conceptspace.sweeps.plan import plans as seeded
from conceptspace.tables import JOINT, NAIVE

TITLE = "Trajectories of faces (CelebA)"
VARIABLE = "CONCEPTSPACE_CELEBA"

COMMON: dict[str, Any] = {
    "data.kind": "celeba",
    "data.attributes": ("Not_Male", "Smiling"),
    "data.validation_share": 0.0,
    "probe.pooling": "average",
    "probe.learning_rate": 1e-3,
    "probe.weight_decay": 1e-5,
    "evaluate.protocols": (),
}

CHANGES: dict[str, dict[str, Any]] = {
    "paper": {
        "data.resolution": 64,
        "data.images_per_class": 30_000,
        "probe.images_per_class": 27_000,
        "probe.held_out_per_class": 3_000,
        "train.steps": 1_000_000,
    },
    "quick": {
        "data.resolution": 32,
        "data.images_per_class": 2_000,
        "probe.images_per_class": 1_800,
        "probe.held_out_per_class": 200,
        "probe.steps": 1_000,
    },
}
"""Where the runs differ from the preset; the paper's numbers are those of App. C.3."""


@dataclass(frozen=True)
class Data:
    """What the figure shows.

    Attributes:
        table: naive trajectories of all seeds.
        space: the attributes.
        images: of each class.
        turn: of the mean OOD trajectory, or the best candidate.
        sheets: the first seed's images by step; empty if they were not kept.
        shown: the first seed's trajectory.
        leanings: of each seed, accuracy of the first attribute less that of the second.
        taken_for: of each seed that memorizes, the share of these checkpoints that say 10.
        turned: of each seed, whether its trajectory turns.
        ends: of each seed, the joint accuracy at the last checkpoints.
    """

    table: pd.DataFrame
    space: ConceptSpace
    images: Mapping[str, NDArray[Any]]
    turn: Turn
    sheets: Mapping[int, Sheet]
    shown: pd.DataFrame
    leanings: list[float]
    taken_for: list[float]
    turned: list[bool]
    ends: list[float]


def plans(preset: str, seeds: Sequence[int] | None = None) -> list[Plan]:
    """One run for each seed, on the folder that the environment names; else none."""
    root = os.environ.get(VARIABLE, "")
    changes = COMMON | CHANGES[preset] | {"data.root": root}
    return seeded("faces", preset, seeds or SEEDS[preset], changes) if root else []


def analyse(preset: str, results: Sequence[Result]) -> Data:
    """What class 11 is taken for, whether it turns, and how it ends."""
    if not results:
        raise UserError(
            f"no run has finished; it needs CelebA: set {VARIABLE} to the folder that holds "
            "img_align_celeba and list_attr_celeba.txt"
        )
    first = results[0]
    world = parts.world(first.config.data)
    space = world.space
    ood = str(space.ood_classes[0])
    table = joined(results)
    table = table[table["protocol"] == NAIVE]
    return Data(
        table=table,
        space=space,
        images=images_of(first.run, world),
        turn=_turn(table, ood),
        sheets=first.run.sheets(),
        shown=first.table[first.table["protocol"] == NAIVE],
        leanings=[bias(r.table, ood, concepts=_pair(space)).value for r in results],
        taken_for=_taken_for(table, space, ood),
        turned=[_turn(result.table, ood).detected for result in results],
        ends=[_end(result.table, ood) for result in results],
    )


def draw(data: Data, rows: Rows) -> Mapping[str, Figure]:
    """The trajectories of all classes, and images of one seed."""
    figures = {
        "fig14": trajectory_figure(
            data.table,
            data.space,
            data.images,
            turn=data.turn,
            title=TITLE,
            told=caption(rows["fig14-stronger"]),
        )
    }
    if len(data.sheets) > 1:
        figures["images"] = image_strips(
            data.sheets,
            data.space,
            table=data.shown,
            class_images=data.images,
            title=f"Images of one run, seed {data.shown['seed'].iloc[0]}",
        )
    return figures


def checks(data: Data) -> list[Row]:
    """Memorization of the stronger attribute's class, a turn, no full generalization."""
    return [
        criteria.leaning(data.leanings),
        criteria.memorized(data.taken_for),
        criteria.turns(data.turned),
        criteria.incomplete(data.ends),
    ]


def _pair(space: ConceptSpace) -> tuple[str, str]:
    return space.names[0], space.names[1]


def _turn(table: pd.DataFrame, ood: str) -> Turn:
    found = paths(table, NAIVE, ood)
    return detect_turn(found.steps, found.values, found.samples)


def _taken_for(table: pd.DataFrame, space: ConceptSpace, ood: str) -> list[float]:
    found = memorization(table, [str(c) for c in space.train_classes], ood, concepts=space.names)
    during = found[found["memorized"]]
    shared = ood[0] + str(1 - int(ood[1]))
    return [float((of["nearest"] == shared).mean()) for _, of in during.groupby("seed")]


def _end(table: pd.DataFrame, ood: str) -> float:
    rows = table[(table["concept"] == JOINT) & (table["concept_class"] == ood)]
    return float(late(rows[rows["protocol"] == NAIVE])["accuracy"].mean())


FIGURE = PaperFigure(
    name="fig14",
    number="14",
    title=TITLE,
    claim="Class 11 (not male, smiling) first follows class 10, which shares the stronger "
    "attribute, then turns; it does not generalize fully.",
    cost={
        "quick": "8 runs at 32x32, if CELEBA is there",
        "paper": "5 runs of 24 hours on an A100, if CELEBA is there",
    },
    plans=plans,
    analyse=analyse,
    draw=draw,
    checks=checks,
    primary="fig14-stronger",
    endpoint="by how much the stronger attribute is ahead: above 0.05 of accuracy",
    possible=lambda: bool(os.environ.get(VARIABLE)),
    keeps=("images",),
)
