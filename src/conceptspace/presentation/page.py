"""Everything that runs have to show, as one offline page and as figures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from conceptspace.analysis.sentences import Finding
from conceptspace.presentation.drawing import TITLES, draw, figure_of
from conceptspace.presentation.explorer.counting import entries_of, of_countable
from conceptspace.presentation.explorer.index import Entry
from conceptspace.presentation.explorer.left_out import LeftOut
from conceptspace.presentation.explorer.named import distinct
from conceptspace.presentation.explorer.offline import write
from conceptspace.presentation.explorer.render import require_replaceable
from conceptspace.presentation.explorer.run_findings import (
    SettingFindings,
    best_of,
    findings_by_setting,
    findings_payload,
    single_scores,
    trajectories,
)
from conceptspace.presentation.style import Rendered
from conceptspace.presentation.sweep import conditions, draw_sweep, masking_effect, prefixed
from conceptspace.presentation.worlds import world_of
from conceptspace.store import Run


def write_page(
    runs: Sequence[Run | str | Path],
    path: str | Path,
    left_out: Sequence[LeftOut] = (),
    note: str = "",
) -> list[Finding]:
    """Draw the figures of runs, state their findings and write their page.

    The figures are also saved as PNG and SVG: in ``figures/`` of the folder of a single run whose
    page lies there, beside every other page, in ``NAME-figures/`` for the page ``NAME.html``.

    Args:
        runs: one or several, or their folders. Runs that differ in one setting beside the seed are
            compared; with more, each setting has findings of its own, and no figure compares them.
            Copies, damaged runs and those that have diverged are left out, and the page says so.
        path: the HTML file.
        left_out: what has been left out already.
        note: Markdown that stands on the page, below the verdict.

    Returns:
        The findings that stand on the page, and before them what is left out.

    Raises:
        UserError: a folder holds no run; no run is left, e.g. because none has been evaluated; or
            at ``path`` lies something else than a page.
        OSError: the page cannot be written.
    """
    path = Path(path)
    require_replaceable(path)
    given = [run if isinstance(run, Run) else Run(run) for run in runs]
    places = {run.path.resolve(): run for run in reversed(given)}
    once = [run for run in given if places[run.path.resolve()] is run]
    twice = [LeftOut(run.name, "as named twice", shared=True) for run in given if run not in once]
    return of_countable(
        entries_of(distinct(once)),
        lambda kept, without: _write(kept, without, path, note),
        [*left_out, *twice],
    )


def _write(
    entries: Sequence[Entry], left_out: Sequence[str], path: Path, note: str
) -> list[Finding]:
    runs = [entry.run for entry in entries if entry.run is not None]
    found = conditions(runs)
    world = world_of(runs[0])
    without = [Finding("left out", text) for text in left_out]
    every = findings_by_setting(runs)
    groups = [SettingFindings("", (), without), *every] if without else every
    tables = {value: trajectories(group) for value, group in found.groups.items()}
    figures: dict[str, Figure] = {}
    if not found.setting:
        best = best_of(runs, tables[None], single_scores(runs))
        figures = draw(runs, tables[None], best, world)
    elif found.comparable:
        figures = draw_sweep(found, tables, world.space, masking_effect(found, tables, world.space))
    inside = len(runs) == 1 and path.resolve().parent == runs[0].path.resolve()
    folder = path.with_name("figures" if inside else f"{path.stem}-figures")
    rendered = {name: Rendered(figure) for name, figure in figures.items()}
    for name, figure in rendered.items():
        figure.save(folder / name)
    write(
        [run for group in found.groups.values() for run in group],
        path,
        findings=findings_payload(groups, lambda finding: figure_of(finding, figures)),
        figures={TITLES[name]: figure for name, figure in rendered.items()},
        title=f"{found.label}: {len(runs)} runs".capitalize() if found.setting else "",
        left_out=left_out,
        note=note,
    )
    return [
        prefixed(finding, group.name) if group.name else finding
        for group in groups
        for finding in group.findings
    ]
