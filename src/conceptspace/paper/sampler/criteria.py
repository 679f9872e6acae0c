"""The criteria of the claims: from numbers, one per seed, to rows of the ledger."""

from __future__ import annotations

from collections.abc import Sequence

from conceptspace.analysis.claims import SIGNED, Row, measure, within
from conceptspace.paper.thresholds import COINCIDENT, NEGLIGIBLE


def same_gap(differences: Sequence[float], samplers: str) -> Row:
    """The primary endpoint: another way of asking is ahead of naive prompting by as much.

    By seed, the mean over training of the joint accuracy of the best other way of asking less that
    of naive prompting, under one sampler less under the other: an equivalence.
    """
    return within(
        "sampler-gap",
        "Another way of asking is ahead of naive prompting by as much, in the mean over training, "
        f"under {samplers}.",
        measure(list(differences), SIGNED),
        NEGLIGIBLE,
        "joint accuracy",
    )


def same_duration(differences: Sequence[float], samplers: str) -> Row:
    """The capability is hidden for as long: an equivalence.

    By seed, the share of training that lies in its window, under one sampler less under the other.
    """
    return within(
        "sampler-duration",
        f"The capability is hidden for as long under {samplers}.",
        measure(list(differences), SIGNED),
        COINCIDENT,
        "of training",
    )
