"""The criteria of the claims: from numbers, one per seed, to rows of the ledger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from conceptspace.analysis.claims import (
    SHARE,
    SIGNED,
    Row,
    above,
    below,
    measure,
    rank_correlation,
)
from conceptspace.paper.framework.seeds import per_seed
from conceptspace.paper.thresholds import (
    LEANING,
    MOST,
    ORDERED,
    STRAIGHT,
)


def sides(leanings: Mapping[float, Mapping[int, float]]) -> list[Row]:
    """Fig. 4. The trajectory changes sides along the sweep of the color separation.

    A leaning is the accuracy of color less that of size under the OOD prompt, averaged over all
    checkpoints. It rises with the separation (tau), is negative at the smallest and positive at
    the largest.

    Args:
        leanings: for each separation that of each seed.
    """
    levels = sorted(leanings)
    first, last = (list(leanings[level].values()) for level in (levels[0], levels[-1]))
    return [
        above(
            "fig04-rise",
            "The larger the color separation, the more the OOD trajectory leans towards color.",
            measure([rank_correlation(of_seed) for of_seed in per_seed(leanings).values()], SIGNED),
            ORDERED,
            "(Kendall's tau)",
        ),
        below(
            "fig04-weak-color",
            "At the smallest color separation it heads for the class that shares the size, 01.",
            measure(first, SIGNED),
            -LEANING,
            "(accuracy of color less that of size)",
        ),
        above(
            "fig04-strong-color",
            "At the largest color separation it heads for the class that shares the color, 10.",
            measure(last, SIGNED),
            LEANING,
            "(accuracy of color less that of size)",
        ),
    ]


def turns(ood: Mapping[int, Sequence[bool]], train: Mapping[int, Sequence[bool]]) -> list[Row]:
    """Figs. 4 and 13. OOD trajectories turn, training classes go straight.

    The share of a seed's trajectories, one for each separation (and training class), in which the
    detector of turns finds one.
    """
    return [
        above(
            "fig04-turn",
            "The OOD trajectory turns, at most color separations.",
            measure([float(np.mean(found)) for found in ood.values()], SHARE),
            MOST,
            "of the trajectories turn",
        ),
        below(
            "fig13-straight",
            "The trajectories of training classes go straight.",
            measure([float(np.mean(found)) for found in train.values()], SHARE),
            STRAIGHT,
            "of the trajectories turn",
        ),
    ]
