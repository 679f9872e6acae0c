"""Everything that runs have to show, as one offline page and as figures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from conceptspace.analysis.sentences import Finding
from conceptspace.build import world
from conceptspace.presentation.drawing import TITLES, draw, figure_of
from conceptspace.presentation.explorer.named import distinct
from conceptspace.presentation.explorer.offline import write
from conceptspace.presentation.explorer.telling import single_scores, told, trajectories
from conceptspace.presentation.style import save
from conceptspace.presentation.sweep import conditions, draw_sweep, masking_effect, prefixed
from conceptspace.store import Run


def write_page(runs: Sequence[Run], path: Path) -> list[Finding]:
    """Draw the figures of runs, state their findings and write their page.

    The figures are also saved as PNG and SVG: in ``figures/`` of the folder of a single run, beside
    the page of several, in ``NAME-figures/`` for the page ``NAME.html``.

    Args:
        runs: one or several. Runs that differ in one setting beside the seed are compared; with
            more, each setting is told of on its own, and no figure compares them.
        path: the HTML file.

    Returns:
        The findings that stand on the page.

    Raises:
        UserError: a run has not been evaluated, one is given twice, or two have the same setting
            and seed.
    """
    named = distinct(runs)
    found = conditions(named)
    shapes = world(runs[0].config.data)
    groups = told(named)
    tables = {value: trajectories(group) for value, group in found.groups.items()}
    figures: dict[str, Figure] = {}
    if not found.setting:
        figures = draw(named, tables[None], single_scores(named), shapes)
    elif "," not in found.setting:
        figures = draw_sweep(
            found, tables, shapes.space, masking_effect(found, tables, shapes.space)
        )
    several = len(runs) > 1
    folder = path.with_name(f"{path.stem}-figures") if several else runs[0].path / "figures"
    for name, figure in figures.items():
        save(figure, folder / name)
    write(
        [run for group in found.groups.values() for run in group],
        path,
        findings=[(f, group, figure_of(f, figures)) for group, of in groups for f in of],
        figures={TITLES[name]: figure for name, figure in figures.items()},
        title=f"{found.label}: {len(runs)} runs".capitalize() if found.setting else "",
    )
    return [prefixed(f, group) if group else f for group, of in groups for f in of]
