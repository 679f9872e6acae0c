"""Concepts, concept classes and concept spaces (paper section 3, Definitions 1 and 2)."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations, product

import torch
from jaxtyping import Float
from torch import Tensor

from conceptspace.errors import UserError
from conceptspace.tables import JOINT
from conceptspace.values import axis

NAME = re.compile(r"\w(?:[\w .+-]{0,62}\w)?")
"""Allowed names of concepts: they are part of the names of protocols, folders and files."""

DIGITS = "0123456789"
"""Digits for the values of a concept in a class, so there are at most ten values."""


class ConceptClass(str):
    """A combination of concept values, written as one digit per concept: ``ConceptClass("01")``.

    The digit is the number of the value among the concept's labels, from 0 on. It is a string, so
    it serves as a dictionary key, a table entry and a file name. Raises ``UserError`` if a
    character is no digit from 0 to 9.

    >>> ConceptClass("01").flip(0)
    '11'
    """

    __slots__ = ()

    def __new__(cls, digits: str) -> ConceptClass:
        if not digits or set(digits) - set(DIGITS):
            raise UserError(
                "a concept class is a string of digits such as '01', the value of each concept, "
                f"not {digits!r}"
            )
        return super().__new__(cls, digits)

    @classmethod
    def of(cls, values: Iterable[int]) -> ConceptClass:
        """The class of these values, one for each concept."""
        return cls("".join(map(str, values)))

    @property
    def values(self) -> tuple[int, ...]:
        """The value of each concept, from 0 on."""
        return tuple(map(int, self))

    def flip(self, index: int, to: int | None = None) -> ConceptClass:
        """The class that differs in concept ``index`` alone.

        Args:
            index: of the concept.
            to: its value there; may be left out where it changes between 0 and 1.

        Raises:
            UserError: the value is neither 0 nor 1 and ``to`` is left out.
        """
        values = list(self.values)
        if to is None and values[index] > 1:
            raise UserError(
                f"class {self} has value {values[index]} of concept {index}; say to which value it "
                "is to change"
            )
        values[index] = 1 - values[index] if to is None else to
        return ConceptClass.of(values)

    def distance(self, other: str) -> int:
        """In how many concepts the two classes differ."""
        return sum(a != b for a, b in zip(self, other, strict=True))


@dataclass(frozen=True)
class Concept:
    """One axis of a concept space: a variable that is uniform around one of two or more means.

    Value ``v`` is drawn from U(means[v] - spread, means[v] + spread), each number on its own (paper
    App. B). A categorical concept such as shape has spread 0 and one-hot means.

    Args:
        name: what the axis is called; the data-generating process knows the concept by it. Letters,
            digits, and between them spaces and ``_ . + -``, so that it can be part of a folder's
            name; ``joint`` is the tables' own.
        labels: what value 0, value 1 and so on look like, e.g. ``("red", "blue")``; 2 to 10.
        means: of each value, k numbers each.
        spread: half the width of the uniform distribution.
        limits: smallest and largest value allowed.
        center: the value around which the means lie; a stronger separation moves them away from
            it.

    Raises:
        UserError: the name is no such name; there are not two to ten distinct labels, and as many
            means of the same length; a number is not finite; two values overlap, or one of them
            leaves the limits.
    """

    name: str
    labels: tuple[str, ...]
    means: tuple[tuple[float, ...], ...]
    spread: float = 0.0
    limits: tuple[float, float] = (0.0, 1.0)
    center: float = 0.5

    def __post_init__(self) -> None:
        self._check_form()
        low, high = self.limits
        if self.spread < 0:
            raise UserError(f"the spread of {self.name} is {self.spread:g}; it cannot be negative")
        for one, other in combinations(range(len(self.labels)), 2):
            pair = zip(self.means[one], self.means[other], strict=True)
            distance = max(abs(a - b) for a, b in pair)
            if not distance > 2 * self.spread + 1e-9:
                raise UserError(
                    f"{self.labels[one]} and {self.labels[other]} of {self.name} overlap: their "
                    f"means are {distance:g} apart and each spreads by {self.spread:g}; the "
                    f"distance must exceed {2 * self.spread:g}"
                )
        values = [value for mean in self.means for value in mean]
        least, most = min(values) - self.spread, max(values) + self.spread
        if least < low - 1e-9 or most > high + 1e-9:
            raise UserError(
                f"the values of {self.name} reach from {least:g} to {most:g}, outside "
                f"[{low:g}, {high:g}]; use a smaller separation or spread"
            )

    def _check_form(self) -> None:
        if not NAME.fullmatch(self.name) or self.name.casefold() == JOINT:
            raise UserError(
                f"a concept cannot be called {self.name[:80]!r}; its name is up to 64 letters and "
                f"digits, between them spaces, _ . + or -, and not {JOINT!r}, which the tables use"
            )
        count, lengths = len(self.labels), {len(mean) for mean in self.means}
        if not 2 <= count <= len(DIGITS) or len(set(self.labels)) != count:
            raise UserError(
                f"a concept has 2 to {len(DIGITS)} values of different names, and {self.name} has "
                f"{count}: {', '.join(self.labels[:12])}"
            )
        if len(self.means) != count:
            raise UserError(
                f"{self.name} has {count} labels and {len(self.means)} means; each value has one "
                "of both"
            )
        if len(lengths) != 1 or not self.means[0]:
            raise UserError(
                f"the means of {self.name} have {', '.join(map(str, sorted(lengths)))} numbers; "
                "all must have as many, one or more"
            )
        flat = (number for mean in self.means for number in mean)
        numbers = [*flat, self.spread, *self.limits, self.center]
        if not all(math.isfinite(number) for number in numbers):
            raise UserError(f"a number of {self.name} is not finite: {numbers}")
        if self.limits[0] >= self.limits[1]:
            raise UserError(f"the limits of {self.name} must increase, got {self.limits}")

    def mean(self, value: int) -> Float[Tensor, " k"]:
        """The center of one of the values."""
        return torch.tensor(self.means[value], dtype=torch.get_default_dtype())

    def sample(
        self, value: int, count: int, generator: torch.Generator
    ) -> Float[Tensor, "count k"]:
        """Numbers around the mean of a value, drawn independently."""
        mean = self.mean(value)
        noise = torch.rand(count, len(mean), generator=generator) * 2 - 1
        return mean + self.spread * noise

    def at_distance(self, value: int, distance: float) -> Float[Tensor, " k"]:
        """The mean of a value, had it that distance from the center in every number.

        For color, 0.45 gives blue as (0.05, 0.05, 0.95) (paper App. B).
        """
        return self.center + distance * (self.mean(value) - self.center).sign()

    def exaggerated(self, value: int, strength: float) -> Float[Tensor, " k"]:
        """The mean of a value, ``strength`` times as far from the center.

        It is cut at the limits of the concept; a one-hot prompt has none, it may go beyond 1 and
        below 0. For colors 0.2 apart, strength 4.5 gives blue as (0.05, 0.05, 0.95).
        """
        far = self.center + strength * (self.mean(value) - self.center)
        return far if self.categorical else far.clamp(*self.limits)

    @property
    def categorical(self) -> bool:
        """Whether the values are one-hot vectors, one number for each value, as for shape."""
        one_hot = [0.0] * (len(self.means) - 1) + [1.0]
        return self.spread == 0 and all(sorted(mean) == one_hot for mean in self.means)

    @classmethod
    def one_hot(cls, name: str, labels: Sequence[str]) -> Concept:
        """A categorical concept of these values."""
        places = range(len(labels))
        return cls(name, tuple(labels), tuple(tuple(float(i == j) for j in places) for i in places))

    def number(self, label: str) -> int:
        """The number of a value.

        Raises:
            UserError: there is no such value.
        """
        if label not in self.labels:
            raise UserError(f"{self.name} has no value {label!r}; it has {', '.join(self.labels)}")
        return self.labels.index(label)

    def coordinate(
        self, values: Float[Tensor, "*batch k"], axis: tuple[int, int] = (0, 1)
    ) -> Float[Tensor, "*batch"]:
        """Where numbers lie between the means of two values: 0 at one, 1 at the other, linear."""
        zero, one = self.mean(axis[0]).to(values), self.mean(axis[1]).to(values)
        across = one - zero
        return (values - zero) @ across / across.square().sum()


@dataclass(frozen=True)
class ConceptSpace:
    """Independent concepts, and the classes of their combinations that are trained or held out.

    >>> shape = Concept("shape", ("circle", "triangle"), means=((1.0, 0.0), (0.0, 1.0)))
    >>> size = Concept("size", ("large", "small"), means=((0.65,), (0.25,)), spread=0.1)
    >>> train = tuple(map(ConceptClass, ["00", "01", "10"]))
    >>> space = ConceptSpace((shape, size), train, (ConceptClass("11"),))
    >>> space.describe("11")
    'triangle small'

    Args:
        concepts: the axes; their order is the order of the digits of a class.
        train_classes: classes that the model sees, in-distribution.
        ood_classes: classes that it never sees, out-of-distribution.

    Raises:
        UserError: two concepts have the same name but for capitals; a class has the wrong number of
            digits, a value that its concept has not, is in both lists or occurs twice.
    """

    concepts: tuple[Concept, ...]
    train_classes: tuple[ConceptClass, ...]
    ood_classes: tuple[ConceptClass, ...]

    def __post_init__(self) -> None:
        names = self.names
        if not names or len({name.casefold() for name in names}) != len(names):
            raise UserError(f"a concept space needs concepts with distinct names, got {names}")
        if not self.train_classes:
            raise UserError("a concept space needs at least one training class")
        for concept_class in self.classes:
            if len(concept_class) != len(names):
                raise UserError(
                    f"class {concept_class} has {len(concept_class)} digits, but the concept space "
                    f"has {len(names)} concepts ({', '.join(names)})"
                )
            for concept, value in zip(self.concepts, concept_class.values, strict=True):
                if value >= len(concept.labels):
                    raise UserError(
                        f"class {concept_class} has value {value} of {concept.name}, which has the "
                        f"values 0 to {len(concept.labels) - 1} ({', '.join(concept.labels)})"
                    )
        if len(set(self.classes)) != len(self.classes):
            raise UserError("a class is listed twice among the training and OOD classes")

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the axes, in the order of the digits."""
        return tuple(concept.name for concept in self.concepts)

    @property
    def sizes(self) -> tuple[int, ...]:
        """How many values each concept has."""
        return tuple(len(concept.labels) for concept in self.concepts)

    @property
    def classes(self) -> tuple[ConceptClass, ...]:
        """Training classes, then OOD classes."""
        return self.train_classes + self.ood_classes

    def describe(self, concept_class: str) -> str:
        """A class in words: ``"blue small"`` for ``"11"``."""
        values = ConceptClass(concept_class).values
        return " ".join(c.labels[v] for c, v in zip(self.concepts, values, strict=True))

    def axes(self, ood_class: str | None = None) -> dict[str, tuple[int, int]]:
        """Between which two values each concept is drawn: 0 at the first, 1 at the second.

        Of a concept with two values, 0 and 1. Of one with more, the value of a held-out class, and
        before it the value of the training class that is most similar to it, see
        :func:`conceptspace.values.axis`; without a held-out class, 0 and 1.

        Args:
            ood_class: a held-out class; by default the first of them.
        """
        held_out = ood_class or (self.ood_classes[0] if self.ood_classes else None)
        return {
            concept.name: (0, 1)
            if len(concept.labels) == 2 or held_out is None
            else axis(self.train_classes, held_out, index)
            for index, concept in enumerate(self.concepts)
        }

    def ends(self) -> tuple[tuple[str, str], ...]:
        """What each concept's axis of :meth:`axes` runs between, in words."""
        pairs = zip(self.concepts, self.axes().values(), strict=True)
        return tuple(
            (concept.labels[start], concept.labels[end]) for concept, (start, end) in pairs
        )

    def corner(self, concept_class: str) -> tuple[int | None, ...]:
        """Where a class stands on the axes: 0 or 1 for each concept, None where its value is
        neither.
        """
        pairs = zip(ConceptClass(concept_class).values, self.axes().values(), strict=True)
        return tuple(axis.index(value) if value in axis else None for value, axis in pairs)

    def between(self, **labels: tuple[str, str]) -> dict[str, tuple[int, int]]:
        """Axes by the names of values: ``between(hue=("red", "green"))`` is ``{"hue": (0, 2)}``.

        Raises:
            UserError: there is no such concept or value.
        """
        return {
            name: (self._value(name, a), self._value(name, b)) for name, (a, b) in labels.items()
        }

    def _value(self, name: str, label: str) -> int:
        if name not in self.names:
            raise UserError(f"there is no concept {name!r}; there are {', '.join(self.names)}")
        return self.concepts[self.names.index(name)].number(label)


def all_classes(sizes: int | Sequence[int]) -> tuple[ConceptClass, ...]:
    """Every combination of values, in counting order.

    Args:
        sizes: how many values each concept has; a number of concepts if all have two.
    """
    each = (2,) * sizes if isinstance(sizes, int) else sizes
    return tuple(ConceptClass.of(values) for values in product(*map(range, each)))


def paper_split(
    sizes: int | Sequence[int],
) -> tuple[tuple[ConceptClass, ...], tuple[ConceptClass, ...]]:
    """Training and OOD classes of the paper: at most one concept differs from class 0…0.

    For two concepts 00, 01, 10 are trained and 11 is held out; for three 000, 001, 010, 100 are
    trained and 011, 101, 110, 111 are held out (paper sections 3.1 and C.4).

    Args:
        sizes: see :func:`all_classes`.
    """
    classes = all_classes(sizes)
    train = tuple(c for c in classes if sum(value > 0 for value in c.values) <= 1)
    return train, tuple(c for c in classes if c not in train)


def asked_split(
    concepts: tuple[Concept, ...], train_classes: Sequence[str], ood_classes: Sequence[str]
) -> ConceptSpace:
    """The concept space of these classes; the paper's split where none are named.

    Raises:
        UserError: see :class:`ConceptSpace`.
    """
    train, ood = paper_split([len(concept.labels) for concept in concepts])
    return ConceptSpace(
        concepts,
        as_classes(train_classes) or train,
        as_classes(ood_classes) if train_classes or ood_classes else ood,
    )


def as_classes(names: Sequence[str]) -> tuple[ConceptClass, ...]:
    """Concept classes from their names."""
    return tuple(ConceptClass(name) for name in names)
