"""Numbers on the command line; anything else is refused with what would be right."""

from __future__ import annotations

from argparse import ArgumentTypeError


def count(text: str) -> int:
    """A whole number from 1.

    Raises:
        ArgumentTypeError: it is none.
    """
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise ArgumentTypeError(f"it takes a whole number from 1, not {text[:40]!r}")
    return number


def number_list(text: str) -> list[float]:
    """Numbers with commas between them.

    Raises:
        ArgumentTypeError: one is none.
    """
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise ArgumentTypeError(f"it takes numbers like 0.5,1, not {text[:40]!r}") from None


def whole_numbers(text: str) -> list[int]:
    """Whole numbers with commas between them, each once.

    Raises:
        ArgumentTypeError: one is none.
    """
    try:
        return list(dict.fromkeys(int(part) for part in text.split(",")))
    except ValueError:
        raise ArgumentTypeError(f"it takes whole numbers like 0,1,2, not {text[:40]!r}") from None
