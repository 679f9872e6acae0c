"""The criteria of the claims: from numbers, one per seed, to rows of the ledger."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from conceptspace.analysis.claims import SHARE, Row, above, below, measure, measure_share
from conceptspace.analysis.emergence import THRESHOLD
from conceptspace.paper.thresholds import MOST


def success(lowest: Sequence[float], made: Sequence[int]) -> Row:
    """Fig. 15a. Every OOD class is generated in the end.

    How many OOD classes a seed generates is noted.

    Args:
        lowest: by seed, the joint accuracy of the worst OOD class at the last three checkpoints.
        made: by seed, how many OOD classes are at 0.8 or more there.
    """
    row = above(
        "fig15-success",
        "With a strong color every OOD class is generated in the end.",
        measure(list(lowest), SHARE),
        THRESHOLD,
        "joint accuracy of the worst class",
    )
    counts = ", ".join(map(str, sorted(made)))
    return replace(row, note=f"OOD classes at {THRESHOLD:g} or more, by seed: {counts}.")


def failure(lowest: Sequence[float]) -> Row:
    """Fig. 15b. Some OOD class does not show the dark background that is asked for.

    The accuracy of the background in the worst OOD class at the last three checkpoints, by seed.
    """
    return below(
        "fig15-failure",
        "With a weak background some OOD class does not show the background that is asked for.",
        measure(list(lowest), SHARE),
        0.5,
        "accuracy of the background in the worst class",
    )


def taken_for(shares: Sequence[float]) -> Row:
    """Fig. 15a. 011 is first taken for 010, which shares the two stronger concepts.

    The share of 010 among the checkpoints at which 011 looks more like a training class than like
    itself, by seed; most of them.
    """
    return above(
        "fig15-memorization",
        "The class 011 is first taken for 010, which shares the two stronger concepts.",
        measure_share(shares),
        MOST,
        "of the checkpoints of memorization",
    )
