"""Fig. 17: patching the condition embedding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
from matplotlib.figure import Figure

from conceptspace.analysis.claims import Row
from conceptspace.analysis.emergence import Emergence
from conceptspace.paper.fig17 import criteria
from conceptspace.paper.framework.caption import caption
from conceptspace.paper.framework.figure import PaperFigure, Rows
from conceptspace.paper.framework.results import Result, emerged, joined, joined_best, world
from conceptspace.paper.settings import studied
from conceptspace.presentation.figures import elicitation_figure
from conceptspace.tables import JOINT, NAIVE, PATCHING

TITLE = "Accuracy on the OOD class with the last embedding patched in"
OTHERS = ("overprompting-color", "latent-intervention")


@dataclass(frozen=True)
class Data:
    """The data that the figure shows.

    Attributes:
        table: trajectories of all seeds.
        best: of every protocol by checkpoint, settings chosen on other images; None where the runs
            kept no scores.
        ood: the OOD class.
        emergence: by protocol and seed, of the best setting.
        stable: seeds whose naive accuracy stays where it has arrived.
    """

    table: pd.DataFrame
    best: pd.DataFrame | None
    ood: str
    emergence: Mapping[str, Mapping[int, Emergence]]
    stable: list[int]


def analyse(preset: str, results: Sequence[Result]) -> Data:
    """Emergence under every protocol, and which seeds are stable."""
    ood = str(world(results).space.ood_classes[0])
    protocols = (NAIVE, PATCHING, *OTHERS)
    emergence = {protocol: emerged(results, ood, protocol) for protocol in protocols}
    stable = [r.seed for r in results if _stable(r, ood, emergence[NAIVE][r.seed])]
    return Data(joined(results), joined_best(results), ood, emergence, stable)


def draw(data: Data, rows: Rows) -> Mapping[str, Figure]:
    """Naive prompting, patching, and the other protocols."""
    return {
        "fig17": elicitation_figure(
            data.table,
            data.ood,
            best=data.best,
            protocols=list(data.emergence),
            emergence={
                p: [e.upper for e in of.values() if e.reached] for p, of in data.emergence.items()
            },
            title=TITLE,
            subtitle="\n".join(caption(row) for row in rows.values()),
        )
    }


def checks(data: Data) -> list[Row]:
    """Stable seeds and unstable ones, each on their own."""
    patching = data.emergence[PATCHING]
    earliest = {
        seed: min((data.emergence[p][seed] for p in OTHERS), key=lambda run: run.upper)
        for seed in patching
    }
    unstable = [seed for seed in patching if seed not in data.stable]
    return [
        criteria.patched_when_stable(
            [patching[seed] for seed in data.stable], [earliest[seed] for seed in data.stable]
        ),
        criteria.patched_when_unstable([patching[seed].reached for seed in unstable]),
    ]


def _stable(result: Result, ood: str, run: Emergence) -> bool:
    rows = result.table[(result.table["protocol"] == NAIVE) & (result.table["concept"] == JOINT)]
    rows = rows[rows["concept_class"] == ood].sort_values("step")
    return criteria.is_stable(rows["accuracy"].tolist(), run, rows["step"].astype(float).tolist())


FIGURE = PaperFigure(
    name="fig17",
    number="17",
    title=TITLE,
    claim="The last checkpoint's condition embedding elicits the OOD class at about the step of "
    "the other protocols in stable seeds, and not in unstable ones.",
    cost={"quick": "the first 12 runs of Fig. 6", "paper": "the 5 runs of Fig. 6"},
    plans=studied,
    analyse=analyse,
    draw=draw,
    checks=checks,
    primary="fig17-stable",
    endpoint="by how much patching differs from the other protocols, in stable seeds: "
    "within ±0.15 of training",
)
