"""Every figure of the seeds of one setting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from conceptspace.analysis import emergence
from conceptspace.analysis.elicitation import elicits, honest_emergence
from conceptspace.analysis.emergence import HOLD
from conceptspace.analysis.findings import turn_of
from conceptspace.analysis.sentences import Finding
from conceptspace.analysis.steps import digits
from conceptspace.analysis.turning import Turn
from conceptspace.analysis.verdict import GATE, Window, leading, others, windows
from conceptspace.errors import UserError
from conceptspace.presentation.figures import (
    Span,
    elicitation_figure,
    emergence_timeline,
    guidance_figure,
    image_strips,
    learning_curves,
    signal_figure,
    story_figure,
    trajectory_figure,
    window_figure,
)
from conceptspace.presentation.figures.guidance import PROTOCOL as GUIDANCE
from conceptspace.presentation.figures.strips import tiles
from conceptspace.presentation.worlds import HasSpace
from conceptspace.space import ConceptSpace
from conceptspace.store import Run
from conceptspace.tables import JOINT, NAIVE, PROBE
from conceptspace.worlds import border
from conceptspace.worlds.rendered import RenderedWorld
from conceptspace.worlds.signal import class_distances
from conceptspace.worlds.world import World

TITLES = {
    "hidden": "Accuracy under each way of asking, and images of one step",
    "trajectory": "Learning trajectory in concept space",
    "story": "Loss, accuracy and trajectory side by side",
    "curves": "Loss and accuracies against steps",
    "strips": "Generated images over training",
    "elicitation": "Joint accuracy under every protocol",
    "timeline": "Emergence timeline",
    "guidance": "Trajectories by guidance weight",
    "underspecification": "Effect of masked prompts",
    "conditions": "OOD trajectories by setting",
    "signal": "Concept signal of the data",
}
"""Title of each figure by the name of its file."""

FIGURE_OF = {
    "verdict": "hidden",
    "in-distribution": "curves",
    "memorization": "trajectory",
    "turn": "trajectory",
    "loss": "curves",
    "order": "curves",
    "emergence": "curves",
    "elicitation": "elicitation",
    "control": "elicitation",
    "underspecification": "underspecification",
}
"""The figure that supports a finding, by topic."""


def draw(
    runs: Sequence[Run], table: pd.DataFrame, best: pd.DataFrame | None, world: HasSpace
) -> dict[str, Figure]:
    """Every figure that the runs have data for, by the name of its file."""
    space = world.space
    images = images_of(runs[0], world)
    ood = [str(c) for c in space.ood_classes]
    turn = turn_of(table, ood[0], space.train_classes, space.names) if ood else None
    logs = [run.training() for run in runs if keeps_log(run)]
    figures: dict[str, Figure] = {}
    if ood and best is not None:
        figures |= _hidden(runs[0], best[best["run"] == runs[0].name], space)
    figures["trajectory"] = trajectory_figure(table, space, images, turn=turn)
    if len(space.concepts) == 2 and logs:
        figures["story"] = story_figure(table, logs, space, images, turn=turn)
    figures["curves"] = learning_curves(table, logs, space, turn=turn)
    sheets = runs[0].sheets()
    if sheets:
        own = table[(table["run"] == runs[0].name) & (table["protocol"] == NAIVE)]
        figures["strips"] = image_strips(sheets, space, table=own, class_images=images)
    if ood and best is not None:
        figures |= _elicitation(table, best, space, turn)
    if GUIDANCE in set(table["protocol"]) and len(space.concepts) > 1:
        figures["guidance"] = guidance_figure(table, space, images)
    if isinstance(world, RenderedWorld):
        figures["signal"] = signal_figure(
            space, {"": (class_distances(world), images)}, title="Concept signal"
        )
    return figures


def keeps_log(run: Run) -> bool:
    """Whether a run has, or should have, its training log; runs that were copied may be without."""
    return any(run.path.glob("training.parquet*"))


def class_images(world: World) -> dict[str, NDArray[np.float32]]:
    """An image of each class that has one, shape (3, height, width); noiseless for shapes."""
    found = {str(c): border.picture(world, c) for c in world.space.classes}
    return {name: image.numpy() for name, image in found.items() if image is not None}


def images_of(run: Run, world: HasSpace) -> dict[str, NDArray[Any]]:
    """An image of each class: rendered, or those that a run kept of data that are not rendered.

    Raises:
        UserError: a kept image is damaged.
    """
    if isinstance(world, RenderedWorld):
        return dict(class_images(world))
    return {path.stem: _opened(path) for path in sorted(run.pictures.glob("*.png"))}


def _opened(path: Path) -> NDArray[np.uint8]:
    try:
        with Image.open(path) as image:
            return np.asarray(image.convert("RGB"))
    except (OSError, SyntaxError):
        raise UserError(
            f"{path} is damaged; delete it, and the next evaluate writes it anew"
        ) from None


def figure_of(finding: Finding, figures: Mapping[str, Figure]) -> str:
    """Title of the figure that supports a finding; empty if it is not there."""
    name = FIGURE_OF.get(finding.topic, "")
    if name == "trajectory" and name not in figures:
        name = "conditions"
    return TITLES[name] if name in figures else ""


def _hidden(run: Run, best: pd.DataFrame, space: ConceptSpace) -> dict[str, Figure]:
    """The window of one run, with the images of the step in its middle (of the last without one).

    Nothing where no other way of asking was tried, or the images were not kept.
    """
    ood, table = leading(best, space.ood_classes), run.trajectory()
    (window,) = windows(best, ood)
    asked = others(sorted(best["protocol"].unique()))
    if not asked or not run.sheets():
        return {}
    shown = window.protocol or max(asked, key=lambda p: window.accuracy[p])
    window = replace(window, protocol=shown)
    steps = np.sort(table["step"].unique())
    inside = steps[(steps >= window.first) & (steps <= window.last)] if window.found else steps[-1:]
    step = int(inside[len(inside) // 2])
    images = {}
    for protocol in (NAIVE, shown, GATE):
        sheets = run.sheets(protocol)
        if step in sheets:
            images[protocol] = tiles(sheets[step], ood, _best_setting(table, protocol, ood, step))
    subtitle = f"Hidden capability: {answer(window)}"
    subtitle += f"; {window.checkpoints} checkpoints in a row, {HOLD} are needed; one seed."
    words = space.describe(ood)
    figure = window_figure(best, window, ood, images, step, words=words, subtitle=subtitle)
    return {"hidden": figure}


def answer(window: Window) -> str:
    """Whether one run has a hidden capability, in words."""
    if window.found:
        return f"yes, from step {digits(window.first)} to {digits(window.last)}"
    return "cannot be decided" if window.undecided else "no"


def _best_setting(table: pd.DataFrame, protocol: str, ood: str, step: int) -> str:
    rows = table[(table["protocol"] == protocol) & (table["concept_class"] == ood)]
    rows = rows[(rows["step"] == step) & (rows["concept"] == JOINT)]
    return str(rows["setting"].iloc[int(rows["accuracy"].argmax())])


def _elicitation(
    table: pd.DataFrame, best: pd.DataFrame, space: ConceptSpace, turn: Turn | None
) -> dict[str, Figure]:
    ood = leading(best, space.ood_classes)
    asked = best[best["concept_class"] == ood]["protocol"].unique()
    protocols = sorted(asked, key=lambda p: (p != NAIVE, not elicits(p), p))
    found = {p: honest_emergence(best, ood, p) for p in protocols}
    spans = [
        Span(p, e.lower, e.upper, not e.reached, f"seed {seed}")
        for seed in sorted(table["seed"].unique())
        for p, emergences in found.items()
        for e in emergences
        if e.seed == seed
    ]
    known = best.loc[best["concept"] == JOINT, PROBE].notna().all()
    plain = {p: honest_emergence(best, ood, p, PROBE) for p in protocols} if known else {}
    drawn = elicitation_figure(
        table,
        ood,
        best=best,
        protocols=protocols,
        emergence=_reached(found),
        plain=_reached(plain),
        turn=turn,
    )
    return {
        "elicitation": drawn,
        "timeline": emergence_timeline(spans, turn=turn, last_step=float(table["step"].max())),
    }


def _reached(found: Mapping[str, Sequence[emergence.Emergence]]) -> dict[str, list[float]]:
    """Of each protocol the steps at which runs reached the threshold."""
    return {p: [e.upper for e in each if e.reached] for p, each in found.items()}
