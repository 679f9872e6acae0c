"""Fig. 17: patching the condition embedding."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
from matplotlib.figure import Figure

from conceptspace.analysis.claims import Bounds, Row, lag
from conceptspace.analysis.emergence import Emergence, crossing
from conceptspace.errors import UserError
from conceptspace.paper.fig17 import criteria
from conceptspace.paper.framework.caption import caption, enlarged
from conceptspace.paper.framework.figure import PaperFigure, Rows
from conceptspace.paper.framework.results import Result, emerged, joined, joined_best, world
from conceptspace.paper.settings import PATCHED_SEEDS, REPATCHED_SEEDS, patched, studied
from conceptspace.paper.thresholds import COINCIDENT
from conceptspace.presentation.figures import elicitation_figure
from conceptspace.sweeps.plan import Plan, unique
from conceptspace.tables import JOINT, NAIVE, PATCHING
from conceptspace.worlds.shapes.config import ShapesData

TITLE = "Accuracy on the OOD class with the last embedding patched in"
OVERPROMPTING = "overprompting-color"
OTHERS = (OVERPROMPTING, "latent-intervention")


@dataclass(frozen=True)
class Seed:
    """One run.

    Attributes:
        added: whether it is one by which the sample was enlarged.
        patched: emergence under patching.
        lag: by how much later patching makes half of the OOD images than overprompting does, as a
            share of training, as far as that is known.
        stays: whether its naive accuracy stays where it has arrived.
        gain: joint accuracy under patching less that under naive prompting, in the mean over the
            checkpoints before naive prompting arrives; None if there is none.
    """

    added: bool
    patched: Emergence
    lag: Bounds
    stays: bool
    gain: float | None


@dataclass(frozen=True)
class Sample:
    """The runs of one color separation.

    Attributes:
        separation: between the colors.
        own: whether they were made for this figure.
        table: trajectories of all seeds.
        best: of every protocol by checkpoint, settings chosen on other images; None where the runs
            kept no scores.
        emergence: by protocol, of the best setting, one for each seed.
        runs: one for each seed.
    """

    separation: float
    own: bool
    table: pd.DataFrame
    best: pd.DataFrame | None
    emergence: Mapping[str, list[Emergence]]
    runs: list[Seed]


@dataclass(frozen=True)
class Data:
    """The data that the figure shows.

    Attributes:
        ood: the OOD class.
        samples: by color separation, the larger one first.
    """

    ood: str
    samples: list[Sample]


def plans(preset: str, seeds: Sequence[int] | None = None) -> list[Plan]:
    """Runs of a separation at which seeds are stable, and those of the studied one.

    Seeds that are asked for are run at the first alone, since a seed counts once.
    """
    if seeds:
        return patched(preset, seeds)
    fresh = (*PATCHED_SEEDS[preset], *REPATCHED_SEEDS[preset])
    return unique([*patched(preset, fresh), *studied(preset)])


def analyse(preset: str, results: Sequence[Result]) -> Data:
    """Emergence under every protocol, and which seeds are stable."""
    ood = str(world(results).space.ood_classes[0])
    by_separation = defaultdict(list)
    for result in results:
        by_separation[ShapesData.of(result.plan.config.data).color_separation].append(result)
    (made, *_) = patched(preset, PATCHED_SEEDS[preset])
    own = ShapesData.of(made.config.data).color_separation
    order, added = sorted(by_separation, reverse=True), REPATCHED_SEEDS[preset]
    samples = [_sample(of, of == own, by_separation[of], ood, added) for of in order]
    return Data(ood, samples)


def _sample(
    separation: float, own: bool, results: Sequence[Result], ood: str, added: Sequence[int]
) -> Sample:
    emergence = {p: list(emerged(results, ood, p).values()) for p in (NAIVE, PATCHING, *OTHERS)}
    runs = [
        Seed(
            result.seed in added,
            patched,
            _lag(result, ood, patched.last),
            _stable(result, ood, naive),
            _gain(result, ood, naive),
        )
        for result, naive, patched in zip(
            results, emergence[NAIVE], emergence[PATCHING], strict=True
        )
    ]
    return Sample(separation, own, joined(results), joined_best(results), emergence, runs)


def draw(data: Data, rows: Rows) -> Mapping[str, Figure]:
    """Naive prompting, patching, and the other protocols, a picture for each separation.

    Below that of its own runs stand all verdicts, below the other that of unstable seeds, the only
    one which is of those runs as well.
    """
    unstable = rows["fig17-unstable"]
    return {
        "fig17" if sample.own else f"fig17-{sample.separation:g}": elicitation_figure(
            sample.table,
            data.ood,
            best=sample.best,
            protocols=list(sample.emergence),
            emergence={p: [e.upper for e in of if e.reached] for p, of in sample.emergence.items()},
            title=f"{TITLE}, colors {sample.separation:g} apart",
            subtitle="\n".join(
                caption(row) for row in (rows.values() if sample.own else [unstable])
            ),
        )
        for sample in data.samples
    }


def checks(data: Data) -> list[Row]:
    """Stable seeds and unstable ones, each on their own.

    The stable ones are of the runs that were made for this figure, for those of the studied
    separation had been seen when the criteria were chosen; the unstable ones of both.
    """
    runs = [(sample.own, run) for sample in data.samples for run in sample.runs]
    rows, added = _rows(runs), [(own, run) for own, run in runs if run.added]
    return enlarged(rows, _rows(added)) if 0 < len(added) < len(runs) else rows


def _rows(runs: Sequence[tuple[bool, Seed]]) -> list[Row]:
    fresh = [run for own, run in runs if own and run.stays]
    unstable = [run for _, run in runs if not run.stays]
    return [
        criteria.patched_when_stable([run.lag for run in fresh]),
        criteria.patching_gains([run.gain for run in fresh if run.gain is not None]),
        criteria.patched_when_unstable([run.patched.reached for run in unstable]),
    ]


def _stable(result: Result, ood: str, run: Emergence) -> bool:
    accuracy = _accuracy(result, ood, NAIVE)
    return criteria.is_stable(accuracy.tolist(), run, accuracy.index.astype(float).tolist())


def _lag(result: Result, ood: str, last: float) -> Bounds:
    if result.best is None:
        raise UserError(f"{result.plan.name} kept no scores of single images")
    rows = result.best[(result.best["concept_class"] == ood) & (result.best["concept"] == JOINT)]
    asked = [
        rows[rows["protocol"] == name].sort_values("step") for name in (PATCHING, OVERPROMPTING)
    ]
    patched, overprompted = (crossing(of["step"], of["honest"]) for of in asked)
    return lag(patched, overprompted, last)


def _gain(result: Result, ood: str, naive: Emergence) -> float | None:
    gained = _accuracy(result, ood, PATCHING) - _accuracy(result, ood, NAIVE)
    before = gained[gained.index < naive.upper]
    return float(before.mean()) if len(before) else None


def _accuracy(result: Result, ood: str, protocol: str) -> pd.Series:
    """Joint accuracy by step, of a protocol with one setting."""
    rows = result.table[(result.table["protocol"] == protocol) & (result.table["concept"] == JOINT)]
    rows = rows[rows["concept_class"] == ood].sort_values("step")
    return rows.set_index("step")["accuracy"]


FIGURE = PaperFigure(
    name="fig17",
    number="17",
    title=TITLE,
    claim="The last checkpoint's condition embedding elicits the OOD class at about the step of "
    "the other protocols in stable seeds, and not in unstable ones.",
    cost={"quick": "24 runs and the first 12 of Fig. 6", "paper": "the 5 runs of Fig. 6"},
    plans=plans,
    analyse=analyse,
    draw=draw,
    checks=checks,
    primary="fig17-stable",
    endpoint="by how much later patching makes half of the OOD images than overprompting does, in "
    f"stable seeds: within ±{COINCIDENT:g} of training",
)
