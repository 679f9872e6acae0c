"""Findings, and the phrases from which their sentences are made."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from conceptspace.analysis import emergence
from conceptspace.analysis.emergence import Survival
from conceptspace.analysis.intervals import Estimate
from conceptspace.analysis.steps import digits

CHAIN = (
    "order",
    "in-distribution",
    "memorization",
    "turn",
    "loss",
    "elicitation",
    "emergence",
    "control",
)
"""Topics as links of a chain of evidence: what is learned first, what the OOD class is mistaken
for, when that turns, when the model could make it, when it does, and what controls make."""


@dataclass(frozen=True)
class Finding:
    """One sentence.

    Attributes:
        topic: "verdict", one of :data:`CHAIN`, "underspecification", "probe" or "data".
        text: plain text.
    """

    topic: str
    text: str


def arrival(found: Survival, what: str, threshold: float = emergence.THRESHOLD) -> str:
    """When the threshold is reached, in words; one seed has no interval and is not counted."""
    missing = found.seeds - found.reached
    share = f" in {missing} of {found.seeds} seeds" if found.seeds > 1 else ""
    late = f"by step {digits(found.last)}{share}"
    if found.pending:
        who = f"{found.pending} of them {'is' if found.pending == 1 else 'are'}"
        who = who if found.seeds > 1 else "it is"
        late += f" ({who} there at the end, but for fewer than {emergence.HOLD} checkpoints)"
    if not np.isfinite(found.median):
        return f"{what} does not reach {threshold:g} {late}"
    low, high = found.interval
    spread = ""
    if found.seeds > 1:
        limits = f"{low:.0f} to {high:.0f}" if np.isfinite(high) else f"{low:.0f} to beyond the end"
        spread = f", 95 % interval {limits}" if np.isfinite(low) else ""
        spread = f" (median of {found.seeds} seeds{spread})"
    text = f"{what} reaches {threshold:g} at step {found.median:.0f}{spread}"
    return f"{text}, but not {late}" if missing else text


def delay(steps: float, kind: str) -> str:
    """In words, e.g. "at least 500 steps after"; at least -500 after is at most 500 before."""
    if steps == 0:
        return {"exact": "at the same step as", "at least": "no earlier than"}.get(
            kind, "no later than"
        )
    bound = {"exact": "", "at least": "at least ", "at most": "at most "}[kind]
    if steps < 0:
        bound = {"at least ": "at most ", "at most ": "at least "}.get(bound, "")
    return f"{bound}{abs(steps):.0f} steps {'before' if steps < 0 else 'after'}"


def oriented(found: Estimate) -> tuple[float, float]:
    """The interval of the absolute value of an estimate, lower end first, whatever its sign."""
    sign = -1 if found.value < 0 else 1
    low, high = sorted((sign * found.low, sign * found.high))
    return low, high
