"""The criteria of the claims: from numbers, one per seed, to rows of the ledger."""

from __future__ import annotations

from collections.abc import Sequence

from conceptspace.analysis.claims import SIGNED, Bounds, Row, below, measure, within
from conceptspace.paper.thresholds import COINCIDENT, NEGLIGIBLE


def guided_turn(differences: Sequence[Bounds], weights: str) -> Row:
    """Fig. 16, its primary endpoint: the turn is at the same step under any guidance weight.

    By how much later the trajectory turns at the largest weight than at weight 1, by seed, as a
    share of training: an equivalence.
    """
    return within(
        "fig16-turn",
        "The OOD trajectory turns, the concept learned second passing one half, at the same step "
        f"whatever the guidance weight ({weights}).",
        measure(list(differences)),
        COINCIDENT,
        "of training",
    )


def guided_before(gains: Sequence[float]) -> Row:
    """Fig. 16. Before the turn no larger weight makes more of the OOD class than weight 1 does.

    The largest gain of mean joint accuracy over weight 1 at checkpoints before the trajectory
    begins to turn, by seed.
    """
    return below(
        "fig16-before",
        "Before it begins to turn no guidance weight above 1 makes more of the OOD class than 1.",
        measure(list(gains), SIGNED),
        NEGLIGIBLE,
        "joint accuracy",
    )
