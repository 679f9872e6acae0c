"""The page as one file: everything that the server would be asked for lies inside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from conceptspace.analysis import points
from conceptspace.contact_sheet import Sheet
from conceptspace.errors import UserError
from conceptspace.files import write_atomically
from conceptspace.presentation.explorer import details, downloads, run_findings
from conceptspace.presentation.explorer.discover import Found
from conceptspace.presentation.explorer.images import Cut, Stored, fitting_cut
from conceptspace.presentation.explorer.index import Entry, index, read_entry
from conceptspace.presentation.explorer.named import distinct
from conceptspace.presentation.explorer.render import page
from conceptspace.presentation.explorer.single import scored, scores_of
from conceptspace.presentation.explorer.spaces import uri
from conceptspace.presentation.style import Rendered
from conceptspace.presentation.sweep import conditions
from conceptspace.space import ConceptSpace
from conceptspace.store import Run

IMAGE_BUDGET = 3_500_000
LARGEST_SVG = 350_000
CSS_INCH = 120

Tree = dict[str, Any]


def write(
    runs: Sequence[Run],
    path: Path,
    *,
    findings: Tree | None = None,
    figures: Mapping[str, Rendered] | None = None,
    title: str = "",
    image_budget: int = IMAGE_BUDGET,
    left_out: Sequence[str] = (),
    note: str = "",
) -> Path:
    """Write the page of one or several runs.

    Args:
        runs: evaluated runs.
        path: the HTML file.
        findings: of the runs, see
            :func:`~conceptspace.presentation.explorer.run_findings.findings_payload`.
        figures: under their titles.
        title: of the page; otherwise the run's name, or the number of runs.
        image_budget: most bytes of PNG for all generated images; beyond it fewer are embedded.
        left_out: sentences on runs that are not on the page.
        note: Markdown that stands below the verdict.

    Returns:
        ``path``.

    Raises:
        UserError: a run cannot be read, or has not been evaluated.
    """
    named = distinct(runs)
    title = title or (named[0].name if len(named) == 1 else f"{len(named)} runs")
    data = payload(named, title, image_budget=image_budget, left_out=left_out)
    data["findings"]["*"] = {"problems": [], **(findings or {"findings": [], "groups": []})}
    data["figures"] = [drawn(name, figure) for name, figure in (figures or {}).items()]
    html = page(title, data, connect=False, verdict=verdict_lines(findings), note=note)
    write_atomically(path, html.encode())
    return path


def verdict_lines(payload: Tree | None) -> list[str]:
    """The sentences of every verdict, after the name of its setting; once if all are equal.

    Args:
        payload: see :func:`~conceptspace.presentation.explorer.run_findings.findings_payload`.
    """
    found = [f for f in (payload or {"findings": []})["findings"] if f["topic"] == "verdict"]
    by_group: dict[str, list[str]] = {}
    for f in found:
        by_group.setdefault(f["group"], []).append(str(f["text"]))
    if len(by_group) > 1 and len({tuple(texts) for texts in by_group.values()}) == 1:
        return next(iter(by_group.values()))
    return [f"{f['group']}: {f['text']}" if f["group"] else str(f["text"]) for f in found]


def payload(
    runs: Sequence[Run],
    title: str,
    *,
    image_budget: int = IMAGE_BUDGET,
    left_out: Sequence[str] = (),
) -> Tree:
    """The answers of the server for some runs, by what is asked for.

    ::

        {"index": ..., "trajectory": {token: ...}, "settings": {token: ...},
         "details": {token: ...}, "turns": {"token,token": ...}, "findings": {},
         "images": [PNG, ...], "images_shown": 12, "images_generated": 24, "table": Parquet}

    A contact sheet's ``src`` is ``#3`` for ``images[3]``; PNGs and Parquet are data URIs.

    Args:
        runs: under names that no two of them share.
        title: of the page.
        image_budget: see :func:`write`.
        left_out: likewise.

    Raises:
        UserError: a run cannot be read, or has not been evaluated.
    """
    entries = [_entry(run) for run in runs]
    tokens = [entry.found.token for entry in entries]
    dense = [
        points.protocols(run.trajectory(), _space(e)) for run, e in zip(runs, entries, strict=True)
    ]
    found = [details.sheet_index(run) for run in runs]
    sheets, images = _sheets(
        [by_protocol for by_protocol, _ in found], dense, entries, image_budget
    )
    answers: Tree = {
        "index": index(entries, [], title, left_out=left_out),
        "trajectory": {},
        "settings": {},
        "details": {},
        "findings": {},
        "turns": _turns(runs, tokens),
        **images,
        "table": uri(downloads.parquet(downloads.joined(runs)), downloads.PARQUET),
    }
    for run, entry, each, kept_sheets, (_, problems) in zip(
        runs, entries, dense, sheets, found, strict=True
    ):
        token, space = entry.found.token, _space(entry)
        common = {"version": entry.state.version, "problems": []}
        notes = {"notes": points.strays(each)}
        answers["trajectory"][token] = common | points.trajectory(each, space) | notes
        answers["settings"][token] = common | {"protocols": points.settings(each, space)}
        answers["details"][token] = (
            common | details.details(run, kept_sheets, problems) | {"figures": []}
        )
    return answers


def drawn(name: str, figure: Rendered) -> Tree:
    """A figure as ``{"name", "src", "width"}``; SVG, or PNG where the SVG would be large.

    The source is a data URI, the width that in CSS pixels at which its letters read well.
    """
    kind, content = "svg+xml", figure.svg
    if len(content) > LARGEST_SVG:
        kind, content = "png", figure.png
    width = round(figure.figure.get_figwidth() * CSS_INCH)
    return {"name": name, "src": uri(content, f"image/{kind}"), "width": width}


def _entry(run: Run) -> Entry:
    entry = read_entry(Found(run.name, run.path))
    if entry.space is None:
        raise UserError("; ".join(entry.problems))
    return entry


def _space(entry: Entry) -> ConceptSpace:
    assert entry.space is not None
    return entry.space


def _turns(runs: Sequence[Run], tokens: Sequence[str]) -> Tree:
    """Turns of every run, and of the runs of every setting together."""
    token_of = dict(zip((run.name for run in runs), tokens, strict=True))
    groups = [[run] for run in runs] + list(conditions(runs).groups.values())
    return {
        ",".join(token_of[run.name] for run in group): run_findings.turns_of_classes(group)
        for group in groups
    }


def _sheets(
    indexed: Sequence[Mapping[str, Mapping[int, Sheet]]],
    dense: Sequence[list[points.Dense]],
    entries: Sequence[Entry],
    budget: int,
) -> tuple[list[Tree], Tree]:
    """Of each run the sheets that fit into the budget; and the images that they refer to."""
    places = [
        (at, name, by_step) for at, found in enumerate(indexed) for name, by_step in found.items()
    ]
    stored = [
        _stored(by_step, name, dense[at], _space(entries[at])) for at, name, by_step in places
    ]
    cut, kept = fitting_cut(stored, budget)
    images: list[str] = []
    kept_sheets: list[Tree] = [{} for _ in indexed]
    for (at, name, by_step), items, pngs in zip(places, stored, kept, strict=True):
        kept_of_protocol: Tree = {}
        kept_sheets[at][name] = kept_of_protocol
        for step, item, content in zip(by_step, items, pngs, strict=True):
            if content is not None:
                cut_sheet = _cut_sheet(item, cut, f"#{len(images)}")
                scores = _scored(entries[at], name, step, item, cut)
                kept_of_protocol[str(step)] = cut_sheet | scores
                images.append(uri(content))
    generated = max((s.columns for _, _, by_step in places for s in by_step.values()), default=0)
    shown = {"images_shown": min(cut.columns, generated), "images_generated": generated}
    return kept_sheets, {"images": images, **shown}


def _stored(
    by_step: Mapping[int, Sheet], name: str, dense: list[points.Dense], space: ConceptSpace
) -> list[Stored]:
    """The sheets of a protocol with the rows of each step's best settings."""
    known = next((d for d in dense if d.name == name), None)
    found = []
    for step, sheet in by_step.items():
        rows = []
        if known is not None and step in known.steps:
            chosen = known.best[known.steps.index(step)]
            best = {
                (str(c), known.settings[at])
                for c, at in zip(space.classes, chosen, strict=True)
                if at >= 0
            }
            rows = [
                number
                for number, row in enumerate(sheet.rows)
                if (row["concept_class"], row["setting"]) in best
            ]
        found.append(Stored(sheet, rows or [0]))
    return found


def _scored(entry: Entry, protocol: str, step: int, stored: Stored, cut: Cut) -> Tree:
    """The scores of the images that are kept of a sheet, ``{"scores": rows}``; empty without."""
    run = entry.run
    try:
        found = None if run is None else scores_of(run, protocol, step)
    except UserError:  # the images are shown without them; the findings name the damage
        return {}
    if found is None:
        return {}
    kept = [stored.sheet.rows[row] for row in cut.rows(stored)]
    columns = min(cut.columns, stored.sheet.columns)
    return {"scores": scored(found, kept, columns, _space(entry).names)}


def _cut_sheet(stored: Stored, cut: Cut, source: str) -> Tree:
    whole = details.sheet(stored.sheet, source)
    kept = [whole["rows"][row] for row in cut.rows(stored)]
    return whole | {"columns": min(cut.columns, stored.sheet.columns), "rows": kept}
