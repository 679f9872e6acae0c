"""Fig. 1c: concepts are learned in an order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
from matplotlib.figure import Figure

from conceptspace.analysis.claims import Row
from conceptspace.analysis.emergence import Emergence
from conceptspace.paper.fig01c import criteria
from conceptspace.paper.framework.caption import caption
from conceptspace.paper.framework.figure import PaperFigure, Rows
from conceptspace.paper.framework.results import Result, emerged, joined, world
from conceptspace.paper.settings import studied
from conceptspace.presentation.figures import learning_curves
from conceptspace.space import ConceptSpace
from conceptspace.worlds.signal import class_distances

TITLE = "Accuracy of single concepts over training"


@dataclass(frozen=True)
class Data:
    """The data that the figure shows.

    Attributes:
        table: trajectories of all seeds.
        space: the concepts.
        by_signal: concepts, the one with the strongest signal first.
        emergence: by concept, of each seed, in the OOD class under naive prompting.
    """

    table: pd.DataFrame
    space: ConceptSpace
    by_signal: list[str]
    emergence: Mapping[str, list[Emergence]]


def analyse(preset: str, results: Sequence[Result]) -> Data:
    """When each concept emerges in the OOD class."""
    shapes = world(results)
    ood = str(shapes.space.ood_classes[0])
    signal = class_distances(shapes).groupby("concept")["distance"].mean()
    by_signal = [str(name) for name in signal.sort_values(ascending=False).index]
    emergence = {name: list(emerged(results, ood, concept=name).values()) for name in by_signal}
    return Data(joined(results), shapes.space, by_signal, emergence)


def draw(data: Data, rows: Rows) -> Mapping[str, Figure]:
    """Accuracy of every class, and of each concept in the OOD class."""
    reached = {
        name: [run.upper for run in runs if run.reached] for name, runs in data.emergence.items()
    }
    return {
        "fig01c": learning_curves(
            data.table,
            None,
            data.space,
            emergence=reached,
            title=TITLE,
            subtitle=caption(rows["fig01c-order"]),
        )
    }


def checks(data: Data) -> list[Row]:
    """The strongest concept before the weakest."""
    first, last = data.by_signal[0], data.by_signal[-1]
    return [criteria.learning_order(data.emergence[first], data.emergence[last])]


FIGURE = PaperFigure(
    name="fig01c",
    number="1c",
    title=TITLE,
    claim="The accuracies of single concepts in the OOD class rise one after the other, that of "
    "the concept with the stronger signal first.",
    cost={"quick": "the first 12 runs of Fig. 6", "paper": "the 5 runs of Fig. 6"},
    plans=studied,
    analyse=analyse,
    draw=draw,
    checks=checks,
    primary="fig01c-order",
    endpoint="by how much the concept of the stronger signal is learned first: "
    "above 0.04 of training",
)
