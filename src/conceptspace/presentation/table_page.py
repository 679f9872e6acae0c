"""Findings and page of anybody's table of steps and accuracies; no run folder is needed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from conceptspace.analysis.levels import LEVELS, Levels
from conceptspace.analysis.quantities import each_setting, main_quantities
from conceptspace.analysis.sentences import Finding
from conceptspace.analysis.table_findings import hidden_windows, table_findings
from conceptspace.files import write_atomically
from conceptspace.presentation.explorer.of_table import table_payload
from conceptspace.presentation.explorer.offline import drawn, verdict_lines
from conceptspace.presentation.explorer.render import page, require_replaceable
from conceptspace.presentation.explorer.run_findings import finding_payload
from conceptspace.presentation.figures.asked import MOST_PANELS, asked_figure
from conceptspace.presentation.style import Rendered
from conceptspace.tables import JOINT

FIGURE = "Every way of asking, against steps"


def analyze(
    table: pd.DataFrame,
    path: Path | None = None,
    *,
    title: str = "A table of accuracies",
    source: Mapping[str, str] | None = None,
    levels: Levels = LEVELS,
) -> list[Finding]:
    """State the findings of a table, and write them as one offline page.

    Emergence steps with their censoring, the order of the concepts, the turn where two or more make
    a trajectory, and the hidden window between the plain and every other way of asking.

    Args:
        table: see :func:`conceptspace.analysis.reading.read_trajectory`. Every setting counts as a
            way of asking of its own.
        path: the HTML file; None writes none.
        title: of the page.
        source: where the table comes from, as names and values, e.g. ``{"file": "evals.csv"}``.
        levels: the accuracies at which something counts as present, or as absent.

    Returns:
        The findings, which stand on the page.

    Raises:
        UserError: see :func:`conceptspace.analysis.table_findings.table_findings`; or at ``path``
            lies something else than a page.
        OSError: the page cannot be written.
    """
    if path is not None:
        require_replaceable(path)
    table = each_setting(table)
    found = table_findings(table, levels)
    if path is None:
        return found
    figure = _figure(table, levels)
    payload = table_payload(table, title, source or {}, levels.reached)
    payload["figures"] = [drawn(FIGURE, Rendered(figure))]
    payload["findings"]["*"] = {
        "problems": [],
        "findings": [finding_payload(f, "", FIGURE if f.topic == "verdict" else "") for f in found],
        "groups": [
            {"name": "", "runs": [r["name"] for r in payload["index"]["runs"]], "judged": []}
        ],
    }
    html = page(
        title,
        payload,
        connect=False,
        of_table=True,
        joint=bool((table["concept"] == JOINT).any()),
        verdict=verdict_lines(payload["findings"]["*"]),
    )
    write_atomically(path, html.encode())
    return found


def _figure(table: pd.DataFrame, levels: Levels) -> Figure:
    """Quantities with a window first, as many as fit."""
    windows = {q: hidden_windows(table, q, levels) for q in main_quantities(table)}
    first = sorted(windows, key=lambda q: not any(w.found for w in windows[q]))
    return asked_figure(table, {q: windows[q] for q in first[:MOST_PANELS]}, levels.reached)
