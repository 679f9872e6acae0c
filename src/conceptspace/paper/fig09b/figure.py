"""Fig. 9b: underspecification in the toy model (Eq. 2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from conceptspace.analysis.claims import Row
from conceptspace.analysis.theory_fit import TheoryFit, fit_eq2
from conceptspace.analysis.trajectories import paths
from conceptspace.paper.fig05.criteria import equation_fits
from conceptspace.paper.fig08 import figure as fig08
from conceptspace.paper.fig09b.criteria import target_shift
from conceptspace.paper.fig09b.drawing import fan_figure
from conceptspace.paper.framework.caption import caption
from conceptspace.paper.framework.figure import PaperFigure, Rows
from conceptspace.paper.framework.results import Result, joined, levels, world
from conceptspace.space import ConceptSpace
from conceptspace.tables import NAIVE
from conceptspace.worlds.shapes.config import ShapesData

TITLE = "Eq. 2 fitted to trajectories by share of masked prompts"


@dataclass(frozen=True)
class Data:
    """The data that the figure shows.

    Attributes:
        space: the concepts.
        masked: index of the masked one.
        percents: the shares in percent.
        fitted: Eq. 2, fitted to the mean trajectories of all shares.
        seeds: the same for each seed that ran at every share.
    """

    space: ConceptSpace
    masked: int
    percents: tuple[float, ...]
    fitted: TheoryFit
    seeds: Mapping[int, TheoryFit]


def analyse(preset: str, results: Sequence[Result]) -> Data:
    """Fit Eq. 2 to the means over seeds, and to every seed."""
    found = levels(results, fig08.share)
    space = world(results).space
    ood = str(space.ood_classes[0])
    masked = space.names.index(ShapesData.of(results[0].config.data).masked_concept)

    def fit(of: Mapping[float, Sequence[Result]]) -> TheoryFit:
        measured = {100 * level: paths(joined(runs), NAIVE, ood) for level, runs in of.items()}
        return fit_eq2(measured, masked, ood)

    common = set.intersection(*({r.seed for r in of} for of in found.values()))
    seeds = {
        seed: fit({level: [r for r in of if r.seed == seed] for level, of in found.items()})
        for seed in sorted(common)
    }
    return Data(space, masked, tuple(100 * level for level in found), fit(found), seeds)


def draw(data: Data, rows: Rows) -> Mapping[str, Figure]:
    """Measured and fitted fan."""
    names = [data.space.names[i] for i in (data.masked, 1 - data.masked)]
    found = f"{caption(rows['fig09b-shift'])}\n{caption(rows['fig09b-fit'])}"
    return {"fig09b": fan_figure(data.fitted, data.percents, names, title=TITLE, subtitle=found)}


def checks(data: Data) -> list[Row]:
    """How far the target moves, and whether a linear shift is the best description."""
    slopes = [fitted.estimates["slope"].value for fitted in data.seeds.values()]
    supported = {seed: [fitted.supported] for seed, fitted in data.seeds.items()}
    return [target_shift(slopes), equation_fits("fig09b", "Eq. 2", supported)]


FIGURE = PaperFigure(
    name="fig09b",
    number="9b",
    title=TITLE,
    claim="Eq. 2 gives the same fan of trajectories.",
    cost={"quick": "the runs of Fig. 8", "paper": "the runs of Fig. 8"},
    plans=fig08.plans,
    analyse=analyse,
    draw=draw,
    checks=checks,
    primary="fig09b-shift",
    endpoint="how far Eq. 2's target goes: above 1/2 of the way",
)
