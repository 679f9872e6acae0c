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
from conceptspace.paper.thresholds import (
    ORDERED,
)


def speed(concept: str, runs: Mapping[float, Mapping[int, Emergence]]) -> Row:
    """Fig. 3. Do runs with a larger separation of a concept reach 0.8 on 11 earlier?

    Tau over the separations within a seed; a pair of which neither arrives counts 0. A seed in
    which no separation arrives is left out.

    Args:
        concept: ``"color"`` or ``"size"``.
        runs: for each separation the emergence of each seed.
    """
    found = [order_within_training(levels) for levels in per_seed(runs).values()]
    return above(
        f"fig03-{concept}",
        f"Speed, 1 / (steps to {THRESHOLD:g} on 11), rises with the signal of {concept}.",
        measure([tau for tau in found if tau is not None], SIGNED),
        ORDERED,
        "(Kendall's tau)",
    )
