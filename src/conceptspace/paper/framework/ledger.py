"""The ledger of claims, as JSON and as Markdown; both are written, never edited."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from math import isfinite, isnan
from pathlib import Path
from typing import Any

from conceptspace.analysis.claims import Row
from conceptspace.files import write_json
from conceptspace.paper.framework.figure import PaperFigure
from conceptspace.paper.framework.provenance import trajectory_hash
from conceptspace.paper.framework.results import Result
from conceptspace.sweeps.plan import Plan


def write_ledger(
    path: Path,
    figure: PaperFigure,
    rows: Sequence[Row],
    results: Sequence[Result],
    missing: Sequence[Plan],
    left_out: Sequence[str] = (),
) -> None:
    """The rows of a figure with the hashes of the runs behind them.

    An interval's end that is not bounded is ``null``, and so is an unknown effect.

    Args:
        path: of the JSON.
        figure: whose claims.
        rows: the checks.
        results: its runs.
        missing: planned runs that have not finished, or cannot be read.
        left_out: sentences on those that cannot be read.
    """
    write_json(
        path,
        {
            "figure": figure.name,
            "number": figure.number,
            "title": figure.title,
            "claim": figure.claim,
            "rows": [_row(figure, row) for row in rows],
            "runs": {result.plan.name: trajectory_hash(result) for result in results},
            "missing": [plan.name for plan in missing],
            "left_out": list(left_out),
        },
    )


def read_ledger(path: Path) -> dict[str, Any]:
    """A ledger as it was written."""
    return dict(json.loads(path.read_text()))


def markdown(rows: Sequence[dict[str, Any]]) -> str:
    """Rows of ledgers as a Markdown table."""
    lines = [
        "| claim | effect | 95 % interval | holds if | seeds | verdict |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        verdict = f"**{row['verdict']}**"
        if row["reason"]:
            verdict += f": {row['reason']}"
        low, high = (_number(end, "unbounded") for end in row["interval"])
        note = row.get("note", "")
        cells = (
            f"{'**Primary.** ' if row.get('primary') else ''}{row['claim']} {note}".strip()
            + f" (`{row['name']}`)",
            _effect(row),
            f"{low} to {high}",
            row["criterion"],
            str(row["seeds"]),
            verdict,
        )
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def _row(figure: PaperFigure, row: Row) -> dict[str, Any]:
    values = asdict(row)
    low, high = values.pop("low"), values.pop("high")
    values["effect"] = None if isnan(row.effect) else row.effect
    values["interval"] = [end if isfinite(end) else None for end in (low, high)]
    values["primary"] = row.name == figure.primary
    return {"figure": figure.number, **values, "verdict": str(row.verdict)}


def _effect(row: dict[str, Any]) -> str:
    if row["effect"] is None:
        return "unknown"
    at_least = "at least " if row["interval"][1] is None else ""
    return f"{at_least}{row['effect']:.3g} {row['unit']}".strip()


def _number(value: float | None, otherwise: str) -> str:
    return otherwise if value is None else f"{value:.3g}"
