"""The criteria of the claims: from numbers, one per seed, to rows of the ledger."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from conceptspace.analysis.claims import (
    SHARE,
    SIGNED,
    Measured,
    Row,
    above,
    measure,
    rank_correlation,
)
from conceptspace.paper.framework.seeds import per_seed
from conceptspace.paper.thresholds import BETWEEN, MIDDLE, MOST, ORDERED


def color_shift(ends: Mapping[float, Mapping[int, float]]) -> list[Row]:
    """Figs. 7b and 9a. The color of the OOD class goes from blue to red as the share grows.

    Args:
        ends: for each share the color coordinate of each seed at the end, 1 for blue.
    """
    return [
        above(
            "fig09a-trend",
            "The larger the share of masked prompts, the redder the OOD class ends.",
            measure([-rank_correlation(of_seed) for of_seed in per_seed(ends).values()], SIGNED),
            ORDERED,
            "(Kendall's tau)",
        ),
        above(
            "fig09a-crossing",
            "At the smallest share it ends nearer to blue, at the largest nearer to red.",
            _beyond_the_middle(ends),
            0.0,
            "beyond the middle (color coordinate)",
        ),
    ]


def _beyond_the_middle(ends: Mapping[float, Mapping[int, float]]) -> Measured:
    """How far the nearer one of both ends lies on its side of the middle.

    Both have to; the interval takes the worse limit of the two, and so is no narrower than 95 %.
    """
    blue, red = (measure(list(ends[share].values()), SHARE) for share in (min(ends), max(ends)))
    return Measured(
        min(blue.value - MIDDLE, MIDDLE - red.value),
        min(blue.low - MIDDLE, MIDDLE - red.high),
        min(blue.high - MIDDLE, MIDDLE - red.low),
        min(blue.seeds, red.seeds),
    )


def purple(
    blueness: Mapping[float, Mapping[int, float]], ends: Mapping[float, Mapping[int, float]]
) -> Row:
    """Figs. 7b and 9a. At middle shares the generated objects are purple, not some red, some blue.

    How many seeds end blue, red and between in the mean of their images is noted.

    Args:
        blueness: for each share strictly between the smallest and the largest, by seed, the share
            of generated images that show an object with a color in the middle half between the
            means.
        ends: for the same shares the color coordinate of each seed at the end, 1 for blue.
    """
    row = above(
        "fig09a-purple",
        "At middle shares the objects are of a color between red and blue.",
        measure([float(np.mean(list(of.values()))) for of in per_seed(blueness).values()], SHARE),
        MOST,
        "of the images",
    )
    (low, high), found = BETWEEN, [end for of in ends.values() for end in of.values()]
    blue, red = sum(end > high for end in found), sum(end < low for end in found)
    note = f"Runs end blue in {blue}, red in {red}, between in {len(found) - blue - red} cases."
    return replace(row, note=note if found else "")
