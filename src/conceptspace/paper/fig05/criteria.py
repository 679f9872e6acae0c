"""The criteria of the claims: from numbers, one per seed, to rows of the ledger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from conceptspace.analysis.claims import (
    Row,
    above,
    measure_share,
)
from conceptspace.paper.thresholds import (
    MOST,
)


def equation_fits(figure: str, equation: str, supported: Mapping[int, Sequence[bool]]) -> Row:
    """Figs. 5 and 9b. A toy model describes the trajectories better than simpler curves do.

    The share of a seed's trajectories (or 0 and 1, where all are fitted together) in which the
    equation's AICc is smaller than that of every null, by 2 or more; most of them.
    """
    return above(
        f"{figure}-fit",
        f"{equation} describes the OOD trajectories better than every simpler curve.",
        measure_share([float(np.mean(found)) for found in supported.values()]),
        MOST,
        "of the fits",
    )


def rotation_agrees(same: Mapping[int, Sequence[bool]]) -> Row:
    """Fig. 5. The fitted curves turn the way that the measured ones do.

    The share of a seed's trajectories whose signed areas have the same sign; guessing gives half.
    """
    return above(
        "fig05-rotation",
        "Eq. 1 rotates in the sense in which the trajectories do.",
        measure_share([float(np.mean(found)) for found in same.values()]),
        MOST,
        "of the fits",
    )
