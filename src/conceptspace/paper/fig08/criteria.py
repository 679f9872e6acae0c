"""The criteria of the claims: from numbers, one per seed, to rows of the ledger."""

from __future__ import annotations

from collections.abc import Mapping

from conceptspace.analysis.claims import (
    SIGNED,
    Row,
    above,
    measure,
    order_within_training,
)
from conceptspace.analysis.emergence import THRESHOLD, Emergence
from conceptspace.paper.framework.seeds import per_seed
from conceptspace.paper.thresholds import ORDERED


def delayed(runs: Mapping[float, Mapping[int, Emergence]]) -> Row:
    """Fig. 8. Runs with a larger share of masked prompts reach 0.8 later: tau within a seed.

    A pair of which neither arrives counts 0; a seed in which no share arrives is left out.

    Args:
        runs: for each share the emergence of each seed.
    """
    found = [order_within_training(levels) for levels in per_seed(runs).values()]
    return above(
        "fig08-delay",
        f"The steps to {THRESHOLD:g} on the OOD class grow with the share of masked prompts.",
        measure([-tau for tau in found if tau is not None], SIGNED),
        ORDERED,
        "(Kendall's tau)",
    )
