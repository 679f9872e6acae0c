"""Sentences about what was found, in pictures and notes: verdict, interval and number of seeds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from math import isfinite, isnan

from conceptspace.analysis.claims import Row


def caption(row: Row) -> str:
    """One row of the ledger in two sentences, e.g. "… Held: 0.6 of training (95 % interval …)."."""
    plural = "seed" if row.seeds == 1 else "seeds"
    verdict = str(row.verdict).capitalize() + (f" ({row.reason})" if row.reason else "")
    return f"{row.claim} {verdict}{effect(row)}; {row.seeds}\u00a0{plural}."


def effect(row: Row) -> str:
    """What was measured, after a verdict: ": 0.6 of training, 95 % interval 0.5 to 0.7"."""
    if isnan(row.effect):
        return ""
    at_least = "" if isfinite(row.high) else "at least "
    interval = ""
    if isfinite(row.low) or isfinite(row.high):
        ends = (f"{end:.2g}" if isfinite(end) else "unbounded" for end in (row.low, row.high))
        interval = f", 95\u00a0% interval {' to '.join(ends)}"
    unit = f" {row.unit}" if row.unit else ""
    return f": {at_least}{row.effect:.2g}{unit}{interval}"


ENLARGED = "by which the sample was enlarged"
"""Which seeds were run when the others had left a claim open."""


def beside(row: Row, other: Row | None, which: str) -> Row:
    """A row with what other seeds say of it in its note, which decides nothing.

    Args:
        row: of the ledger.
        other: the same claim of those seeds; None leaves the row as it is.
        which: the other seeds are, e.g. "seen before".
    """
    if other is None:
        return row
    note = f"Of {other.seeds} seeds {which}: {other.verdict}{effect(other)}."
    return replace(row, note=f"{row.note} {note}".strip())


def enlarged(rows: Sequence[Row], added: Sequence[Row]) -> list[Row]:
    """Rows, each with what the seeds say alone by which the sample was enlarged."""
    return [beside(row, alone, ENLARGED) for row, alone in zip(rows, added, strict=True)]


def scored_by(row: Row, probes: Sequence[str]) -> Row:
    """A row by the plain probe with a note if its seeds were scored by several.

    Trained elsewhere, a probe is another one; what they say of images without a valid object
    differs, so that the interval over seeds is too narrow for what any probe would say.

    Args:
        row: of the ledger.
        probes: of each seed, the hash of its probe.
    """
    counts = sorted(Counter(probes).values(), reverse=True)
    if len(counts) < 2:
        return row
    note = f"Scored by {len(counts)} probes ({', '.join(map(str, counts))} seeds), which differ."
    return replace(row, note=f"{row.note} {note}".strip())
