"""Columns of values as concepts: which values there are, their names, and which image has which."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conceptspace.errors import UserError
from conceptspace.space import DIGITS, Concept, ConceptClass

Shown = Mapping[str, Sequence[Sequence[float]]]
"""Of a concept, the numbers in [0, 1] by which prompts show each of its values, in their order."""

Names = Sequence[str] | Mapping[Any, str]
"""What the values of a column are called; see :func:`read_factors`."""


FEWEST, MOST = 6, 15
"""Digits of a column's floating-point numbers as text: as many as tell them apart. What is the same
to the last of them differs by rounding.
"""


@dataclass(frozen=True)
class Factors:
    """The concepts of images, and the class of each.

    Attributes:
        concepts: one for each column, one-hot.
        rows: numbers of the images whose values count, M of them.
        classes: of these, shape (M,).
    """

    concepts: tuple[Concept, ...]
    rows: NDArray[np.int64]
    classes: NDArray[Any]

    def rows_of(self, concept_class: str) -> NDArray[np.int64]:
        """The images of a class, in their order."""
        return self.rows[self.classes == concept_class]

    def class_of(self, named: str | Sequence[Any]) -> ConceptClass:
        """A class from its digits, "01", or from the names of its values, ("red", "small").

        Raises:
            UserError: there is no such value, or not one for each concept.
        """
        if isinstance(named, str):
            return ConceptClass(named)
        labels = [str(label) for label in named]
        if len(labels) != len(self.concepts):
            raise UserError(
                f"the class {tuple(labels)} has {len(labels)} values, and there are the concepts "
                f"{', '.join(concept.name for concept in self.concepts)}"
            )
        pairs = zip(self.concepts, labels, strict=True)
        return ConceptClass.of(concept.number(label) for concept, label in pairs)


def show(found: Factors, shown: Shown) -> Factors:
    """The same concepts with other numbers in their prompts, as many for each value of a concept.

    Raises:
        UserError: there is no such concept, or its values have not as many numbers each in [0, 1].
    """
    names = [concept.name for concept in found.concepts]
    for name in shown:
        if name not in names:
            raise UserError(f"prompts cannot show {name!r}; the concepts are {', '.join(names)}")
    concepts = tuple(
        replace(c, means=tuple(tuple(map(float, numbers)) for numbers in shown[c.name]))
        if c.name in shown
        else c
        for c in found.concepts
    )
    return replace(found, concepts=concepts)


def read_factors(columns: Mapping[str, Any], names: Mapping[str, Names], count: int) -> Factors:
    """Concepts from columns of values, one for each image.

    Values are compared by their text: 1, 1.0 and "1" are the same, "01" is another. Those of
    numbers stand in the order of the numbers, others in that of the alphabet.

    Args:
        columns: whole numbers, finite numbers or text, under the names of the concepts.
        names: what the values of a concept are called: a list with a name for each value in order,
            or with the values themselves in an order of one's own; or ``{value: name}``, which
            leaves out the images of all other values. Without, values are called as they are.
        count: of the images.

    Raises:
        UserError: a column holds something else, lacks a value or has another length; there is one
            value or more than ten; or the names do not fit.
    """
    if not columns:
        raise UserError("a concept space needs at least one column of values")
    if unknown := [name for name in names if name not in columns]:
        raise UserError(
            f"there is no column {unknown[0]!r} to name; there are {', '.join(columns)}"
        )
    concepts, digits = [], []
    for name, column in columns.items():
        items = _items(column, name, count)
        plain = _plainly(items)
        text = [plain(item) for item in items]
        values, labels = _named(name, _ordered(set(text)), names.get(name), plain)
        size = len(values)
        if not 2 <= size <= len(DIGITS):
            raise UserError(
                f"{name} has {size} value{'s' * (size != 1)}, and a concept has 2 to "
                f"{len(DIGITS)}; leave the column out, or name the values that count"
            )
        concepts.append(Concept.one_hot(name, labels))
        places = {value: place for place, value in enumerate(values)}
        digits.append(np.array([places.get(value, -1) for value in text]))
    table = np.stack(digits, axis=1)
    rows = np.flatnonzero((table >= 0).all(axis=1))
    if not len(rows):
        raise UserError("no image has values that count in every column")
    classes = np.array([str(ConceptClass.of(row)) for row in table[rows].tolist()])
    return Factors(tuple(concepts), rows, classes)


def _items(column: Any, name: str, count: int) -> list[Any]:
    """The values of a column, each of which is one."""
    values = np.asarray(column)
    if values.shape != (count,):
        raise UserError(
            f"the column {name!r} has the shape {values.shape}, and there are {count} images; one "
            "value for each belongs there"
        )
    items: list[Any] = values.tolist()
    for row, item in enumerate(items):
        number = isinstance(item, float) and not math.isfinite(item)
        if item is None or item == "" or number or not isinstance(item, str | int | float | bytes):
            raise UserError(f"row {row} of the column {name!r} holds no value, but {item!r}")
    return items


def _plainly(items: Iterable[Any]) -> Callable[[Any], str]:
    """What writes the values of a column as text, different ones differently."""
    numbers = {f"{item:.{MOST}g}" for item in {each for each in items if isinstance(each, float)}}
    apart = (
        d
        for d in range(FEWEST, MOST)
        if len({f"{float(n):.{d}g}" for n in numbers}) == len(numbers)
    )
    digits = next(apart, MOST)

    def plain(item: Any) -> str:
        if isinstance(item, bytes):
            return item.decode(errors="replace")
        if isinstance(item, float) and item.is_integer() and abs(item) < 10**MOST:
            return str(int(item))
        return f"{item:.{digits}g}" if isinstance(item, float) else str(item)

    return plain


def _ordered(values: set[str]) -> list[str]:
    """Numbers by size, and of one size by their text; anything else by the alphabet."""
    try:
        numbers = {value: float(value) for value in values}
    except ValueError:
        return sorted(values)
    if any(math.isnan(number) for number in numbers.values()):
        return sorted(values)
    return sorted(values, key=lambda value: (numbers[value], value))


def _named(
    concept: str, values: list[str], names: Names | None, plain: Callable[[Any], str]
) -> tuple[list[str], tuple[str, ...]]:
    """The values that count, in order, and what each is called."""
    if names is None:
        return values, tuple(values)
    if isinstance(names, Mapping):
        chosen = {plain(value): str(label) for value, label in names.items()}
        if missing := [value for value in chosen if value not in values]:
            raise UserError(
                f"no image has the value {missing[0]!r} of {concept}; there are "
                f"{', '.join(values[:12])}"
            )
        return list(chosen), tuple(chosen.values())
    labels = [plain(label) for label in names]
    if sorted(labels) == sorted(values):
        return labels, tuple(labels)
    if len(labels) != len(values):
        raise UserError(
            f"{concept} has {len(values)} values ({', '.join(values[:12])}) and {len(labels)} "
            f"names ({', '.join(labels[:12])})"
        )
    spelled = {value.casefold(): value for value in values}
    own = [spelled.get(label.casefold()) for label in labels]
    if len(spelled) == len(values) == len({*own} - {None}):
        return [value for value in own if value is not None], tuple(labels)
    for value, label, meant in zip(values, labels, own, strict=True):
        if meant not in (None, value):
            raise UserError(
                f"{concept}: {label!r} is a value of its own, and in the order of the values "
                f"({', '.join(values)}) it would be the name of {value!r}; name each value, as in "
                f"{{{meant!r}: {label!r}, ...}}"
            )
    return values, tuple(labels)
