"""Everything that a run, or the seeds of one setting, has to show: figures, findings, page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from conceptspace.analysis import emergence
from conceptspace.analysis.findings import (
    Finding,
    best_settings,
    findings,
    honest_emergence,
    require_distinct_seeds,
    turn_of,
)
from conceptspace.analysis.turning import Turn
from conceptspace.build import world
from conceptspace.data.concepts import ConceptSpace
from conceptspace.data.shapes import ShapesWorld
from conceptspace.errors import UserError
from conceptspace.measurement.signal import class_distances
from conceptspace.presentation import report
from conceptspace.presentation.figures import (
    Emergence,
    elicitation_figure,
    emergence_timeline,
    image_strips,
    learning_curves,
    signal_figure,
    trajectory_figure,
)
from conceptspace.presentation.style import save
from conceptspace.store import Run
from conceptspace.tables import JOINT, NAIVE

TITLES = {
    "trajectory": "Learning trajectory in concept space",
    "curves": "Loss and accuracies against steps",
    "strips": "Generated images over training",
    "elicitation": "Joint accuracy under every protocol",
    "timeline": "Emergence timeline",
    "signal": "Concept signal of the data",
}
"""Title of each figure by the name of its file."""

FIGURE_OF = {
    "in-distribution": "curves",
    "memorization": "trajectory",
    "turn": "trajectory",
    "emergence": "curves",
    "elicitation": "elicitation",
    "probe": "",
}
"""The figure that supports a finding, by topic."""


def write_page(runs: Sequence[Run], path: Path) -> list[Finding]:
    """Draw the figures of runs, state their findings and write their page.

    A single run also gets its figures as PNG and SVG in its folder.

    Args:
        runs: one, or several that differ in their seed alone.
        path: the HTML file.

    Returns:
        The findings that stand on the page.

    Raises:
        UserError: a run has not been evaluated, or the runs differ in more than their seed.
    """
    require_same_setting(runs)
    shapes = world(runs[0].config.data)
    space = shapes.space
    table = pd.concat([run.trajectory() for run in runs], ignore_index=True)
    scores = pd.concat([run.scores() for run in runs], ignore_index=True)
    require_distinct_seeds(table)
    logs = {run.config.seed: run.training() for run in runs}
    words = {str(c): space.describe(c) for c in space.classes}
    told = findings(table, scores, space.train_classes, space.ood_classes, words, logs)
    told += [_probe_finding(run, len(runs) > 1) for run in runs]
    figures = draw(runs, table, scores, shapes)
    if len(runs) == 1:
        for name, figure in figures.items():
            save(figure, runs[0].path / "figures" / name)
    report.write(
        list(runs),
        space,
        path,
        findings=[report.Finding(f.text, TITLES.get(_figure_of(f, figures), "")) for f in told],
        figures={TITLES[name]: figure for name, figure in figures.items()},
        class_images=class_images(shapes),
    )
    return told


def draw(
    runs: Sequence[Run], table: pd.DataFrame, scores: pd.DataFrame, shapes: ShapesWorld
) -> dict[str, Figure]:
    """Every figure that the runs have data for, by the name of its file."""
    space = shapes.space
    images = class_images(shapes)
    ood = [str(c) for c in space.ood_classes]
    turn = turn_of(table, ood[0]) if ood else None
    shown = turn if turn is not None and turn.detected else None
    step = shown.step if shown else None
    band = shown.step_interval if shown else None
    figures = {
        "trajectory": trajectory_figure(table, space, images, turn=step),
        "curves": learning_curves(table, [run.training() for run in runs], space, turn=band),
    }
    sheets = runs[0].sheets()
    if sheets:
        own = table[(table["run"] == runs[0].name) & (table["protocol"] == NAIVE)]
        figures["strips"] = image_strips(sheets, space, table=own, class_images=images)
    if table["protocol"].nunique() > 1:
        figures |= _elicitation(table, scores, space, shown)
    figures["signal"] = signal_figure(
        space, {"this run": (class_distances(shapes), images)}, title="Concept signal"
    )
    return figures


def class_images(shapes: ShapesWorld) -> dict[str, NDArray[np.float32]]:
    """A noiseless image in the middle of each class, shape (3, height, width)."""
    means = {str(c): shapes.class_mean(c) for c in shapes.space.classes}
    return {name: shapes.render(mean[None])[0].numpy() for name, mean in means.items()}


def require_same_setting(runs: Sequence[Run]) -> None:
    """Raise ``UserError`` if runs differ in more than their seed."""
    first = runs[0].config
    for run in runs[1:]:
        if run.config.model_copy(update={"seed": first.seed, "preset": first.preset}) != first:
            raise UserError(
                f"{run.path} and {runs[0].path} differ in more than their seed; "
                "a common page needs runs of one setting"
            )


def _elicitation(
    table: pd.DataFrame, scores: pd.DataFrame, space: ConceptSpace, turn: Turn | None
) -> dict[str, Figure]:
    ood = str(space.ood_classes[0])
    best = best_settings(table, scores)
    best = best[best["concept_class"] == ood]
    protocols = [NAIVE, *sorted(p for p in best["protocol"].unique() if p != NAIVE)]
    reached = {p: [e.upper for e in honest_emergence(best, ood, p) if e.reached] for p in protocols}
    spans = []
    for protocol in protocols:
        for concept in (*space.names, JOINT):
            found = (
                honest_emergence(best, ood, protocol)
                if concept == JOINT
                else emergence.find_emergence(best, ood, protocol, concept=concept)
            )
            label = f"{protocol} · {concept}"
            spans += [Emergence(label, e.lower, e.upper, not e.reached) for e in found]
    band = turn.step_interval if turn else None
    return {
        "elicitation": elicitation_figure(
            table, ood, protocols=protocols, emergence=reached, turn=band
        ),
        "timeline": emergence_timeline(spans, turn=band, last_step=float(table["step"].max())),
    }


def _figure_of(finding: Finding, figures: Mapping[str, Figure]) -> str:
    name = FIGURE_OF[finding.topic]
    return name if name in figures else ""


def _probe_finding(run: Run, several: bool) -> Finding:
    information = run.information()
    accuracy = information.get("probe", {}).get("accuracy", {})
    same = information.get("readout_agreement", {})
    which = f" of {run.name}" if several else ""
    told = ", ".join(f"{name} {100 * value:.1f} %" for name, value in accuracy.items())
    agreed = ", ".join(f"{name} {100 * value:.1f} %" for name, value in same.items())
    return Finding(
        "probe",
        f"The probe{which} is right on held-out images for {told}; on the generated images it "
        f"agrees with the analytic read-out for {agreed}.",
    )
