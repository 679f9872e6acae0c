"""What the published clip norm does together with the reconstruction term (not in the paper).

The published settings clip at 0.01; the paper does not say so. Compared are a learned and a fixed
gamma(t), which has no such gradient, each with a clip norm of 0.01 and of 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from conceptspace.analysis.claims import Bounds, Row, above, measure, open_question
from conceptspace.analysis.emergence import THRESHOLD, Emergence, emergence
from conceptspace.analysis.steps import from_to
from conceptspace.config import RunConfig
from conceptspace.paper.framework.caption import ENLARGED, beside, caption
from conceptspace.paper.framework.figure import PaperFigure, Rows
from conceptspace.paper.framework.results import Result, require, world
from conceptspace.paper.settings import CLIPPED_SEEDS, clipped
from conceptspace.presentation.style import (
    GRID,
    INK,
    WIDTH,
    footnote,
    heading,
    panels_over_legend,
    styled,
)
from conceptspace.sweeps.plan import Plan
from conceptspace.tables import JOINT, NAIVE

TITLE = "Two clip norms, with a learned and a fixed schedule"

PUBLISHED, LOOSE = 0.01, 1.0
"""Clip norms that are compared."""

COLORS = {PUBLISHED: "#7b3fa0", LOOSE: "#e08214"}


@dataclass(frozen=True)
class Setting:
    """One combination of schedule and clip norm.

    Attributes:
        learned: whether gamma(t) is learned.
        clip_norm: largest norm of the gradient.
        trained: by seed, when the worst training class reaches 0.8.
        steps: checkpoints, shape (T,).
        worst: joint accuracy of the worst training class, shape (seeds, T).
        ood: of the first OOD class, shape (seeds, T).
    """

    learned: bool
    clip_norm: float
    trained: Mapping[int, Emergence]
    steps: NDArray[np.float64]
    worst: NDArray[np.float64]
    ood: NDArray[np.float64]

    @property
    def name(self) -> str:
        """The combination in words."""
        return f"{'learned' if self.learned else 'fixed'} γ, clip norm {self.clip_norm:g}"


@dataclass(frozen=True)
class Data:
    """The data that the figure shows.

    Attributes:
        settings: what each combination does.
        added: seeds by which the sample of some combinations was enlarged.
    """

    settings: list[Setting]
    added: frozenset[int]


def plans(preset: str, seeds: Sequence[int] | None = None) -> list[Plan]:
    """Both clip norms, with a learned and (``quick``) with a fixed schedule."""
    return clipped(preset, seeds, (PUBLISHED, LOOSE))


def analyse(preset: str, results: Sequence[Result]) -> Data:
    """When the training classes are learned under each setting."""
    space = world(results).space
    found = []
    kinds = {_kind(result.config) for result in require(results)}
    for learned, clip_norm in sorted(kinds):
        of = [result for result in results if _kind(result.config) == (learned, clip_norm)]
        tables = [_joint(result) for result in of]
        steps = tables[0].index.to_numpy(dtype=np.float64)
        worst = [table[list(space.train_classes)].min(axis=1).to_numpy() for table in tables]
        ood = [table[space.ood_classes[0]].to_numpy() for table in tables]
        trained = {
            result.seed: emergence(steps, accuracy, seed=result.seed)
            for result, accuracy in zip(of, worst, strict=True)
        }
        found.append(Setting(learned, clip_norm, trained, steps, np.stack(worst), np.stack(ood)))
    return Data(found, frozenset(CLIPPED_SEEDS[preset]))


@styled
def clip_figure(settings: Sequence[Setting], found: str = "") -> Figure:
    """Joint accuracy of the worst training class and of the OOD class against steps."""
    figure = Figure(figsize=(WIDTH, 4.3), layout="constrained")
    colors = [COLORS[setting.clip_norm] for setting in settings]
    handles = [
        Line2D([], [], color=color, ls=_dash(setting), lw=2.2, label=setting.name)
        for setting, color in zip(settings, colors, strict=True)
    ]
    left, right = panels_over_legend(figure, 1, 2, handles, ncols=2)[0]
    for setting, color in zip(settings, colors, strict=True):
        for axes, curves in ((left, setting.worst), (right, setting.ood)):
            style: dict[str, Any] = {"color": color, "ls": _dash(setting)}
            axes.plot(setting.steps, curves.T, lw=0.6, alpha=0.45, **style)
            axes.plot(setting.steps, curves.mean(axis=0), lw=2.2, **style)
    left.set_title("a  worst training class")
    right.set_title("b  OOD class")
    for axes in (left, right):
        axes.axhline(THRESHOLD, color=INK, lw=0.6, ls=":")
        axes.set(xlabel="step", ylim=(-0.02, 1.02), ylabel="joint accuracy, naive prompting")
        axes.grid(axis="y", color=GRID, lw=0.4)
    runs = from_to(len(setting.worst) for setting in settings)
    footnote(figure, f"Thin: each of {runs} runs; thick: their mean. Dotted: {THRESHOLD:g}.")
    heading(figure, TITLE, found)
    return figure


def _dash(setting: Setting) -> str:
    return "-" if setting.learned else "--"


def draw(data: Data, rows: Rows) -> Mapping[str, Figure]:
    """The figure."""
    return {"clip": clip_figure(data.settings, "\n".join(caption(row) for row in rows.values()))}


def checks(data: Data) -> list[Row]:
    """The delay by the published clip norm under each schedule.

    What the seeds say alone by which a sample was enlarged stands beside it, and decides nothing.
    """
    rows = []
    for learned in (True, False):
        delays = _delays(data.settings, learned)
        alone = {seed: delay for seed, delay in delays.items() if seed in data.added}
        row = _delayed(learned, delays)
        if 0 < len(alone) < len(delays):
            row = beside(row, _delayed(learned, alone), ENLARGED)
        rows.append(row)
    return rows


def _delays(settings: Sequence[Setting], learned: bool) -> dict[int, Bounds]:
    """By seed, by what share of training the published clip norm delays the training classes."""
    by_norm = {s.clip_norm: s.trained for s in settings if s.learned == learned}
    tight, loose = by_norm.get(PUBLISHED, {}), by_norm.get(LOOSE, {})
    return {seed: _between(tight[seed], loose[seed]) for seed in tight if seed in loose}


def _delayed(learned: bool, delays: Mapping[int, Bounds]) -> Row:
    kind = "learned" if learned else "fixed"
    name = f"clip-{kind}"
    claim = (
        f"With a {kind} schedule, a clip norm of {PUBLISHED:g} in place of {LOOSE:g} delays the "
        "training classes."
    )
    row = above(name, claim, measure([*delays.values()]), 0.0, "(share of training)")
    if delays:
        return row
    return open_question(name, claim, row.criterion, "these runs were not made")


def _between(later: Emergence, earlier: Emergence) -> Bounds:
    """By what share of training one comes after the other, as far as both are known."""
    high = float("inf") if not later.reached else later.upper - earlier.lower
    low = -float("inf") if not earlier.reached else later.lower - earlier.upper
    return low / later.last, high / later.last


def _kind(config: RunConfig) -> tuple[bool, float]:
    return config.model.schedule == "learned_linear", config.train.clip_norm


def _joint(result: Result) -> pd.DataFrame:
    """Joint accuracy under naive prompting, steps by classes."""
    table = result.table
    rows = table[(table["protocol"] == NAIVE) & (table["concept"] == JOINT)]
    return rows.pivot_table(index="step", columns="concept_class", values="accuracy")


FIGURE = PaperFigure(
    name="clip",
    number="– (published settings)",
    title=TITLE,
    claim="Where gamma is learned, the published clip norm of 0.01 delays learning.",
    cost={"quick": "40 runs and 8 of Fig. 6", "paper": "10 runs of 20 minutes on an A100"},
    plans=plans,
    analyse=analyse,
    draw=draw,
    checks=checks,
    primary="clip-learned",
    endpoint="by how much the published clip norm delays the training classes, γ learned: above 0",
)
