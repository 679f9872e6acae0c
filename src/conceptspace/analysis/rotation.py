"""Does a trajectory in concept space bend clockwise or counterclockwise? Paper sections 4.2, 4.3.

Measured by the area between the trajectory and its chord, from its first to its last point. The
sign: concept 1 points right, concept 2 upwards, and an area passed **clockwise is positive**. A
trajectory from (0, 0) to (1, 1) that first rises along concept 2 (by way of 01) is clockwise, one
that first goes along concept 1 (by way of 10) is counterclockwise; at most it has the area of the
triangle, 0.5. Swapping the concepts flips the sign. The area does not depend on speed, so seeds
may turn at different times.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conceptspace.analysis.intervals import student
from conceptspace.analysis.turning import signed_areas
from conceptspace.errors import UserError


@dataclass(frozen=True)
class Rotation:
    """The sense of rotation of trajectories.

    Attributes:
        area: mean over seeds of the signed area, clockwise positive.
        interval: of the mean, by Student's t over seeds; NaN for a single seed.
        areas: of each seed.
        sense: ``"clockwise"`` or ``"counterclockwise"`` if the interval excludes 0,
            ``"undecided"`` if it does not, or for a single seed.
    """

    area: float
    interval: tuple[float, float]
    areas: tuple[float, ...]
    sense: str


def sense_of_rotation(curve: NDArray[Any]) -> Rotation:
    """The sense of rotation of one trajectory or of several seeds'.

    Args:
        curve: coordinates of two concepts, shape (T, 2), or (S, T, 2) with one per seed.

    Raises:
        UserError: another shape, fewer than three points, or values that are not finite.
    """
    curves = np.asarray(curve, dtype=np.float64)
    curves = curves[None] if curves.ndim == 2 else curves
    if curves.ndim != 3 or curves.shape[1] < 3 or curves.shape[2] != 2 or len(curves) == 0:
        raise UserError(
            "a sense of rotation needs trajectories (seeds, checkpoints, 2) with at least three "
            f"checkpoints, not {np.shape(curve)}"
        )
    if not np.isfinite(curves).all():
        raise UserError("a sense of rotation needs finite coordinates")
    areas = signed_areas(curves)
    middle, low, high = float(areas.mean()), float("nan"), float("nan")
    if len(areas) > 1:
        low, high = (float(end) for end in student(areas))
    return Rotation(middle, (low, high), tuple(float(a) for a in areas), _sense(low, high))


def _sense(low: float, high: float) -> str:
    if low > 0:
        return "clockwise"
    return "counterclockwise" if high < 0 else "undecided"
