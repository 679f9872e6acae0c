"""The criteria of the claims: from numbers, one per seed, to rows of the ledger."""

from __future__ import annotations

from collections.abc import Sequence

from conceptspace.analysis.claims import (
    Row,
    above,
    advance,
    measure,
)
from conceptspace.analysis.emergence import Emergence
from conceptspace.paper.thresholds import (
    RESOLVED,
)


def learning_order(stronger: Sequence[Emergence], weaker: Sequence[Emergence]) -> Row:
    """Fig. 1c. By what share of training the concept of the stronger signal emerges earlier.

    In the OOD class, to 0.8 accuracy. An order is one that the checkpoints can resolve.
    """
    return above(
        "fig01c-order",
        "In the OOD class the concept with the stronger signal is learned before the other.",
        measure([advance(later, first) for later, first in zip(weaker, stronger, strict=True)]),
        RESOLVED,
        "of training",
    )
