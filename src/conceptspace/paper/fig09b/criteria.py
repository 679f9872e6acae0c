"""The criteria of the claims: from numbers, one per seed, to rows of the ledger."""

from __future__ import annotations

from collections.abc import Sequence

from conceptspace.analysis.claims import (
    Row,
    above,
    measure,
)
from conceptspace.paper.thresholds import SHIFTED


def target_shift(slopes: Sequence[float]) -> Row:
    """Fig. 9b. Eq. 2 moves its target by s times the percentage, s = 0.01 in the paper.

    The shift at full masking, 100 s, by seed: it crosses the middle.
    """
    return above(
        "fig09b-shift",
        "Eq. 2, fitted to the trajectories, moves the target of the color by masking.",
        measure([100 * slope for slope in slopes]),
        SHIFTED,
        "(color coordinate at full masking)",
    )
