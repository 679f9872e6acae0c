"""At which steps a run saves checkpoints."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
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


@dataclass(frozen=True)
class EvenInRoot(Container[int]):
    """Steps without an end that are even in the square root of the step: 4, 16, 36, 64, ...

    Args:
        gap: between the square roots of two steps.
    """

    gap: float = 2.0

    def __contains__(self, step: object) -> bool:
        if not isinstance(step, int) or step < 1:
            return False
        near = round(step**0.5 / self.gap)
        return step in (round((self.gap * k) ** 2) for k in (near - 1, near, near + 1))
