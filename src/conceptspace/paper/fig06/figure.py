"""Fig. 6: emergence of hidden capabilities."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import pandas as pd
from matplotlib.figure import Figure

from conceptspace.analysis.claims import Row, open_question
from conceptspace.analysis.elicitation import is_control
from conceptspace.analysis.emergence import Emergence, ready
from conceptspace.analysis.findings import turn_of
from conceptspace.analysis.turning import Turn, find_turn
from conceptspace.analysis.verdict import Window, windows
from conceptspace.errors import UserError
from conceptspace.paper.fig06 import criteria
from conceptspace.paper.framework.caption import ENLARGED, beside, caption, scored_by
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
from conceptspace.paper.settings import (
    COMPARED_SEEDS,
    HIDDEN_SEEDS,
    LATER_SEEDS,
    SAMPLED_SEEDS,
    STUDIED_SEEDS,
    studied,
)
from conceptspace.paper.thresholds import RESOLVED
from conceptspace.presentation.figures import elicitation_figure, emergence_timeline
from conceptspace.presentation.figures.timeline import Span
from conceptspace.sweeps.plan import Plan
from conceptspace.tables import JOINT, NAIVE, PATCHING, PROBE

TITLE = "Accuracy on the OOD class under every way of asking"

WORDS = {JUDGED: "by the judge, settings chosen on other images", PLAIN: "best by the plain probe"}

CONTROLS = {
    "overprompting-color": ("overprompting-size",),
    "latent-intervention": ("latent-control-scaling", "latent-control-random"),
}
"""The controls with which each protocol is compared."""

AS_MANY = ("latent-intervention",)
"""Protocols whose controls have as many settings as they have."""

ByWay = Mapping[str, Mapping[str, Mapping[int, Emergence]]]
"""Emergence by statistic, protocol and seed."""


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
        probes: of each seed, the hash of the plain probe that scored it.
    """

    table: pd.DataFrame
    best: pd.DataFrame | None
    turn: Turn | None
    turn_steps: list[float]
    emergence: Mapping[str, Mapping[str, list[Emergence]]]
    windows: list[Window]
    probes: list[str]

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
        added: the last of the sample's seeds, by which it was enlarged when the others were known.
        emergence: of all seeds.
        amounts: by statistic, the joint accuracy in the mean over all checkpoints, index seed, one
            column for each protocol; before the training classes are ready it counts as 0.
        compared: the seeds that nobody had seen when the comparisons were fixed.
        compared_beside: those that had been seen.
        probes: by seed, the hash of the plain probe that scored it.
    """

    ood: str
    sample: Sample
    fresh: bool
    beside: Sample | None
    added: Sample | None
    emergence: ByWay
    amounts: Mapping[str, pd.DataFrame]
    compared: list[int]
    compared_beside: list[int]
    probes: Mapping[int, str]


def plans(preset: str, seeds: Sequence[int] | None = None) -> list[Plan]:
    """The studied setting under every protocol."""
    groups = (STUDIED_SEEDS, LATER_SEEDS, HIDDEN_SEEDS, COMPARED_SEEDS)
    own = dict.fromkeys(seed for group in groups for seed in group[preset])
    return studied(preset, seeds or list(own))


def analyse(preset: str, results: Sequence[Result]) -> Data:
    """Emergence under every protocol, by the judge and by the plain probe, and the windows."""
    ood = str(world(results).space.ood_classes[0])
    if not scored_images(require(results)):
        raise UserError("its runs kept no scores of single images")
    emergence = _emergence(results, ood)
    seen_first = {*STUDIED_SEEDS[preset], *LATER_SEEDS[preset], *SAMPLED_SEEDS[preset]}
    seen_later = seen_first | {*HIDDEN_SEEDS[preset]}
    fresh, seen = _apart(results, seen_first - {*HIDDEN_SEEDS[preset]})
    new, old = _apart(results, seen_later - {*COMPARED_SEEDS[preset]})
    return Data(
        ood,
        _sample(fresh or seen, ood, emergence),
        bool(fresh),
        _sample(seen, ood, emergence) if fresh and seen else None,
        _sample(new, ood, emergence) if 0 < len(new) < len(fresh) else None,
        emergence,
        _amounts(results, ood),
        [result.seed for result in new],
        [result.seed for result in old],
        {result.seed: result.probe for result in results},
    )


def _apart(results: Sequence[Result], seen: Collection[int]) -> tuple[list[Result], list[Result]]:
    """The results of seeds that had not been seen, and the others."""
    return [r for r in results if r.seed not in seen], [r for r in results if r.seed in seen]


def _emergence(results: Sequence[Result], ood: str) -> ByWay:
    asked = {*joined(results)["protocol"]} - {NAIVE, PATCHING}
    shown = [NAIVE, *sorted(asked, key=lambda p: (is_control(p), p))]
    return {
        statistic: {p: emerged(results, ood, p, statistic=statistic) for p in shown}
        for statistic in (JUDGED, PLAIN)
    }


def _sample(results: Sequence[Result], ood: str, emergence: ByWay) -> Sample:
    table = joined(results)
    table = table[table["protocol"] != PATCHING]
    return Sample(
        table,
        joined_best(results),
        turn_of(table, ood),
        [find_turn(result.table, ood).step for result in results],
        {
            statistic: {p: [runs[result.seed] for result in results] for p, runs in of.items()}
            for statistic, of in emergence.items()
        },
        [w for result in results if result.best is not None for w in windows(result.best, ood)],
        [result.probe for result in results],
    )


def _amounts(results: Sequence[Result], ood: str) -> Mapping[str, pd.DataFrame]:
    best = pd.concat([result.best for result in results if result.best is not None])
    rows = best[(best["concept_class"] == ood) & (best["concept"] == JOINT)]
    columns, counts = ["honest", PROBE], ready(best, rows, ood)
    rows = rows.assign(**{name: rows[name].where(counts, 0.0) for name in columns})
    means = rows.groupby(["seed", "protocol"])[columns].mean()
    return {JUDGED: means["honest"].unstack(), PLAIN: means[PROBE].unstack()}


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

    What the seeds say that had been seen stands beside it, and decides nothing; and so does what
    the seeds say alone by which the sample was enlarged.
    """
    rows = [
        criteria.duration(data.sample.durations if data.fresh else []),
        *_compared(data, data.compared),
        *_elicited(data.sample),
    ]
    others = {
        "seen before": [
            *([] if data.beside is None else _of_sample(data.beside)),
            *_compared(data, data.compared_beside),
        ],
        ENLARGED: [] if data.added is None else _of_sample(data.added),
    }
    for which, of in others.items():
        found = {row.name: row for row in of if row.seeds}
        rows = [beside(row, found.get(row.name), which) for row in rows]
    return rows


def _of_sample(sample: Sample) -> list[Row]:
    return [criteria.duration(sample.durations), *_elicited(sample)]


def _compared(data: Data, seeds: list[int]) -> list[Row]:
    """By how much more of the class a protocol makes than naive prompting and its controls.

    The plain probe reports the best of a sweep on the very images that it is chosen by: so it may
    compare only those that have as many settings, as the latent intervention and its controls.
    """
    rows = []
    for statistic in (JUDGED, PLAIN):
        amounts, emergence = data.amounts[statistic].loc[seeds], data.emergence[statistic]
        for protocol, controls in CONTROLS.items():
            others = (NAIVE, *controls)
            if statistic == PLAIN:
                others = controls if protocol in AS_MANY else ()
            for other in others:
                gains = (amounts[protocol] - amounts[other]).tolist()
                pair = ([emergence[name][seed] for seed in seeds] for name in (protocol, other))
                row = criteria.more(protocol, other, gains, *pair)
                rows.append(_by(statistic, row, [data.probes[seed] for seed in seeds]))
    return rows


def _elicited(sample: Sample) -> list[Row]:
    """Whether a protocol is earlier than naive prompting, where that fails, and at which step."""
    found: list[Row] = []
    for statistic, emergence in sample.emergence.items():
        naive = emergence[NAIVE]
        for protocol in CONTROLS:
            runs = emergence[protocol]
            rows = (
                criteria.earlier("fig06", protocol, naive, runs),
                criteria.fails_where_elicited(protocol, naive, runs),
                criteria.same_step(protocol, runs),
                _at_the_turn(sample, protocol, runs),
            )
            found += [_by(statistic, row, sample.probes) for row in rows]
    return found


def _by(statistic: str, row: Row, probes: Sequence[str]) -> Row:
    """The row with the statistic in its name and claim; by the plain probe with what scored it."""
    row = replace(row, claim=f"{row.claim.removesuffix('.')} ({WORDS[statistic]}).")
    if statistic == JUDGED:
        return row
    return scored_by(replace(row, name=f"{row.name}-plain"), probes)


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
    cost={"quick": "72 runs with every protocol", "paper": "5 runs of 20 minutes on an A100"},
    plans=plans,
    analyse=analyse,
    draw=draw,
    checks=checks,
    primary="fig06-duration",
    endpoint="share of training in which the capability is hidden, mean over seeds: "
    f"above {RESOLVED:g}",
)
