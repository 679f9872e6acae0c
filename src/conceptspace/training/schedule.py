"""At which steps a run saves checkpoints."""

from __future__ import annotations

from typing import Literal

import numpy as np

CheckpointSchedule = Literal["sqrt", "linear", "log"]


def checkpoint_steps(kind: CheckpointSchedule, first: int, last: int, count: int) -> list[int]:
    """Increasing steps from ``first`` to ``last``.

    "sqrt" spaces them evenly in the square root of the step (SPEC section 2: linspace(sqrt(500),
    sqrt(20000), 60)^2), "log" in its logarithm. Rounded steps that coincide are merged.
    """
    if count == 1:
        return [last]
    if kind == "sqrt":
        spaced = np.linspace(first**0.5, last**0.5, count) ** 2
    elif kind == "log":
        spaced = np.geomspace(first, last, count)
    else:
        spaced = np.linspace(first, last, count)
    return [int(step) for step in np.unique(np.rint(spaced))]
