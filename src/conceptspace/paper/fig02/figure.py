"""Figs. 2 and 11: concept spaces with different concept signals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from conceptspace.analysis.claims import Row
from conceptspace.config import merged, nested
from conceptspace.paper.fig02 import criteria
from conceptspace.paper.framework.caption import caption
from conceptspace.paper.framework.figure import PaperFigure, Rows
from conceptspace.paper.framework.results import Result
from conceptspace.presentation.drawing import class_images
from conceptspace.presentation.figures import signal_figure
from conceptspace.presets import PRESETS
from conceptspace.space import ConceptSpace
from conceptspace.sweeps.plan import Plan
from conceptspace.worlds.shapes.building import shapes_world
from conceptspace.worlds.shapes.config import ShapesData
from conceptspace.worlds.signal import class_distances

SEPARATIONS = ((0.8, 0.2), (0.2, 0.4))
"""Of color and size. App. A.1: red and blue means (0.9, 0.1, 0.1) or (0.6, 0.4, 0.4)."""

SETTINGS = {
    f"{letter}  color separation {color:g}, size {size:g}": {
        "data.color_separation": color,
        "data.size_separation": size,
    }
    for letter, (color, size) in zip("ab", SEPARATIONS, strict=True)
}

TITLE = "Concept signal in two settings of the data"

REPETITIONS = 5
IMAGES = 256


@dataclass(frozen=True)
class Data:
    """The data that the figure shows.

    Attributes:
        space: the concepts.
        distances: by setting, for each repetition on new images, those of
            :func:`conceptspace.worlds.signal.class_distances`.
        images: by setting, an image of each class.
    """

    space: ConceptSpace
    distances: Mapping[str, list[pd.DataFrame]]
    images: Mapping[str, dict[str, NDArray[np.float32]]]


def plans(preset: str, seeds: Sequence[int] | None = None) -> list[Plan]:
    """None: the signal belongs to the data alone."""
    return []


def analyse(preset: str, results: Sequence[Result]) -> Data:
    """Measure both settings, several times."""
    base = PRESETS[preset]()
    worlds = {
        name: shapes_world(ShapesData.of(merged(base, nested(changes), name).data))
        for name, changes in SETTINGS.items()
    }
    distances = {
        name: [class_distances(world, IMAGES, seed) for seed in range(REPETITIONS)]
        for name, world in worlds.items()
    }
    images = {name: class_images(world) for name, world in worlds.items()}
    return Data(next(iter(worlds.values())).space, distances, images)


def draw(data: Data, rows: Rows) -> Mapping[str, Figure]:
    """Both settings side by side."""
    drawn = {name: (of[0], data.images[name]) for name, of in data.distances.items()}
    found = caption(rows["fig02-signal"]).replace(
        "seeds", f"repetitions of {IMAGES} images a class"
    )
    return {"fig02": signal_figure(data.space, drawn, title=TITLE, subtitle=found)}


def checks(data: Data) -> list[Row]:
    """Which concept is stronger in which setting, and by how much."""
    ratios = [
        [_log_ratio(table, *pair) for table in tables]
        for tables, pair in zip(
            data.distances.values(), (("color", "size"), ("size", "color")), strict=True
        )
    ]
    return [criteria.signals(*ratios)]


def _log_ratio(table: pd.DataFrame, first: str, second: str) -> float:
    means = table.groupby("concept")["distance"].mean()
    return log(means[first] / means[second])


FIGURE = PaperFigure(
    name="fig02",
    number="2 and 11",
    title=TITLE,
    claim="The pixel distance between classes tells a concept's signal; color is the stronger "
    "concept in one setting of the data, size in the other.",
    cost={"quick": "seconds, no training", "paper": "seconds, no training"},
    plans=plans,
    analyse=analyse,
    draw=draw,
    checks=checks,
    primary="fig02-signal",
    endpoint="the two settings have opposite signals (no runs): above 0.1, log ratio",
)
