"""At which steps a run saves checkpoints."""

from __future__ import annotations

import math
import operator
from collections.abc import Container
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

CheckpointSchedule = Literal["sqrt", "linear", "log"]


def checkpoint_steps(kind: CheckpointSchedule, first: int, last: int, count: int) -> list[int]:
    """Increasing steps from ``first`` to ``last``.

    "sqrt" spaces them evenly in the square root of the step (the settings published with the
    paper: (linspace(sqrt(500), sqrt(20000), 60))^2), "log" in its
    logarithm. Rounded steps that coincide are merged.

    >>> checkpoint_steps("sqrt", 100, 900, 3)
    [100, 400, 900]
    >>> checkpoint_steps("log", 1, 1000, 4)
    [1, 10, 100, 1000]
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


def longer_count(kind: CheckpointSchedule, first: int, last: int, count: int, longer: int) -> int:
    """How many checkpoints up to the step ``longer`` lie about as densely as ``count`` up to
    ``last``.
    """
    begin, end, further = (_place(kind, step) for step in (first, last, longer))
    return 1 + round((count - 1) * (further - begin) / (end - begin)) if end > begin else count


def longer_last(kind: CheckpointSchedule, first: int, last: int, count: int, longer: int) -> int:
    """The step that the ``longer``-th checkpoint would have, were ``count`` up to ``last``
    continued.
    """
    begin, end = _place(kind, first), _place(kind, last)
    place = begin + (end - begin) * (longer - 1) / max(1, count - 1)
    return round(place**2 if kind == "sqrt" else math.exp(place) if kind == "log" else place)


def _place(kind: CheckpointSchedule, step: int) -> float:
    """The scale on which a schedule is even."""
    return step**0.5 if kind == "sqrt" else math.log(step) if kind == "log" else float(step)


@dataclass(frozen=True)
class EvenInRoot(Container[int]):
    """Steps without an end that are even in the square root of the step: 4, 16, 36, 64, ...

    Args:
        gap: between the square roots of two steps.
    """

    gap: float = 2.0

    def __contains__(self, step: object) -> bool:
        number = whole(step)
        if number is None or number < 1:
            return False
        near = round(number**0.5 / self.gap)
        return number in (round((self.gap * k) ** 2) for k in (near - 1, near, near + 1))


class StepSet(frozenset[int]):
    """A set of steps in which whole numbers of NumPy and PyTorch are found, too.

    A tensor has a hash of its own, so that a plain set never contains one.
    """

    def __contains__(self, step: object) -> bool:
        return super().__contains__(whole(step))


def whole(value: Any) -> int | None:
    """A whole number of Python, NumPy or PyTorch; None for anything else, such as a bool.

    >>> whole(np.int64(4)), whole(True), whole(4.0)
    (4, None, None)
    """
    if isinstance(value, bool):
        return None
    try:
        return operator.index(value)
    except TypeError:
        return None
