"""The criteria of the claims: from numbers, one per seed, to rows of the ledger."""

from __future__ import annotations

from collections.abc import Sequence

from conceptspace.analysis.claims import (
    Row,
    above,
    measure,
)


def signals(strong_first: Sequence[float], strong_second: Sequence[float]) -> Row:
    """Figs. 2 and 11. The two settings have opposite signals.

    The effect is the smaller of the two margins, in natural logarithms of the ratio of the pixel
    distances (color to size where color is strong, size to color where size is), one for each
    repetition of the measurement on new images. No run is involved, so here a repetition takes the
    place of a seed. Any clear difference counts: a tenth.
    """
    return above(
        "fig02-signal",
        "Two settings of the data have opposite signals: color is stronger in one, size in the "
        "other.",
        measure([min(a, b) for a, b in zip(strong_first, strong_second, strict=True)]),
        0.1,
        "(log ratio of pixel distances)",
    )
