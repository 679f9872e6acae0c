"""The criteria of the claims: from numbers, one per seed, to rows of the ledger."""

from __future__ import annotations

from collections.abc import Sequence

from conceptspace.analysis.claims import (
    SIGNED,
    Bounds,
    Row,
    above,
    below,
    measure,
    measure_share,
    within,
)
from conceptspace.analysis.emergence import THRESHOLD, Emergence
from conceptspace.paper.thresholds import (
    COINCIDENT,
    MOST,
    NEGLIGIBLE,
    STABLE,
)


def patched_when_stable(lags: Sequence[Bounds]) -> Row:
    """Fig. 17, its primary endpoint: in stable seeds patching works from the step of others on.

    By how much later patching makes half of the OOD images than overprompting does, by stable seed,
    as a share of training: an equivalence.
    """
    return within(
        "fig17-stable",
        "In stable seeds patching makes half of the OOD images from about the step at which "
        "overprompting does.",
        measure(list(lags)),
        COINCIDENT,
        "of training",
    )


def patching_gains(gains: Sequence[float]) -> Row:
    """Fig. 17. In stable seeds the last embedding reveals what naive prompting does not show yet.

    Args:
        gains: by stable seed, the joint accuracy under patching less that under naive prompting, in
            the mean over the checkpoints before naive prompting arrives.
    """
    return above(
        "fig17-gain",
        "In stable seeds patching makes more of the OOD class than naive prompting does, before "
        "that arrives.",
        measure(list(gains), SIGNED),
        NEGLIGIBLE,
        "joint accuracy",
    )


def patched_when_unstable(reached: Sequence[bool]) -> Row:
    """Fig. 17. In unstable seeds patching does not elicit: its emergence is not reached.

    The share of unstable seeds in which it is reached; at most half.
    """
    return below(
        "fig17-unstable",
        "In most seeds whose accuracy does not stay, patching does not elicit.",
        measure_share(reached),
        MOST,
        "of the unstable seeds",
    )


def is_stable(accuracy: Sequence[float], run: Emergence, steps: Sequence[float]) -> bool:
    """Whether a run stays where it has arrived (App. C.6).

    Args:
        accuracy: naive joint accuracy by checkpoint.
        run: its emergence.
        steps: of the checkpoints.
    """
    after = [a for a, step in zip(accuracy, steps, strict=True) if step >= run.upper]
    return run.reached and min(after) >= THRESHOLD - STABLE
