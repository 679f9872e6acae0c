"""Figs. 7b and 9a: underspecification hinders out-of-distribution generalization."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from conceptspace.analysis.claims import Row, open_question
from conceptspace.paper.fig08 import figure as fig08
from conceptspace.paper.fig09a import criteria
from conceptspace.paper.fig09a.drawing import shares_figure
from conceptspace.paper.fig09a.hues import blueness
from conceptspace.paper.fig10 import figure as fig10
from conceptspace.paper.framework.caption import ENLARGED, beside, caption
from conceptspace.paper.framework.figure import PaperFigure, Rows
from conceptspace.paper.framework.results import Result, by_seed, late, levels, merged_tables, world
from conceptspace.paper.settings import HALF_MASKED_SEEDS
from conceptspace.paper.thresholds import BETWEEN
from conceptspace.presentation.drawing import class_images
from conceptspace.presentation.figures import conditions_figure
from conceptspace.presentation.figures.strips import tiles
from conceptspace.space import ConceptSpace
from conceptspace.sweeps.plan import Plan, unique
from conceptspace.tables import NAIVE
from conceptspace.worlds.shapes.config import ShapesData

TITLE = "OOD trajectories by share of masked prompts"


@dataclass(frozen=True)
class Data:
    """The data that the figures show.

    Attributes:
        tables: naive trajectories by share of masked prompts.
        space: the concepts.
        images: an image of each class.
        ends: by share and seed, the mean color coordinate of the last checkpoints, 1 for blue.
        generated: by share, images of the OOD class from the last checkpoint, by seed that kept
            them, shape (count, height, width, 3), bytes.
        purple: by share strictly between the smallest and the largest, and by seed, the share of
            these images that show an object between red and blue; empty if none were kept.
        added: the seeds by which the sample of one half was enlarged.
    """

    tables: Mapping[float, pd.DataFrame]
    space: ConceptSpace
    images: Mapping[str, NDArray[np.float32]]
    ends: Mapping[float, Mapping[int, float]]
    generated: Mapping[float, Mapping[int, NDArray[np.uint8]]]
    purple: Mapping[float, Mapping[int, float]]
    added: list[int]


def plans(preset: str, seeds: Sequence[int] | None = None) -> list[Plan]:
    """Every share of masked prompts; of one half as many seeds as Fig. 10 has."""
    return unique([*fig08.plans(preset, seeds), *fig10.plans(preset, seeds)])


def analyse(preset: str, results: Sequence[Result]) -> Data:
    """Trajectories, colors at the end, and images."""
    found = levels(results, fig08.share)
    shapes = world(results)
    space = shapes.space
    ood = str(space.ood_classes[0])
    tables = {
        level: table[table["protocol"] == NAIVE] for level, table in merged_tables(found).items()
    }
    shown = {level: _images(of, ood) for level, of in found.items()}
    blue = {
        level: {seed: blueness(images, shapes) for seed, images in of.items()}
        for level, of in shown.items()
    }
    middle = [level for level in sorted(found)[1:-1] if blue[level]]
    low, high = BETWEEN
    return Data(
        tables,
        space,
        class_images(shapes),
        {level: by_seed(of, lambda result: _end(result, ood)) for level, of in found.items()},
        {level: of for level, of in shown.items() if of},
        {
            level: {
                seed: float(np.mean((values > low) & (values < high)))
                for seed, values in blue[level].items()
            }
            for level in middle
        },
        sorted({*HALF_MASKED_SEEDS[preset]} & {result.seed for result in results}),
    )


def draw(data: Data, rows: Rows) -> Mapping[str, Figure]:
    """Trajectories by share, and the images that were made in the end."""
    figures = {
        "fig09a": conditions_figure(
            {f"{100 * level:g} %": table for level, table in data.tables.items()},
            data.space,
            data.images,
            label="masked prompts",
            title=TITLE,
            subtitle=caption(rows["fig09a-crossing"]),
        )
    }
    if data.generated:
        ood = data.space.describe(data.space.ood_classes[0])
        figures["fig07b"] = shares_figure(
            {f"{100 * level:g} %": images for level, images in data.generated.items()},
            label="masked prompts",
            title=f'Images of "{ood}" at the last checkpoint',
            subtitle=caption(rows["fig09a-purple"]),
        )
    return figures


def checks(data: Data) -> list[Row]:
    """The color at the end, and whether it passes through purple."""
    ends = {level: data.ends[level] for level in data.purple}
    purple = criteria.purple(data.purple, ends)
    added = {
        level: {seed: value for seed, value in of.items() if seed in data.added}
        for level, of in data.purple.items()
    }
    if any(added.values()):
        purple = beside(purple, criteria.purple(added, {}), ENLARGED)
    if not data.purple:
        reason = "the runs kept no images"
        purple = open_question(purple.name, purple.claim, purple.criterion, reason)
    return [*criteria.color_shift(data.ends), purple]


def _images(results: Sequence[Result], ood: str) -> dict[int, NDArray[np.uint8]]:
    sheets = {result.seed: result.last_sheet() for result in results}
    return {seed: tiles(sheet, ood) for seed, sheet in sheets.items() if sheet is not None}


def _end(result: Result, ood: str) -> float:
    rows = late(result.table[result.table["protocol"] == NAIVE])
    concept = ShapesData.of(result.config.data).masked_concept
    rows = rows[(rows["concept_class"] == ood) & (rows["concept"] == concept)]
    return float(rows["coordinate"].mean())


FIGURE = PaperFigure(
    name="fig09a",
    number="7b and 9a",
    title=TITLE,
    claim="As the share of masked prompts grows, the color of the OOD class goes from blue over "
    "purple to red.",
    cost={**fig08.FIGURE.cost, "quick": "36 runs of Fig. 8 and 20 of Fig. 10"},
    plans=plans,
    analyse=analyse,
    draw=draw,
    checks=checks,
    primary="fig09a-crossing",
    endpoint="how far its color lies beyond the middle, towards blue without and red with masking: "
    "above 0",
    keeps=("images",),
)
