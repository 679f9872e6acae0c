"""Everything that runs of one setting, or of a sweep of one setting, have to show."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from conceptspace.analysis.findings import findings, require_distinct_seeds
from conceptspace.analysis.sentences import Finding
from conceptspace.build import world
from conceptspace.data.concepts import ConceptSpace
from conceptspace.presentation import report
from conceptspace.presentation.drawing import TITLES, class_images, draw, figure_of
from conceptspace.presentation.style import save
from conceptspace.presentation.sweep import (
    Sweep,
    draw_sweep,
    effect_findings,
    masking_effect,
    prefixed,
    sweep,
)
from conceptspace.store import Run


class Renamed(Run):
    """A run under a name that tells it from others of its folder's name."""

    def __init__(self, run: Run, name: str) -> None:
        super().__init__(run.path)
        self._name = name

    @property
    def name(self) -> str:
        """The name on the page."""
        return self._name


def write_page(runs: Sequence[Run], path: Path) -> list[Finding]:
    """Draw the figures of runs, state their findings and write their page.

    The figures are also saved as PNG and SVG: in ``figures/`` of the folder of a single run, beside
    the page of several, in ``NAME-figures/`` for the page ``NAME.html``.

    Args:
        runs: one, or several that differ in their seed and in at most one further setting.
        path: the HTML file.

    Returns:
        The findings that stand on the page.

    Raises:
        UserError: a run has not been evaluated, the runs differ in more than one setting, or two
            have the same setting and seed.
    """
    found = sweep(runs)
    found = Sweep(found.setting, {value: distinct(g, runs) for value, g in found.groups.items()})
    shapes = world(runs[0].config.data)
    space = shapes.space
    tables = {value: _joined(group, "trajectory") for value, group in found.groups.items()}
    several = len(runs) > 1
    if found.setting:
        effect = masking_effect(found, tables, space)
        told = effect_findings(effect)
        for value, group in found.groups.items():
            own = _findings(group, tables[value], world(group[0].config.data).space)
            told += [prefixed(finding, found.name(value)) for finding in own]
        figures = draw_sweep(found, tables, space, effect)
    else:
        (group,), (table,) = found.groups.values(), tables.values()
        told = _findings(group, table, space)
        figures = draw(group, table, _joined(group, "scores"), shapes)
    folder = path.with_name(f"{path.stem}-figures") if several else runs[0].path / "figures"
    for name, figure in figures.items():
        save(figure, folder / name)
    report.write(
        [run for group in found.groups.values() for run in group],
        space,
        path,
        findings=[report.Finding(f.text, figure_of(f, figures)) for f in told],
        figures={TITLES[name]: figure for name, figure in figures.items()},
        class_images=class_images(shapes),
        title=f"{found.label}: {len(runs)} runs".capitalize() if found.setting else "",
    )
    return told


def distinct(group: Sequence[Run], runs: Sequence[Run]) -> list[Run]:
    """Runs under names that no two of ``runs`` share: with as much of their path as it takes."""
    count = Counter(run.name for run in runs)
    return [run if count[run.name] == 1 else Renamed(run, _longer(run, runs)) for run in group]


def _longer(run: Run, runs: Sequence[Run]) -> str:
    parts = run.path.resolve().parts
    for length in range(2, len(parts)):
        tails = [other.path.resolve().parts[-length:] for other in runs]
        if tails.count(parts[-length:]) == 1:
            return "/".join(parts[-length:])
    return str(run.path)


def _joined(runs: Sequence[Run], kind: str) -> pd.DataFrame:
    """The trajectories or scores of runs, under the names that they have on the page."""
    read = Run.trajectory if kind == "trajectory" else Run.scores
    table = pd.concat([read(run).assign(run=run.name) for run in runs], ignore_index=True)
    require_distinct_seeds(table)
    return table


def _findings(runs: Sequence[Run], table: pd.DataFrame, space: ConceptSpace) -> list[Finding]:
    words = {str(c): space.describe(c) for c in space.classes}
    logs = {run.config.seed: run.training() for run in runs}
    scores = _joined(runs, "scores")
    told = findings(table, scores, space.train_classes, space.ood_classes, words, logs)
    return told + _probe_findings(runs)


def _probe_findings(runs: Sequence[Run]) -> list[Finding]:
    """How far the probe can be trusted; the lowest of several runs counts."""
    known = [run.information() for run in runs]
    held_out = [i.get("probe", {}).get("accuracy", {}) for i in known]
    same = [i.get("readout_agreement", {}) for i in known]
    lowest = " (the lowest of all runs)" if len(runs) > 1 else ""
    told = []
    if all(held_out):
        told.append(f"the probe is right on held-out images in {_lowest(held_out)}")
    if all(same):
        told.append(f"on generated images it agrees with the analytic read-out in {_lowest(same)}")
    if not told:
        return []
    text = " of cases; ".join(told) + " of cases" + lowest
    return [Finding("probe", text[0].upper() + text[1:] + ".")]


def _lowest(shares: Sequence[dict[str, float]]) -> str:
    least = {name: min(of_run[name] for of_run in shares) for name in shares[0]}
    return " and ".join(f"{100 * value:.1f} % ({name})" for name, value in least.items())
