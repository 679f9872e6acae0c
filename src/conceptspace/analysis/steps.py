"""Steps in words."""

from __future__ import annotations

from collections.abc import Iterable

MOST_NAMED = 4
"""Steps that are named one by one; of more, only how many and where they lie."""


def digits(step: float) -> str:
    """A step, or a median of steps, with all of its digits: 250, 287.5 or 20971600.

    >>> digits(20971600.0), digits(287.5)
    ('20971600', '287.5')
    """
    return f"{step:g}" if abs(step) < 999_999 else f"{step:.0f}"


def from_to(numbers: Iterable[int]) -> str:
    """The smallest and the largest of some numbers; one where they are the same.

    >>> from_to([5, 3, 4]), from_to([3, 3])
    ('3 to 5', '3')
    """
    ordered = sorted(numbers)
    return " to ".join(map(str, dict.fromkeys((ordered[0], ordered[-1]))))


def in_words(steps: Iterable[int]) -> str:
    """Steps in words.

    >>> in_words([300]), in_words([300, 400]), in_words(range(100, 1000, 100))
    ('step 300', 'steps 300 and 400', '9 steps from 100 to 900')
    """
    ordered = sorted(steps)
    if len(ordered) == 1:
        return f"step {ordered[0]}"
    if len(ordered) <= MOST_NAMED:
        return f"steps {', '.join(map(str, ordered[:-1]))} and {ordered[-1]}"
    return f"{len(ordered)} steps from {ordered[0]} to {ordered[-1]}"
