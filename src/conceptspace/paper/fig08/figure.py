"""Fig. 8: underspecification delays out-of-distribution generalization."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from matplotlib.figure import Figure

from conceptspace.analysis.claims import Row
from conceptspace.analysis.underspecification import (
    Underspecification,
    trend_note,
    underspecification,
)
from conceptspace.config import RunConfig
from conceptspace.paper.fig08 import criteria
from conceptspace.paper.framework.caption import caption
from conceptspace.paper.framework.figure import PaperFigure, Rows
from conceptspace.paper.framework.results import Result, levels, merged_tables, world
from conceptspace.paper.settings import MASKED_SEEDS, SHARES, masked
from conceptspace.presentation.figures import underspecification_figure
from conceptspace.sweeps.plan import Plan
from conceptspace.worlds.shapes.config import ShapesData

TITLE = "The OOD class against the share of masked prompts"


@dataclass(frozen=True)
class Data:
    """The data that the figure shows.

    Attributes:
        found: emergence and last color coordinate by share.
        labels: values of the masked concept.
    """

    found: Underspecification
    labels: tuple[str, str]


def plans(preset: str, seeds: Sequence[int] | None = None) -> list[Plan]:
    """Every share of masked prompts."""
    of = seeds or MASKED_SEEDS[preset]
    return [plan for share in SHARES[preset] for plan in masked(preset, of, share)]


def share(config: RunConfig) -> float:
    """The share of masked prompts."""
    return ShapesData.of(config.data).masked_share


def analyse(preset: str, results: Sequence[Result]) -> Data:
    """Emergence by share."""
    by_share = levels(results, share)
    space = world(results).space
    (masked_concept,) = {ShapesData.of(result.config.data).masked_concept for result in results}
    concept = space.concepts[space.names.index(masked_concept)]
    tables = merged_tables(by_share)
    found = underspecification(tables, str(space.ood_classes[0]), masked_concept)
    return Data(found, (concept.labels[0], concept.labels[1]))


def draw(data: Data, rows: Rows) -> Mapping[str, Figure]:
    """Color at the end, and steps, against the share."""
    found = caption(rows["fig08-delay"])
    return {
        "fig08": underspecification_figure(data.found, data.labels, title=TITLE, subtitle=found)
    }


def checks(data: Data) -> list[Row]:
    """The order of the shares within a seed; a test over all runs as a remark."""
    levels_ = data.found.levels
    row = criteria.delayed({of.share: {run.seed: run for run in of.runs} for of in levels_})
    return [replace(row, note=trend_note(data.found.steps, "share"))]


FIGURE = PaperFigure(
    name="fig08",
    number="8",
    title=TITLE,
    claim="The steps to an accuracy of 0.8 on the OOD class grow with the share of masked prompts.",
    cost={"quick": "36 runs", "paper": "35 runs of 20 minutes on an A100"},
    plans=plans,
    analyse=analyse,
    draw=draw,
    checks=checks,
    primary="fig08-delay",
    endpoint="order of shares of masked prompts by the step of the OOD class: above 1/3, tau",
)
