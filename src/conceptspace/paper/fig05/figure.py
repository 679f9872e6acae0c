"""Fig. 5: a phenomenological model of learning dynamics in concept space (Eq. 1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from conceptspace.analysis.claims import Row
from conceptspace.analysis.theory_fit import Eq1Fit, fit_eq1
from conceptspace.analysis.trajectories import paths
from conceptspace.paper.fig04 import figure as fig04
from conceptspace.paper.fig05 import criteria
from conceptspace.paper.fig05.drawing import theory_fits
from conceptspace.paper.framework.caption import caption
from conceptspace.paper.framework.figure import PaperFigure, Rows
from conceptspace.paper.framework.results import Result, joined, levels, world
from conceptspace.tables import NAIVE
from conceptspace.worlds.shapes.config import ShapesData

TRAINED = "00"
FIT, ROTATION = "fig05-fit", "fig05-rotation"


@dataclass(frozen=True)
class Data:
    """The data that the figure shows.

    Attributes:
        concepts: names of the two axes.
        ood: by color separation, Eq. 1 fitted to the mean OOD trajectory.
        trained: the same of the training class 00.
        seeds: by seed, Eq. 1 fitted to its own OOD trajectory, one for each separation.
    """

    concepts: tuple[str, ...]
    ood: Mapping[float, Eq1Fit]
    trained: Mapping[float, Eq1Fit]
    seeds: Mapping[int, list[Eq1Fit]]


def analyse(preset: str, results: Sequence[Result]) -> Data:
    """Fit Eq. 1 to every separation, and to every seed."""
    found = levels(results, lambda config: ShapesData.of(config.data).color_separation)
    space = world(results).space
    target = str(space.ood_classes[0])
    fits = {
        name: {level: fit_eq1(paths(joined(of), NAIVE, name), name) for level, of in found.items()}
        for name in (target, TRAINED)
    }
    seeds: dict[int, list[Eq1Fit]] = {}
    for result in (r for of in found.values() for r in of):
        fitted = fit_eq1(paths(result.table, NAIVE, target), target)
        seeds.setdefault(result.seed, []).append(fitted)
    return Data(space.names, fits[target], fits[TRAINED], seeds)


def draw(data: Data, rows: Rows) -> Mapping[str, Figure]:
    """Measured and fitted trajectories, of class 00 and of the OOD class."""
    cases = (
        ("fig05b", "an OOD class", data.ood, f"{caption(rows[FIT])}\n{caption(rows[ROTATION])}"),
        ("fig05a", "a training class", data.trained, "No claim is checked of this class."),
    )
    return {
        name: theory_fits(
            {f"color separation {level:g}": fitted for level, fitted in fits.items()},
            data.concepts,
            title=f"Eq. 1 fitted to the trajectories of {what}",
            subtitle=found,
        )
        for name, what, fits, found in cases
    }


def checks(data: Data) -> list[Row]:
    """Against the nulls, and the sense of rotation."""
    supported = {seed: [f.supported for f in of] for seed, of in data.seeds.items()}
    same = {seed: [f.same_sense for f in of] for seed, of in data.seeds.items()}
    return [criteria.equation_fits("fig05", "Eq. 1", supported), criteria.rotation_agrees(same)]


FIGURE = PaperFigure(
    name="fig05",
    number="5",
    title="Eq. 1 fitted to trajectories",
    claim="Eq. 1 fits the OOD trajectories, with the right sense of rotation.",
    cost={"quick": "the runs of Fig. 4", "paper": "the runs of Fig. 4"},
    plans=fig04.plans,
    analyse=analyse,
    draw=draw,
    checks=checks,
    primary=ROTATION,
    endpoint="share of trajectories that rotate as the fitted Eq. 1 does: above 1/2",
)
