"""Concepts of more than two values in tables: a probability for each value, and axes between two.

A concept of two values needs one number, its coordinate: the probability of value 1. Of one with
more, tables hold the probability of each value as well, in the columns ``p0``, ``p1``, ... of
:data:`COLUMNS`; they are there only if some concept has more than two values, and empty in the rows
of those that have two. Its coordinate runs between two of its values::

    coordinate = (1 + p_to - p_from) / 2

that is 0 at the first, 1 at the second, and 1/2 where it is neither.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from conceptspace.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = tuple(f"p{value}" for value in range(10))
"""Columns of the probability of each value."""

Axes = Mapping[str, tuple[int, int]]
"""Of a concept, the value at which its coordinate is 0, and the value at which it is 1."""


def columns_of(table: pd.DataFrame) -> list[str]:
    """The columns of single values that a table has."""
    return [name for name in COLUMNS if name in table.columns]


def axis(train_classes: Iterable[str], ood_class: str, index: int) -> tuple[int, int]:
    """The axis of a concept that suits a held-out class: from the most similar training value.

    That is the value of the training class that differs from the held-out one in this concept, and
    in as few others as possible, the smallest of several. Where all training classes agree with the
    held-out one, it is value 0, or 1.

    Args:
        train_classes: digits of the classes.
        ood_class: the held-out class.
        index: of the concept.
    """
    own = int(ood_class[index])
    others = [
        (sum(a != b for a, b in zip(name, ood_class, strict=True)), int(name[index]))
        for name in train_classes
        if int(name[index]) != own
    ]
    return (min(others)[1] if others else int(own == 0)), own


def axes(
    table: pd.DataFrame, concepts: Sequence[str], train_classes: Sequence[str], ood_class: str
) -> Axes:
    """The axes of :func:`axis` for every concept of a table that has more than two values.

    Args:
        table: a trajectory or scores.
        concepts: in the order of the digits of a class.
        train_classes: digits of the classes.
        ood_class: the held-out class.
    """
    single = columns_of(table)
    many = set(table.loc[table[single].notna().any(axis=1), "concept"]) if single else set()
    return {
        name: axis(train_classes, ood_class, index)
        for index, name in enumerate(concepts)
        if name in many
    }


def along(table: pd.DataFrame, axes: Axes) -> pd.DataFrame:
    """A table whose coordinates run between other values; concepts of two values stay as they are.

    Args:
        table: a trajectory or scores.
        axes: digits of two values of each concept that is to change.

    Raises:
        UserError: the table does not hold the probabilities of these values.
    """
    for name, (start, end) in axes.items():
        rows = table["concept"] == name
        here = columns_of(table)
        if not rows.any() or not here or table.loc[rows, here].isna().all(axis=None):
            if rows.any() and (start, end) != (0, 1):
                raise UserError(
                    f"the table has no probabilities of the single values of {name!r}, so its "
                    f"coordinate runs from value 0 to value 1, not from {start} to {end}"
                )
            continue
        for value in (start, end):
            if f"p{value}" not in here or table.loc[rows, f"p{value}"].isna().any():
                raise UserError(f"the table has no probabilities of value {value} of {name!r}")
        coordinate = (1 + table.loc[rows, f"p{end}"] - table.loc[rows, f"p{start}"]) / 2
        table = table.assign(coordinate=table["coordinate"].where(~rows, coordinate))
    return table
