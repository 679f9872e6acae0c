"""The criteria of the claims: from numbers, one per seed, to rows of the ledger.

Each is checked for both pairs of attributes; a row's name says which.
"""

from __future__ import annotations

from collections.abc import Sequence

from conceptspace.analysis.claims import SIGNED, Row, above, below, measure, measure_share, most
from conceptspace.paper.thresholds import COMPLETE, LEANING, MOST, NEGLIGIBLE


def hidden(pair: str, what: str, cases: Sequence[bool]) -> Row:
    """For the hat the primary endpoint: most seeds have a window in which the class is hidden.

    See :mod:`conceptspace.analysis.verdict` for what a window is; of six seeds it takes all.
    """
    return most(
        f"fig14-{pair}-hidden",
        f'Another way of asking makes "{what}" at checkpoints where neither naive prompting nor a '
        "displacement of equal size without a direction does.",
        cases,
    )


def leaning(pair: str, differences: Sequence[float]) -> Row:
    """By how much the stronger attribute is ahead of the weaker under the OOD prompt.

    Accuracies, averaged over all checkpoints. The paper sees class 11 stay near class 10, which
    shares "not male".
    """
    return above(
        f"fig14-{pair}-stronger",
        f"With the {pair}, the OOD trajectory heads for the class that shares the stronger "
        "attribute, 10.",
        measure(differences),
        LEANING,
        "(accuracy of the stronger attribute less that of the weaker)",
    )


def memorized(pair: str, shares: Sequence[float]) -> Row:
    """Of the checkpoints at which the OOD class looks like a training class, how many say 10."""
    return above(
        f"fig14-{pair}-memorization",
        f"With the {pair}, while the OOD class is taken for a training class, it is taken for 10.",
        measure_share(shares),
        MOST,
        "of these checkpoints",
    )


def turns(pair: str, turned: Sequence[bool]) -> Row:
    """In what share of the seeds the detector of turns finds one."""
    return above(
        f"fig14-{pair}-turn",
        f"With the {pair}, the OOD trajectory turns.",
        measure_share(turned),
        MOST,
        "of the trajectories turn",
    )


def incomplete(pair: str, ends: Sequence[float]) -> Row:
    """The joint accuracy of the OOD class at the last three checkpoints."""
    return below(
        f"fig14-{pair}-incomplete",
        f"With the {pair}, generalization to the OOD class stays incomplete.",
        measure(ends),
        COMPLETE,
        "(joint accuracy at the end)",
    )


def gain(pair: str, gains: Sequence[float]) -> Row:
    """Panel (b): around the turn the latent intervention makes more of the class than naive
    prompting, settings chosen on other images.
    """
    return above(
        f"fig14-{pair}-gain",
        f"With the {pair}, the latent intervention makes more of the OOD class than naive "
        "prompting at the checkpoints around the turn.",
        measure(list(gains), SIGNED),
        NEGLIGIBLE,
        "joint accuracy",
    )


def specific(pair: str, gains: Sequence[float]) -> Row:
    """Panel (b): and more than a displacement of equal size in a random direction."""
    return above(
        f"fig14-{pair}-specific",
        f"With the {pair}, the latent intervention makes more of the OOD class than a random "
        "displacement of equal size at the checkpoints around the turn.",
        measure(list(gains), SIGNED),
        NEGLIGIBLE,
        "joint accuracy",
    )
