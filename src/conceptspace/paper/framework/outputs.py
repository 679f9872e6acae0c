"""What a figure leaves behind: ``OUT/figNN/`` with pictures, table, ledger and provenance."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from conceptspace.errors import UserError
from conceptspace.files import write_atomically, write_json, write_table
from conceptspace.paper.framework.figure import PaperFigure
from conceptspace.paper.framework.ledger import markdown, read_ledger, write_ledger
from conceptspace.paper.framework.provenance import provenance
from conceptspace.paper.framework.results import Result, joined, readable, whole
from conceptspace.presentation.explorer.left_out import LeftOut, sentences
from conceptspace.presentation.style import save
from conceptspace.sweeps.plan import Plan

LEDGER, PROVENANCE, TABLE = "ledger.json", "provenance.json", "trajectories.parquet"


def produce(figure: PaperFigure, preset: str, out: Path, plans: list[Plan]) -> list[Path]:
    """Analyse, draw and check a figure from the runs below ``out`` that have finished.

    Those that cannot be read are left out; the ledger names them.

    Args:
        figure: which.
        preset: name of the preset.
        out: output folder.
        plans: its runs.

    Returns:
        The pictures.

    Raises:
        UserError: too few runs have finished to draw anything.
    """
    results, left_out = readable(plans, out)
    try:
        return _produce(figure, preset, out, plans, results, left_out)
    except UserError:
        sound, damaged = whole(results)
        if not damaged:
            raise
    return _produce(figure, preset, out, plans, sound, [*left_out, *damaged])


def _produce(
    figure: PaperFigure,
    preset: str,
    out: Path,
    plans: Sequence[Plan],
    results: list[Result],
    left_out: Sequence[LeftOut],
) -> list[Path]:
    problems = sentences(left_out)
    if plans and not results:
        raise UserError(" ".join(["no run has finished", *problems]))
    data = figure.analyse(preset, results)
    rows = figure.checks(data)
    folder, pictures = out / figure.name, []
    for name, drawn in figure.draw(data, {row.name: row for row in rows}).items():
        pictures.append(save(drawn, folder / name)[0])
    for name, page in figure.pages(data).items():
        write_atomically(folder / f"{name}.html", page.encode())
    if results:
        write_table(folder / TABLE, joined(results))
    names = {result.plan.name for result in results}
    missing = [plan for plan in plans if plan.name not in names]
    write_ledger(folder / LEDGER, figure, rows, results, missing, problems)
    text = markdown(read_ledger(folder / LEDGER)["rows"])
    write_atomically((folder / LEDGER).with_suffix(".md"), text.encode())
    write_json(folder / PROVENANCE, provenance(results))
    return pictures
