"""Fig. 6: emergence of hidden capabilities.

Claim: overprompting and latent intervention reach the OOD class earlier than naive prompting, at
about the same step in every seed and about where the trajectory turns; naive prompting varies from
seed to seed and may never arrive.

Cost: ``quick`` 4 runs with every protocol, shared with Figs. 1c and 12; ``paper`` 5 runs of 20
minutes on an A100 and their protocols.

Command: ``conceptspace reproduce fig06 --preset quick``
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from conceptspace.analysis.claims import Row, open_question
from conceptspace.analysis.criteria import elicitation as criteria
from conceptspace.analysis.elicitation import is_control
from conceptspace.analysis.emergence import THRESHOLD, Emergence
from conceptspace.analysis.findings import turn_of
from conceptspace.analysis.trajectories import paths
from conceptspace.analysis.turning import Turn, detect_turn
from conceptspace.paper.figure import PaperFigure
from conceptspace.paper.plan import SEEDS, Plan
from conceptspace.paper.results import CONFIRMED, PROBE, Result, confirmed, emerged, joined, world
from conceptspace.paper.settings import studied
from conceptspace.presentation.figures import elicitation_figure, emergence_timeline
from conceptspace.presentation.figures.timeline import Emergence as Span
from conceptspace.tables import JOINT, NAIVE, PATCHING

QUICK_SEEDS = (0, 1, 2, 3)

WORDS = {PROBE: "best of the sweep by the probe", CONFIRMED: "confirmed by the read-out"}


@dataclass(frozen=True)
class Data:
    """What the figure shows.

    Attributes:
        table: trajectories of all seeds.
        ood: the OOD class.
        turn: of the mean naive trajectory, if there are enough checkpoints.
        turn_steps: where each seed's own trajectory turns, or bends most.
        emergence: by statistic and protocol, of each seed.
        control: by control protocol, each seed's largest joint accuracy where naive prompting is
            below 0.8, with settings chosen on other images.
    """

    table: pd.DataFrame
    ood: str
    turn: Turn | None
    turn_steps: list[float]
    emergence: Mapping[str, Mapping[str, list[Emergence]]]
    control: Mapping[str, list[float]]


def plans(preset: str, seeds: Sequence[int] | None = None) -> list[Plan]:
    """The studied setting under every protocol."""
    return studied(preset, seeds or (QUICK_SEEDS if preset == "quick" else SEEDS[preset]))


def analyse(preset: str, results: Sequence[Result]) -> Data:
    """Emergence under every protocol, by the probe and, where it is known, confirmed."""
    ood = str(world(results).space.ood_classes[0])
    table = joined(results)
    protocols = [NAIVE, *sorted(p for p in table["protocol"].unique() if p != NAIVE)]
    statistics = [PROBE, CONFIRMED] if confirmed(results) else [PROBE]
    shown = [p for p in protocols if not is_control(p) and p != PATCHING]
    return Data(
        table[table["protocol"] != PATCHING],
        ood,
        turn_of(table, ood),
        [seed_turn(result, ood) for result in results],
        {
            statistic: {
                p: list(emerged(results, ood, p, statistic=statistic).values()) for p in shown
            }
            for statistic in statistics
        },
        {p: _hidden_highs(results, ood, p) for p in protocols if is_control(p)},
    )


def seed_turn(result: Result, ood: str) -> float:
    """Where one seed's naive trajectory bends most."""
    found = paths(result.table, NAIVE, ood)
    return detect_turn(found.steps, found.values, found.samples).step


def draw(data: Data) -> Mapping[str, Figure]:
    """Accuracies under every protocol, and the timeline of emergence."""
    reached = {p: [e.upper for e in runs if e.reached] for p, runs in data.emergence[PROBE].items()}
    band = data.turn.step_interval if data.turn is not None and data.turn.detected else None
    spans = [
        Span(f"{protocol} · {statistic}", run.lower, run.upper, not run.reached)
        for statistic, of in data.emergence.items()
        for protocol, runs in of.items()
        for run in runs
    ]
    return {
        "fig06": elicitation_figure(
            data.table,
            data.ood,
            protocols=[*reached, *data.control],
            emergence=reached,
            turn=band,
            title="Emergence of hidden capabilities",
        ),
        "timeline": emergence_timeline(
            spans,
            turn=band,
            last_step=float(data.table["step"].max()),
            title="When the OOD class is first made, by protocol and seed",
        ),
    }


def checks(data: Data) -> list[Row]:
    """Every protocol against naive prompting, by both statistics, and the control."""
    rows = [row for s, of in data.emergence.items() for row in _elicited(data, s, of)]
    if CONFIRMED not in data.emergence:
        told = "the runs kept no scores of single images"
        claim = "The same, counting only images that the read-out confirms."
        rows.append(open_question("fig06-confirmed", claim, "as above", told, len(data.turn_steps)))
    for protocol, highest in data.control.items():
        if highest:
            rows.append(criteria.control(protocol, highest))
    return rows


def _elicited(data: Data, statistic: str, emergence: Mapping[str, list[Emergence]]) -> list[Row]:
    naive = emergence[NAIVE]
    rows = []
    for protocol, runs in emergence.items():
        if protocol == NAIVE:
            continue
        rows += [
            criteria.earlier("fig06", protocol, naive, runs),
            criteria.same_step(protocol, runs),
            criteria.naive_varies(protocol, naive, runs),
            _at_the_turn(data, protocol, runs),
        ]
    return [
        replace(
            row,
            name=f"{row.name}-{statistic}",
            claim=f"{row.claim.removesuffix('.')} ({WORDS[statistic]}).",
        )
        for row in rows
    ]


def _at_the_turn(data: Data, protocol: str, runs: list[Emergence]) -> Row:
    row = criteria.at_the_turn(protocol, runs, data.turn_steps)
    if data.turn is not None and data.turn.detected:
        return row
    return open_question(row.name, row.claim, row.criterion, "no turn was detected", row.seeds)


def _hidden_highs(results: Sequence[Result], ood: str, control: str) -> list[float]:
    """The largest accuracy of a control where naive prompting is below the threshold, by seed."""
    highs = []
    for result in results:
        best = result.best
        if best is None:
            continue
        rows = best[(best["concept"] == JOINT) & (best["concept_class"] == ood)]
        wide = rows.pivot_table(index="step", columns="protocol", values="honest")
        hidden = wide[wide[NAIVE] < THRESHOLD][control].dropna()
        if len(hidden):
            highs.append(float(np.max(hidden)))
    return highs


FIGURE = PaperFigure(
    name="fig06",
    number="6",
    title="Emergence of hidden capabilities",
    claim="Overprompting and latent intervention reach the OOD class earlier than naive prompting, "
    "at about the same step in every seed and about where the trajectory turns; naive prompting "
    "varies from seed to seed.",
    cost={"quick": "4 runs with every protocol", "paper": "5 runs of 20 minutes on an A100"},
    plans=plans,
    analyse=analyse,
    draw=draw,
    checks=checks,
)
