"""The criteria of the claims: from numbers, one per seed, to rows of the ledger."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from conceptspace.analysis.claims import (
    SHARE,
    SIGNED,
    Row,
    above,
    measure,
    rank_correlation,
)
from conceptspace.paper.framework.seeds import per_seed
from conceptspace.paper.thresholds import MOST, ORDERED, SHIFTED


def color_shift(ends: Mapping[float, Mapping[int, float]]) -> list[Row]:
    """Figs. 7b and 9a. The color of the OOD class goes from blue to red as the share grows.

    Args:
        ends: for each share the color coordinate of each seed at the end, 1 for blue.
    """
    shares = sorted(ends)
    seeds = [seed for seed in ends[shares[0]] if seed in ends[shares[-1]]]
    return [
        above(
            "fig09a-trend",
            "The larger the share of masked prompts, the redder the OOD class ends.",
            measure([-rank_correlation(of_seed) for of_seed in per_seed(ends).values()], SIGNED),
            ORDERED,
            "(Kendall's tau)",
        ),
        above(
            "fig09a-shift",
            "From the smallest to the largest share its color crosses from blue to red.",
            measure([ends[shares[0]][seed] - ends[shares[-1]][seed] for seed in seeds], SIGNED),
            SHIFTED,
            "(color coordinate)",
        ),
    ]


def purple(blueness: Mapping[float, Mapping[int, float]]) -> Row:
    """Figs. 7b and 9a. At middle shares the generated objects are purple, not some red, some blue.

    Args:
        blueness: for each share strictly between the smallest and the largest, by seed, the share
            of generated objects whose measured color lies in the middle half between the means.
    """
    return above(
        "fig09a-purple",
        "At middle shares the objects are of a color between red and blue.",
        measure([float(np.mean(list(of.values()))) for of in per_seed(blueness).values()], SHARE),
        MOST,
        "of the objects",
    )
