"""The criteria of the claims: from numbers, one per seed, to rows of the ledger."""

from __future__ import annotations

from collections.abc import Sequence

from conceptspace.analysis.claims import (
    SHARE,
    SIGNED,
    Row,
    above,
    counted_advance,
    measure,
    some,
)
from conceptspace.analysis.emergence import THRESHOLD, Emergence
from conceptspace.paper.thresholds import (
    COMPLETE,
    PAPERS_SEEDS,
    RESOLVED,
)


def advanced(protocol: str, naive: Sequence[Emergence], elicited: Sequence[Emergence]) -> Row:
    """Fig. 10, its primary endpoint: by how much a protocol precedes naive prompting.

    As a share of training, in the mean over seeds; what does not arrive counts as arriving at the
    end, so that naive prompting, which may never, is rather too early.
    """
    pairs = zip(naive, elicited, strict=True)
    return above(
        "fig10-advance",
        f"With half of the prompts masked, {protocol} reaches {THRESHOLD:g} on the OOD class "
        "earlier than naive prompting does, counted up to the end of training.",
        measure([counted_advance(plain, asked) for plain, asked in pairs], SIGNED),
        RESOLVED,
        "of training",
    )


def complete(accuracies: Sequence[float]) -> Row:
    """Fig. 10. Overprompting reaches "100 %" at half of the prompts masked.

    The joint accuracy at the last three checkpoints, by seed.
    """
    return above(
        "fig10-complete",
        "With half of the prompts masked, overprompting makes the OOD class.",
        measure(list(accuracies), SHARE),
        COMPLETE,
        "joint accuracy",
    )


def naive_fails(naive: Sequence[Emergence]) -> Row:
    """Fig. 10. Naive prompting fails in some seeds (three of five in the paper)."""
    return some(
        "fig10-naive-fails",
        f"Naive prompting does not reach {THRESHOLD:g} in some seed.",
        [None if run.pending else not run.reached for run in naive],
        PAPERS_SEEDS,
    )
