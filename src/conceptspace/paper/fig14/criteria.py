"""When the claims hold: numbers, one per seed, to rows of the ledger."""

from __future__ import annotations

from collections.abc import Sequence

from conceptspace.analysis.claims import Row, above, below, measure
from conceptspace.paper.thresholds import COMPLETE, LEANING, MOST


def leaning(differences: Sequence[float]) -> Row:
    """By how much the stronger attribute is ahead of the weaker under the OOD prompt.

    Accuracies, averaged over all checkpoints. The paper expects "not male" to be the stronger and
    sees class 11 follow class 10, which shares it.
    """
    return above(
        "fig14-stronger",
        "The OOD trajectory heads for the class that shares the stronger attribute, 10.",
        measure(differences),
        LEANING,
        "(accuracy of the stronger attribute less that of the weaker)",
    )


def memorized(shares: Sequence[float]) -> Row:
    """Of the checkpoints at which the OOD class looks like a training class, how many say 10."""
    return above(
        "fig14-memorization",
        "While the OOD class is taken for a training class, it is taken for 10.",
        measure(shares),
        MOST,
        "of these checkpoints",
    )


def turns(turned: Sequence[bool]) -> Row:
    """In what share of the seeds the detector of turns finds one."""
    return above(
        "fig14-turn",
        "The OOD trajectory turns.",
        measure([float(found) for found in turned]),
        MOST,
        "of the trajectories turn",
    )


def incomplete(ends: Sequence[float]) -> Row:
    """The joint accuracy of the OOD class at the last three checkpoints."""
    return below(
        "fig14-incomplete",
        "Generalization to the OOD class stays incomplete.",
        measure(ends),
        COMPLETE,
        "(joint accuracy at the end)",
    )
