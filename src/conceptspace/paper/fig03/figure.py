"""Fig. 3: concept signal determines learning speed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, replace

from matplotlib.figure import Figure

from conceptspace.analysis.claims import Row
from conceptspace.analysis.emergence import Emergence
from conceptspace.analysis.underspecification import step_trend, trend_note
from conceptspace.config import RunConfig
from conceptspace.errors import UserError
from conceptspace.paper.fig03 import criteria
from conceptspace.paper.fig03.drawing import SpeedPanel, speed_figure
from conceptspace.paper.framework.caption import ENLARGED, beside, caption
from conceptspace.paper.framework.figure import PaperFigure, Rows
from conceptspace.paper.framework.results import Result, emerged, levels, world
from conceptspace.paper.settings import (
    SIZE_SEEDS,
    SIZED,
    SIZES,
    SPEED_SEEDS,
    SPEEDS,
    color_runs,
    size_runs,
)
from conceptspace.presets import PRESETS
from conceptspace.sweeps.plan import Plan, unique
from conceptspace.worlds.shapes.config import ShapesData
from conceptspace.worlds.signal import class_distances

TITLE = "Learning speed against concept signal"


Levels = Mapping[float, Mapping[int, Emergence]]
"""Emergence by separation and seed."""


@dataclass(frozen=True)
class SeparationSweep:
    """Runs that differ in the separation of one concept.

    Attributes:
        signal: by separation, the mean squared pixel distance of the concept's classes.
        joint: by separation and seed, the emergence of the joint accuracy on the OOD class.
        own: the same of the accuracy of the concept alone.
        added: the seeds by which the sample was enlarged.
    """

    signal: Mapping[float, float]
    joint: Levels
    own: Levels
    added: frozenset[int] = frozenset()


Data = dict[str, SeparationSweep]
"""The sweep of separations by concept."""


def plans(preset: str, seeds: Sequence[int] | None = None) -> list[Plan]:
    """Every color separation, and every size separation at one color separation."""
    of = seeds or SPEED_SEEDS[preset]
    sized = seeds or (*of, *SIZE_SEEDS[preset])
    colors = [plan for level in SPEEDS[preset] for plan in color_runs(preset, of, level)]
    sizes = [plan for level in SIZES[preset] for plan in size_runs(preset, sized, level)]
    return unique(colors + sizes)


def analyse(preset: str, results: Sequence[Result]) -> Data:
    """Signal and emergence along both sweeps, those that have runs of two separations or more."""
    base = ShapesData.of(PRESETS[preset]().data)
    color_runs = [r for r in results if _size(r.config) == base.size_separation]
    size_runs = [r for r in results if _color(r.config) == SIZED[preset]]
    data: Data = {}
    for concept, runs, separation in (
        ("color", color_runs, _color),
        ("size", size_runs, _size),
    ):
        try:
            data[concept] = _sweep(concept, runs, separation, {*SIZE_SEEDS[preset]})
        except UserError:
            continue
    if not data:
        raise UserError("no sweep has finished runs of two separations")
    return data


def draw(data: Data, rows: Rows) -> Mapping[str, Figure]:
    """Speed against signal, a column for each concept; its own accuracy above the joint one."""
    panels = {
        "accuracy of {} alone": {name: _speed(sweep, sweep.own) for name, sweep in data.items()},
        "joint accuracy": {name: _speed(sweep, sweep.joint) for name, sweep in data.items()},
    }
    found = [caption(row) for name, row in rows.items() if name.endswith("-alone")]
    return {"fig03": speed_figure(panels, title=TITLE, subtitle="\n".join(found))}


def _speed(sweep: SeparationSweep, runs: Levels) -> SpeedPanel:
    return SpeedPanel(
        [sweep.signal[level] for level in runs],
        [list(of.values()) for of in runs.values()],
        [f"{level:g}" for level in runs],
    )


def checks(data: Data) -> list[Row]:
    """The accuracy of each concept alone, and the joint accuracy beside it."""
    rows = []
    for concept, sweep in data.items():
        row = _row(concept, sweep.own, sweep.added)
        alone = f"{row.claim.removesuffix('.')} (accuracy of {concept} alone)."
        rows.append(replace(row, name=f"{row.name}-alone", claim=alone))
    return rows + [_row(concept, sweep.joint, sweep.added) for concept, sweep in data.items()]


def _row(concept: str, runs: Levels, added: Set[int]) -> Row:
    """The check; as remarks a test over all runs, and what the added seeds say alone."""
    pairs = [(level, run) for level, of in runs.items() for run in of.values()]
    found = step_trend([level for level, _ in pairs], [run for _, run in pairs])
    row = replace(criteria.speed(concept, runs), note=trend_note(found, "separation"))
    if not added:
        return row
    only = {level: {s: run for s, run in of.items() if s in added} for level, of in runs.items()}
    return beside(row, criteria.speed(concept, only), ENLARGED)


def _sweep(
    concept: str,
    runs: Sequence[Result],
    separation: Callable[[RunConfig], float],
    further: Set[int],
) -> SeparationSweep:
    """The runs of seeds that have two separations or more."""
    count = Counter(run.seed for run in runs)
    several = [run for run in runs if count[run.seed] > 1]
    seeds = {run.seed for run in several}
    found = levels(several, separation)
    signal, joint, own = {}, {}, {}
    for level, of in found.items():
        shapes = world(of)
        ood = str(shapes.space.ood_classes[0])
        distances = class_distances(shapes)
        signal[level] = float(distances[distances["concept"] == concept]["distance"].mean())
        joint[level] = emerged(of, ood)
        own[level] = emerged(of, ood, concept=concept)
    added = frozenset(seeds & further) if seeds - further else frozenset[int]()
    return SeparationSweep(signal, joint, own, added)


def _color(config: RunConfig) -> float:
    return ShapesData.of(config.data).color_separation


def _size(config: RunConfig) -> float:
    return ShapesData.of(config.data).size_separation


FIGURE = PaperFigure(
    name="fig03",
    number="3",
    title=TITLE,
    claim="1 / (steps to an accuracy of 0.8 on class 11) rises with the concept signal, for color "
    "and for size.",
    cost={"quick": "64 runs", "paper": "45 runs of 20 minutes on an A100"},
    plans=plans,
    analyse=analyse,
    draw=draw,
    checks=checks,
    primary="fig03-color-alone",
    endpoint="order of color separations by the step of the color alone: above 1/3, Kendall's tau",
)
