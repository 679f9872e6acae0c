"""Fig. 10: underspecification and hidden capabilities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
from matplotlib.figure import Figure

from conceptspace.analysis.claims import Row
from conceptspace.analysis.emergence import Emergence
from conceptspace.paper.fig06.criteria import earlier
from conceptspace.paper.fig10 import criteria
from conceptspace.paper.framework.caption import caption, enlarged
from conceptspace.paper.framework.figure import PaperFigure, Rows
from conceptspace.paper.framework.results import Result, emerged, joined, joined_best, late, world
from conceptspace.paper.settings import HALF_MASKED_SEEDS, MASKED_SEEDS, masked
from conceptspace.paper.thresholds import RESOLVED
from conceptspace.presentation.figures import elicitation_figure
from conceptspace.sweeps.plan import Plan
from conceptspace.tables import JOINT, NAIVE

TITLE = "Accuracy on the OOD class, half of the prompts masked"
PROTOCOL = "overprompting-color"


@dataclass(frozen=True)
class Data:
    """The data that the figure shows.

    Attributes:
        table: trajectories of all seeds.
        best: of both protocols by checkpoint, settings chosen on other images; None where the runs
            kept no scores.
        ood: the OOD class.
        naive: emergence by seed.
        elicited: the same under overprompting, settings chosen on other images.
        complete: by seed, the mean joint accuracy under overprompting at the last checkpoints,
            settings chosen on other images; of seeds that kept scores.
        added: the seeds by which the sample was enlarged.
    """

    table: pd.DataFrame
    best: pd.DataFrame | None
    ood: str
    naive: Mapping[int, Emergence]
    elicited: Mapping[int, Emergence]
    complete: Mapping[int, float]
    added: list[int]


def plans(preset: str, seeds: Sequence[int] | None = None) -> list[Plan]:
    """Half of the prompts masked."""
    return masked(preset, seeds or (*MASKED_SEEDS[preset], *HALF_MASKED_SEEDS[preset]), 0.5)


def analyse(preset: str, results: Sequence[Result]) -> Data:
    """Emergence under both protocols."""
    ood = str(world(results).space.ood_classes[0])
    return Data(
        joined(results),
        joined_best(results),
        ood,
        emerged(results, ood),
        emerged(results, ood, PROTOCOL),
        {r.seed: _last(r.best, ood) for r in results if r.best is not None},
        [r.seed for r in results if r.seed in HALF_MASKED_SEEDS[preset]],
    )


def draw(data: Data, rows: Rows) -> Mapping[str, Figure]:
    """Accuracies under both protocols."""
    reached = {
        protocol: [run.upper for run in of.values() if run.reached]
        for protocol, of in ((NAIVE, data.naive), (PROTOCOL, data.elicited))
    }
    return {
        "fig10": elicitation_figure(
            data.table,
            data.ood,
            best=data.best,
            protocols=[NAIVE, PROTOCOL],
            emergence=reached,
            title=TITLE,
            subtitle=caption(rows["fig10-advance"]),
        )
    }


def checks(data: Data) -> list[Row]:
    """By how much overprompting is earlier, what it reaches, and who fails."""
    rows = _rows(data, list(data.naive))
    if not 0 < len(data.added) < len(data.naive):
        return rows
    return enlarged(rows, _rows(data, data.added))


def _rows(data: Data, seeds: Sequence[int]) -> list[Row]:
    naive, elicited = [data.naive[seed] for seed in seeds], [data.elicited[seed] for seed in seeds]
    return [
        criteria.advanced(PROTOCOL, naive, elicited),
        criteria.complete([data.complete[seed] for seed in seeds if seed in data.complete]),
        criteria.naive_fails(naive),
        earlier("fig10", PROTOCOL, naive, elicited),
    ]


def _last(best: pd.DataFrame, ood: str) -> float:
    rows = best[(best["protocol"] == PROTOCOL) & (best["concept_class"] == ood)]
    return float(late(rows[rows["concept"] == JOINT])["honest"].mean())


FIGURE = PaperFigure(
    name="fig10",
    number="10",
    title=TITLE,
    claim="With half of the prompts masked, overprompting reaches an accuracy of 1 on the OOD "
    "class while naive prompting fails in some seeds.",
    cost={"quick": "12 runs of Fig. 8 and 20 others", "paper": "5 runs of 20 minutes on an A100"},
    plans=plans,
    analyse=analyse,
    draw=draw,
    checks=checks,
    primary="fig10-advance",
    endpoint="share of training by which overprompting is earlier than naive prompting, counted up "
    f"to the end: above {RESOLVED:g}",
    keeps=("images",),
)
