"""Figs. 7b to 9b: underspecified prompts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from conceptspace.analysis.claims import (
    SHARE,
    SIGNED,
    Row,
    above,
    concordance,
    measure,
    rank_correlation,
)
from conceptspace.analysis.criteria.seeds import by_seed
from conceptspace.analysis.criteria.thresholds import MOST, ORDERED, SHIFTED
from conceptspace.analysis.emergence import THRESHOLD, Emergence


def delayed(runs: Mapping[float, Mapping[int, Emergence]]) -> Row:
    """Fig. 8. Runs with a larger share of masked prompts reach 0.8 later: tau within a seed.

    Args:
        runs: for each share the emergence of each seed.
    """
    bounds = [concordance(levels) for levels in by_seed(runs).values()]
    return above(
        "fig08-delay",
        f"The steps to {THRESHOLD:g} on the OOD class grow with the share of masked prompts.",
        measure([(-high, -low) for low, high in bounds], SIGNED),
        ORDERED,
        "(Kendall's tau)",
    )


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
            measure([-rank_correlation(of_seed) for of_seed in by_seed(ends).values()], SIGNED),
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
        measure([float(np.mean(list(of.values()))) for of in by_seed(blueness).values()], SHARE),
        MOST,
        "of the objects",
    )


def target_shift(slopes: Sequence[float]) -> Row:
    """Fig. 9b. Eq. 2 moves its target by s times the percentage, s = 0.01 in the paper.

    The shift at full masking, 100 s, by seed: it crosses the middle.
    """
    return above(
        "fig09b-shift",
        "Eq. 2, fitted to the trajectories, moves the target of the color by masking.",
        measure([100 * slope for slope in slopes]),
        SHIFTED,
        "(color coordinate at full masking)",
    )
