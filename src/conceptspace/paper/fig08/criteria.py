"""The criteria of the claims: from numbers, one per seed, to rows of the ledger."""

from __future__ import annotations

from collections.abc import Mapping

from conceptspace.analysis.claims import (
    SIGNED,
    Row,
    above,
    concordance,
    measure,
)
from conceptspace.analysis.emergence import THRESHOLD, Emergence
from conceptspace.paper.framework.seeds import per_seed
from conceptspace.paper.thresholds import ORDERED


def delayed(runs: Mapping[float, Mapping[int, Emergence]]) -> Row:
    """Fig. 8. Runs with a larger share of masked prompts reach 0.8 later: tau within a seed.

    Args:
        runs: for each share the emergence of each seed.
    """
    bounds = [concordance(levels) for levels in per_seed(runs).values()]
    return above(
        "fig08-delay",
        f"The steps to {THRESHOLD:g} on the OOD class grow with the share of masked prompts.",
        measure([(-high, -low) for low, high in bounds], SIGNED),
        ORDERED,
        "(Kendall's tau)",
    )
