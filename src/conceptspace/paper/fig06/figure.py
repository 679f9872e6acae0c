"""Fig. 6: emergence of hidden capabilities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import pandas as pd
from matplotlib.figure import Figure

from conceptspace.analysis.claims import Row, open_question
from conceptspace.analysis.elicitation import is_control
from conceptspace.analysis.emergence import Emergence
from conceptspace.analysis.findings import turn_of
from conceptspace.analysis.trajectories import paths
from conceptspace.analysis.turning import Turn, detect_turn
from conceptspace.analysis.verdict import Window, windows
from conceptspace.errors import UserError
from conceptspace.paper.fig06 import criteria
from conceptspace.paper.framework.caption import caption, effect
from conceptspace.paper.framework.figure import PaperFigure, Rows
from conceptspace.paper.framework.results import (
    JUDGED,
    PLAIN,
    Result,
    emerged,
    joined,
    joined_best,
    require,
    scored_images,
    world,
)
from conceptspace.paper.settings import HIDDEN_SEEDS, LATER_SEEDS, STUDIED_SEEDS, studied
from conceptspace.paper.thresholds import RESOLVED
from conceptspace.presentation.figures import elicitation_figure, emergence_timeline
from conceptspace.presentation.figures.timeline import Span
from conceptspace.sweeps.plan import Plan
from conceptspace.tables import NAIVE, PATCHING

TITLE = "Accuracy on the OOD class under every way of asking"

WORDS = {JUDGED: "by the judge, settings chosen on other images", PLAIN: "best by the plain probe"}

CONTROLS = {
    "overprompting-color": ("overprompting-size",),
    "latent-intervention": ("latent-control-scaling", "latent-control-random"),
}
"""The controls with which each protocol is compared."""


@dataclass(frozen=True)
class Sample:
    """The results of some seeds.

    Attributes:
        table: trajectories of all seeds.
        best: of every protocol by checkpoint, settings chosen on other images.
        turn: of the mean naive trajectory, if there are enough checkpoints.
        turn_steps: where each seed's own trajectory turns, or bends most.
        emergence: by statistic and protocol, of each seed.
        windows: of each seed.
    """

    table: pd.DataFrame
    best: pd.DataFrame | None
    turn: Turn | None
    turn_steps: list[float]
    emergence: Mapping[str, Mapping[str, list[Emergence]]]
    windows: list[Window]

    @property
    def durations(self) -> list[float]:
        """By seed, the share of the checkpoints that lies in the window."""
        checkpoints = self.table["step"].nunique()
        return [w.checkpoints / checkpoints if w.found else 0.0 for w in self.windows]


@dataclass(frozen=True)
class Data:
    """The data that the figure shows.

    Attributes:
        ood: the OOD class.
        sample: the seeds of which the claims are: those that nobody had seen when the primary
            endpoint was fixed, if there are any.
        fresh: whether there are.
        beside: the seeds that had been seen, where the claims are of others.
    """

    ood: str
    sample: Sample
    fresh: bool
    beside: Sample | None


def plans(preset: str, seeds: Sequence[int] | None = None) -> list[Plan]:
    """The studied setting under every protocol."""
    own = dict.fromkeys((*STUDIED_SEEDS[preset], *LATER_SEEDS[preset], *HIDDEN_SEEDS[preset]))
    return studied(preset, seeds or list(own))


def analyse(preset: str, results: Sequence[Result]) -> Data:
    """Emergence under every protocol, by the judge and by the plain probe, and the windows."""
    ood = str(world(results).space.ood_classes[0])
    if not scored_images(require(results)):
        raise UserError("its runs kept no scores of single images")
    before = {*STUDIED_SEEDS[preset], *LATER_SEEDS[preset]} - {*HIDDEN_SEEDS[preset]}
    fresh = [r for r in results if r.seed not in before]
    seen = [r for r in results if r.seed in before]
    beside = _sample(seen, ood) if fresh and seen else None
    return Data(ood, _sample(fresh or seen, ood), bool(fresh), beside)


def _sample(results: Sequence[Result], ood: str) -> Sample:
    table = joined(results)
    table = table[table["protocol"] != PATCHING]
    shown = [NAIVE, *sorted({*table["protocol"]} - {NAIVE}, key=lambda p: (is_control(p), p))]
    return Sample(
        table,
        joined_best(results),
        turn_of(table, ood),
        [seed_turn(result, ood) for result in results],
        {
            statistic: {
                p: list(emerged(results, ood, p, statistic=statistic).values()) for p in shown
            }
            for statistic in (JUDGED, PLAIN)
        },
        [w for result in results if result.best is not None for w in windows(result.best, ood)],
    )


def seed_turn(result: Result, ood: str) -> float:
    """Where one seed's naive trajectory bends most."""
    found = paths(result.table, NAIVE, ood)
    return detect_turn(found.steps, found.values, found.samples).step


def draw(data: Data, rows: Rows) -> Mapping[str, Figure]:
    """Accuracies under every protocol, and the timeline of emergence."""
    return {
        "fig06": _accuracies(data.sample, data.ood, rows["fig06-duration"]),
        "timeline": _timeline(data, JUDGED, rows["fig06-overprompting-color-earlier"]),
        "timeline-plain": _timeline(data, PLAIN, rows["fig06-overprompting-color-earlier-plain"]),
    }


def _accuracies(sample: Sample, ood: str, row: Row) -> Figure:
    reached, plain = (
        {p: [e.upper for e in runs if e.reached] for p, runs in sample.emergence[statistic].items()}
        for statistic in (JUDGED, PLAIN)
    )
    return elicitation_figure(
        sample.table,
        ood,
        best=sample.best,
        protocols=list(reached),
        emergence=reached,
        plain=plain,
        turn=sample.turn,
        title=TITLE,
        subtitle=caption(row),
    )


def _timeline(data: Data, statistic: str, row: Row) -> Figure:
    by_protocol = data.sample.emergence[statistic]
    spans = [
        Span(protocol, run.lower, run.upper, not run.reached, f"seed {run.seed}")
        for of_seed in zip(*by_protocol.values(), strict=True)
        for protocol, run in zip(by_protocol, of_seed, strict=True)
    ]
    return emergence_timeline(
        spans,
        turn=data.sample.turn,
        last_step=float(data.sample.table["step"].max()),
        hollow=statistic == PLAIN,
        title=f"Step from which class {data.ood} is made, by seed and way of asking",
        subtitle=caption(row),
    )


def checks(data: Data) -> list[Row]:
    """The primary endpoint, then every protocol against naive prompting and its controls.

    What the seeds say that had been seen stands beside it, and decides nothing.
    """
    rows = _rows(data.sample)
    if not data.fresh:
        rows[0] = criteria.duration([])
    if data.beside is not None:
        rows = [_beside(row, seen) for row, seen in zip(rows, _rows(data.beside), strict=True)]
    return rows


def _beside(row: Row, seen: Row) -> Row:
    note = f"Of {seen.seeds} seeds seen before: {seen.verdict}{effect(seen)}."
    return replace(row, note=f"{row.note} {note}".strip())


def _rows(sample: Sample) -> list[Row]:
    rows = [
        criteria.duration(sample.durations),
        criteria.hidden([w.found for w in sample.windows]),
    ]
    for statistic, emergence in sample.emergence.items():
        for protocol, controls in CONTROLS.items():
            rows += [
                replace(
                    row,
                    name=row.name if statistic == JUDGED else f"{row.name}-plain",
                    claim=f"{row.claim.removesuffix('.')} ({WORDS[statistic]}).",
                )
                for row in _elicited(sample, emergence, protocol, controls)
            ]
    return rows


def _elicited(
    sample: Sample, emergence: Mapping[str, list[Emergence]], protocol: str, controls: Sequence[str]
) -> list[Row]:
    naive, runs = emergence[NAIVE], emergence[protocol]
    return [
        criteria.earlier("fig06", protocol, naive, runs),
        criteria.fails_where_elicited(protocol, naive, runs),
        criteria.same_step(protocol, runs),
        _at_the_turn(sample, protocol, runs),
        *(criteria.control(protocol, name, runs, emergence[name]) for name in controls),
    ]


def _at_the_turn(sample: Sample, protocol: str, runs: list[Emergence]) -> Row:
    row = criteria.at_the_turn(protocol, runs, sample.turn_steps)
    if sample.turn is not None and sample.turn.detected:
        return row
    return open_question(row.name, row.claim, row.criterion, "no turn was detected", row.seeds)


FIGURE = PaperFigure(
    name="fig06",
    number="6",
    title=TITLE,
    claim="Overprompting and latent intervention reach the OOD class earlier than naive prompting, "
    "at about the same step in every seed and about where the trajectory turns; naive prompting "
    "may never arrive.",
    cost={"quick": "48 runs with every protocol", "paper": "5 runs of 20 minutes on an A100"},
    plans=plans,
    analyse=analyse,
    draw=draw,
    checks=checks,
    primary="fig06-duration",
    endpoint="share of training in which the capability is hidden, mean over 24 seeds: "
    f"above {RESOLVED:g}",
)
