"""Ledgers of claims: what of the paper held, and what did not."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from conceptspace.presentation.explorer.guarded import require_plain

COLUMNS = ("claim", "figure", "effect", "interval", "criterion", "verdict")
"""What is shown of a row, with the unit of its effect and the reason of its verdict."""

Tree = dict[str, Any]


def ledger_table(name: str, path: Path, within: Path | None = None) -> Tree:
    """A ledger as ``{"name": ..., "rows": [{column: text}], "problem": ""}``.

    Args:
        name: its place below the folder that is shown.
        path: a JSON list of rows, or an object that holds one under "rows".
        within: the folder that a link may not leave; None if it may lead anywhere.
    """
    empty: Tree = {"name": name, "rows": []}
    try:
        require_plain(path, within)
        content = json.loads(path.read_text())
    except (OSError, ValueError, RecursionError) as error:
        return empty | {"problem": f"the ledger cannot be read: {error}"}
    rows = content.get("rows") if isinstance(content, dict) else content
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        return empty | {"problem": "the ledger is no list of claims"}
    figure = content.get("number") if isinstance(content, dict) else None
    texts = [_row({"figure": figure} | row) for row in rows]
    return {"name": name, "rows": texts, "problem": ""}


def _row(row: Tree) -> Tree:
    """A row of the ledger as texts, by column."""
    texts = {column: _text(row.get(column)) for column in COLUMNS}
    if row.get("unit"):
        texts["effect"] += f" {row['unit']}"
    if row.get("reason"):
        texts["reason"] = _text(row["reason"])
    return texts


def _text(value: Any) -> str:
    """Any JSON value as words: numbers short, pairs as "a to b"."""
    if value is None:
        return "–"
    if isinstance(value, bool) or not isinstance(value, (int, float, list, dict)):
        return str(value)
    if isinstance(value, list):
        numeric = len(value) == 2 and all(isinstance(v, (int, float, type(None))) for v in value)
        if numeric:
            return " to ".join("unbounded" if v is None else _text(v) for v in value)
        return ", ".join(_text(v) for v in value)
    if isinstance(value, dict):
        return ", ".join(f"{key} {_text(item)}" for key, item in value.items())
    return f"{value:.4g}" if math.isfinite(value) else "beyond the end"
