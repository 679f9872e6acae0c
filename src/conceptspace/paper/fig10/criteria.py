"""The criteria of the claims: from numbers, one per seed, to rows of the ledger."""

from __future__ import annotations

from collections.abc import Sequence

from conceptspace.analysis.claims import (
    SHARE,
    Row,
    above,
    measure,
    some,
)
from conceptspace.analysis.emergence import THRESHOLD, Emergence
from conceptspace.paper.thresholds import (
    COMPLETE,
    PAPERS_SEEDS,
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
        [not run.reached for run in naive],
        PAPERS_SEEDS,
    )
