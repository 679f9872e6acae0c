"""Whether the hidden capability depends on the sampler (not in the paper).

The same training runs are sampled a second time, by the paper's sampler where the preset takes a
faster one. Compared are the checkpoints' own accuracies, with settings chosen on other images.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from conceptspace.analysis.claims import Row
from conceptspace.analysis.emergence import THRESHOLD, Emergence
from conceptspace.analysis.verdict import GATE, Window, accuracies, others, windows_of
from conceptspace.config import RunConfig
from conceptspace.errors import UserError
from conceptspace.paper.fig06.criteria import earlier
from conceptspace.paper.framework.caption import caption
from conceptspace.paper.framework.figure import PaperFigure, Rows
from conceptspace.paper.framework.results import Result, emerged, joined_best, require, world
from conceptspace.paper.sampler import criteria
from conceptspace.paper.settings import SAMPLED, SAMPLED_SEEDS, sampled
from conceptspace.paper.thresholds import NEGLIGIBLE
from conceptspace.presentation.style import (
    GRID,
    INK,
    MUTED,
    OOD,
    TRAIN,
    WIDTH,
    footnote,
    heading,
    panels_over_legend,
    styled,
)
from conceptspace.presets import PRESETS
from conceptspace.sweeps.plan import Plan
from conceptspace.tables import NAIVE

TITLE = "The OOD class under two samplers"
PROTOCOL, BEST = "overprompting-color", "best"


@dataclass(frozen=True)
class Sampled:
    """The same runs under one sampler.

    Attributes:
        sampler: in words.
        accuracy: joint accuracy on the OOD class, index seed and step, columns naive, best (of the
            other ways of asking) and the random displacement.
        windows: of each seed.
        naive: emergence by seed.
        elicited: the same under overprompting.
    """

    sampler: str
    accuracy: pd.DataFrame
    windows: Mapping[int, Window]
    naive: list[Emergence]
    elicited: list[Emergence]

    @property
    def gaps(self) -> Mapping[int, float]:
        """By seed, how far another way of asking is ahead, in the mean over training."""
        ahead = self.accuracy[BEST] - self.accuracy[NAIVE]
        return {int(str(seed)): float(gap) for seed, gap in ahead.groupby("seed").mean().items()}

    @property
    def durations(self) -> Mapping[int, float]:
        """By seed, the share of the checkpoints that lies in its window."""
        checkpoints = self.accuracy.index.unique("step").size
        return {s: w.checkpoints / checkpoints * w.found for s, w in self.windows.items()}


def plans(preset: str, seeds: Sequence[int] | None = None) -> list[Plan]:
    """The studied setting under the preset's own sampler and under the other one."""
    return sampled(preset, seeds or SAMPLED_SEEDS[preset])


def analyse(preset: str, results: Sequence[Result]) -> list[Sampled]:
    """What is made under either sampler, by seeds that ran under both; the preset's own first."""
    ood = str(world(results).space.ood_classes[0])
    own = _sampler(PRESETS[preset]())
    by_sampler: dict[str, dict[int, Result]] = {own: {}}
    for result in require(results):
        by_sampler.setdefault(_sampler(result.config), {})[result.seed] = result
    if len(by_sampler) != 2 or not all(by_sampler.values()):
        raise UserError("runs of one sampler have finished, it needs both")
    seeds = sorted(set.intersection(*map(set, by_sampler.values())))
    if not seeds:
        raise UserError("no seed has finished under both samplers")
    return [_sampled(name, [of[seed] for seed in seeds], ood) for name, of in by_sampler.items()]


def _sampled(sampler: str, results: Sequence[Result], ood: str) -> Sampled:
    best = joined_best(results)
    if best is None:
        raise UserError("its runs kept no scores of single images")
    wide = accuracies(best[best["protocol"].isin((NAIVE, *SAMPLED))], ood)
    ways = others([str(p) for p in wide.columns])
    shown = wide[[NAIVE, GATE]].assign(**{BEST: wide[ways].max(axis=1)})
    return Sampled(
        sampler,
        shown,
        {window.seed: window for window in windows_of(wide)},
        list(emerged(results, ood).values()),
        list(emerged(results, ood, PROTOCOL).values()),
    )


@styled
def sampler_figure(samples: Sequence[Sampled], found: str = "") -> Figure:
    """Joint accuracy on the OOD class against steps, a panel for each sampler."""
    figure = Figure(figsize=(WIDTH, 4.0), layout="constrained")
    lines = {
        NAIVE: (TRAIN, "-", "naive prompting"),
        BEST: (OOD, "-", "best other way of asking"),
        GATE: (MUTED, "--", "random displacement"),
    }
    handles = [
        Line2D([], [], color=color, ls=dash, lw=2.2, label=label)
        for color, dash, label in lines.values()
    ]
    panels = panels_over_legend(figure, 1, len(samples), handles, ncols=3)[0]
    for axes, sample, letter in zip(panels, samples, "ab", strict=True):
        for way, (color, dash, _) in lines.items():
            by_seed = sample.accuracy[way].unstack("seed")
            axes.plot(by_seed.index, by_seed, color=color, ls=dash, lw=0.6, alpha=0.4)
            axes.plot(by_seed.index, by_seed.mean(axis=1), color=color, ls=dash, lw=2.2)
        axes.axhline(THRESHOLD, color=INK, lw=0.6, ls=":")
        axes.set(title=f"{letter}  {sample.sampler}", xlabel="step", ylim=(-0.02, 1.02))
        axes.set(ylabel="joint accuracy on the OOD class")
        axes.grid(axis="y", color=GRID, lw=0.4)
    seeds = len(samples[0].windows)
    footnote(figure, f"Thin: each of {seeds} seeds; thick: their mean. Dotted: {THRESHOLD:g}.")
    heading(figure, TITLE, found)
    return figure


def draw(data: Sequence[Sampled], rows: Rows) -> Mapping[str, Figure]:
    """The figure."""
    captions = "\n".join(caption(row) for row in rows.values())
    return {"sampler": sampler_figure(data, captions)}


def checks(data: Sequence[Sampled]) -> list[Row]:
    """Whether both samplers tell the same, and whether the other one tells it by itself."""
    own, other = data
    both = f"{own.sampler} and {other.sampler}"
    return [
        criteria.same_gap([other.gaps[s] - own.gaps[s] for s in own.gaps], both),
        criteria.same_duration([other.durations[s] - own.durations[s] for s in own.windows], both),
        _under_the_other(other),
    ]


def _under_the_other(other: Sampled) -> Row:
    row = earlier("sampler", PROTOCOL, other.naive, other.elicited)
    return replace(row, claim=f"Under {other.sampler} {row.claim}")


def _sampler(config: RunConfig) -> str:
    return f"{config.evaluate.sampler}, {config.evaluate.sampling_steps} steps"


FIGURE = PaperFigure(
    name="sampler",
    number="– (two samplers)",
    title=TITLE,
    claim="The hidden capability does not depend on the sampler.",
    cost={
        "quick": "16 runs",
        "paper": "10 runs of 20 minutes on an A100",
    },
    plans=plans,
    analyse=analyse,
    draw=draw,
    checks=checks,
    primary="sampler-gap",
    endpoint="by how much more another way of asking is ahead of naive prompting under the one "
    f"sampler than under the other: within ±{NEGLIGIBLE:g} joint accuracy",
)
