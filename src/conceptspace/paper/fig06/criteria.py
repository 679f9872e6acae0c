"""The criteria of the claims: from numbers, one per seed, to rows of the ledger."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from conceptspace.analysis.claims import (
    SIGNED,
    Row,
    above,
    below,
    counted_advance,
    gap,
    measure,
    most,
    open_question,
    some,
    within,
)
from conceptspace.analysis.emergence import THRESHOLD, Emergence
from conceptspace.paper.thresholds import (
    COINCIDENT,
    PAPERS_SEEDS,
    RESOLVED,
)
from conceptspace.tables import NAIVE


def duration(shares: Sequence[float]) -> Row:
    """Fig. 6, its primary endpoint: for how long the capability is hidden, in the mean over seeds.

    How many seeds have a window is noted.

    Args:
        shares: by seed, the share of the checkpoints that lies in its window, 0 without one; see
            :mod:`conceptspace.analysis.verdict` for what a window is.
    """
    row = above(
        "fig06-duration",
        "For some part of training another way of asking makes the OOD class while neither naive "
        "prompting nor a random displacement of equal size does.",
        measure(list(shares), (0.0, 1.0)),
        RESOLVED,
        "of training",
    )
    note = f"{sum(share > 0 for share in shares)} of {len(shares)} seeds have such a window."
    return replace(row, note=note if shares else "")


def more(
    protocol: str,
    other: str,
    gains: Sequence[float],
    elicited: Sequence[Emergence],
    compared: Sequence[Emergence],
) -> Row:
    """Fig. 6. A protocol makes more of the OOD class than naive prompting, or than its control.

    A paired number that censoring does not touch. To arrive one of 24 checkpoints earlier is worth
    1/24 of joint accuracy, hence the threshold. In how many seeds it arrives before the other,
    which may never, is noted.

    Args:
        protocol: its name.
        other: naive prompting or a control, with which it is compared.
        gains: by seed, the joint accuracy under the protocol less that under the other, in the mean
            over all checkpoints.
        elicited: the protocol's emergence by seed.
        compared: that of the other.
    """
    name = "more" if other == NAIVE else f"more-than-{other}"
    than = "naive prompting" if other == NAIVE else other
    row = above(
        f"fig06-{protocol}-{name}",
        f"{protocol} makes more of the OOD class than {than} does, in the mean over training.",
        measure(list(gains), SIGNED),
        RESOLVED,
        "joint accuracy",
    )
    first = [a.reached and a.upper < b.upper for a, b in zip(elicited, compared, strict=True)]
    note = f"It reaches {THRESHOLD:g} first, or alone, in {sum(first)} of {len(first)} seeds."
    return replace(row, note=note if first else "")


def earlier(
    figure: str, protocol: str, naive: Sequence[Emergence], elicited: Sequence[Emergence]
) -> Row:
    """Figs. 6 and 10. In most seeds a protocol reaches 0.8 before naive prompting does.

    A paired statement: a seed counts if the protocol arrives at an earlier checkpoint, or arrives
    and naive prompting never does. The mean advance, steps counted up to the end, is noted.
    """
    pairs = list(zip(naive, elicited, strict=True))
    row = most(
        f"{figure}-{protocol}-earlier",
        f"{protocol} reaches {THRESHOLD:g} on the OOD class before naive prompting does, which may "
        "never.",
        [a.reached and a.upper < b.upper for b, a in pairs],
    )
    mean = measure([counted_advance(a, b) for a, b in pairs])
    limits = f" ({mean.low:.2f} to {mean.high:.2f})" if mean.seeds > 1 else ""
    text = f"Earlier by {mean.value:.2f}{limits} of training on average, counted up to its end."
    return replace(row, note=text)


def fails_where_elicited(
    protocol: str, naive: Sequence[Emergence], elicited: Sequence[Emergence]
) -> Row:
    """Fig. 6. In some seed naive prompting never arrives where the protocol does."""
    return some(
        f"fig06-{protocol}-naive-fails",
        f"In some seed {protocol} reaches {THRESHOLD:g} and naive prompting never does.",
        [
            None if a.reached and b.pending else a.reached and not b.reached
            for b, a in zip(naive, elicited, strict=True)
        ],
        PAPERS_SEEDS,
    )


def same_step(protocol: str, elicited: Sequence[Emergence]) -> Row:
    """Fig. 6. A protocol succeeds at about the same step in every seed.

    The mean distance of the seeds from their median, as a share of training. A run that never
    arrives is at least as far away as the end, without an upper bound.
    """
    claim = f"{protocol} reaches {THRESHOLD:g} at about the same step in every seed."
    if not any(run.reached for run in elicited):
        return open_question(
            f"fig06-{protocol}-same-step",
            claim,
            f"95 % interval over seeds below {COINCIDENT:g} of training",
            f"it is reached in none of {len(elicited)} seeds",
            len(elicited),
        )
    middle = float(np.median([min(run.upper, run.last) for run in elicited]))
    gaps = [gap(run, middle) for run in elicited]
    distances = [
        (max(0.0, low), high) if np.isinf(high) else (abs(low), abs(high)) for low, high in gaps
    ]
    found = measure(distances, (0.0, np.inf))
    return below(f"fig06-{protocol}-same-step", claim, found, COINCIDENT, "of training")


def at_the_turn(protocol: str, elicited: Sequence[Emergence], turn_steps: Sequence[float]) -> Row:
    """Fig. 6. A protocol succeeds where the trajectory turns: an equivalence within the margin.

    Args:
        protocol: its name.
        elicited: its emergence by seed.
        turn_steps: where each seed's naive trajectory turns.
    """
    return within(
        f"fig06-{protocol}-turn",
        f"{protocol} reaches {THRESHOLD:g} at about the step at which the trajectory turns.",
        measure([gap(run, step) for run, step in zip(elicited, turn_steps, strict=True)]),
        COINCIDENT,
        "of training",
    )
