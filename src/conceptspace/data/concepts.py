"""Concepts, concept classes and concept spaces (paper section 3, Definitions 1 and 2)."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import torch
from jaxtyping import Float
from torch import Tensor

from conceptspace.errors import UserError
from conceptspace.tables import JOINT

NAME = re.compile(r"\w(?:[\w .+-]{0,62}\w)?")
"""What a concept can be called: it is part of the names of protocols, of folders and of files."""


class ConceptClass(str):
    """A combination of concept values, written as one bit per concept: ``ConceptClass("01")``.

    It is a string, so it serves as a dictionary key, a table entry and a file name. Raises
    ``UserError`` if a character is neither 0 nor 1.
    """

    __slots__ = ()

    def __new__(cls, bits: str) -> ConceptClass:
        if not bits or set(bits) - {"0", "1"}:
            raise UserError(f"a concept class is a string of 0s and 1s such as '01', not {bits!r}")
        return super().__new__(cls, bits)

    @property
    def bits(self) -> tuple[int, ...]:
        """The value of each concept, 0 or 1."""
        return tuple(int(bit) for bit in self)

    def flip(self, index: int) -> ConceptClass:
        """The class that differs in concept ``index`` alone."""
        return ConceptClass(f"{self[:index]}{1 - int(self[index])}{self[index + 1 :]}")

    def distance(self, other: str) -> int:
        """In how many concepts the two classes differ."""
        return sum(a != b for a, b in zip(self, other, strict=True))


@dataclass(frozen=True)
class Concept:
    """One axis of a concept space: a variable that is uniform around one of two means.

    A value of bit ``b`` is drawn from U(means[b] - spread, means[b] + spread), each number on its
    own (paper App. B). A categorical concept such as shape has spread 0 and one-hot means.

    Args:
        name: what the axis is called; the data-generating process knows the concept by it. Letters,
            digits, and between them spaces and ``_ . + -``, so that it can be part of a folder's
            name; ``joint`` is the tables' own.
        labels: what bit 0 and bit 1 look like, e.g. ``("red", "blue")``.
        means: the values of bit 0 and of bit 1, k numbers each.
        spread: half the width of the uniform distribution.
        limits: smallest and largest value allowed.
        center: the value around which both means lie; a stronger separation moves both away from
            it.

    Raises:
        UserError: the name is no such name; there are not two labels, or two means of the same
            length; a number is not finite; the two classes overlap, or one of them leaves the
            limits.
    """

    name: str
    labels: tuple[str, str]
    means: tuple[tuple[float, ...], tuple[float, ...]]
    spread: float = 0.0
    limits: tuple[float, float] = (0.0, 1.0)
    center: float = 0.5

    def __post_init__(self) -> None:
        self._check_form()
        low, high = self.limits
        distance = max(abs(a - b) for a, b in zip(*self.means, strict=True))
        if self.spread < 0:
            raise UserError(f"the spread of {self.name} is {self.spread:g}; it cannot be negative")
        if not distance > 2 * self.spread + 1e-9:
            raise UserError(
                f"the two classes of {self.name} overlap: their means are {distance:g} apart and "
                f"each spreads by {self.spread:g}; the distance must exceed {2 * self.spread:g}"
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
        for what, values in (("labels", self.labels), ("means", self.means)):
            if len(values) != 2:
                raise UserError(
                    f"a concept has two values, and {self.name} has {len(values)} {what}; a "
                    "variable of more values is not supported"
                )
        if not self.means[0] or len(self.means[0]) != len(self.means[1]):
            raise UserError(
                f"the two means of {self.name} have {len(self.means[0])} and {len(self.means[1])} "
                "numbers; both must have the same, one or more"
            )
        numbers = [*self.means[0], *self.means[1], self.spread, *self.limits, self.center]
        if not all(math.isfinite(number) for number in numbers):
            raise UserError(f"a number of {self.name} is not finite: {numbers}")
        if self.limits[0] >= self.limits[1]:
            raise UserError(f"the limits of {self.name} must increase, got {self.limits}")

    def mean(self, bit: int) -> Float[Tensor, " k"]:
        """The centre of one of the two values."""
        return torch.tensor(self.means[bit], dtype=torch.get_default_dtype())

    def sample(self, bit: int, count: int, generator: torch.Generator) -> Float[Tensor, "count k"]:
        """Values of one bit, drawn independently."""
        mean = self.mean(bit)
        noise = torch.rand(count, len(mean), generator=generator) * 2 - 1
        return mean + self.spread * noise

    def at_distance(self, bit: int, distance: float) -> Float[Tensor, " k"]:
        """The mean of a bit, had it that distance from the center in every number.

        For color, 0.45 gives blue as (0.05, 0.05, 0.95) (paper App. B).
        """
        return self.center + distance * (self.mean(bit) - self.center).sign()

    def exaggerated(self, bit: int, strength: float) -> Float[Tensor, " k"]:
        """The mean of a bit, ``strength`` times as far from the center.

        It is cut at the limits of the concept; a one-hot prompt has none, it may go beyond 1 and
        below 0. For colors 0.2 apart, strength 4.5 gives blue as (0.05, 0.05, 0.95).
        """
        value = self.center + strength * (self.mean(bit) - self.center)
        return value if self.categorical else value.clamp(*self.limits)

    @property
    def categorical(self) -> bool:
        """Whether the values are one-hot vectors, as for shape and for attributes."""
        return self.spread == 0 and all(sorted(m) == [0.0, 1.0] for m in self.means)

    def coordinate(self, values: Float[Tensor, "*batch k"]) -> Float[Tensor, "*batch"]:
        """Where values lie between the two means: 0 at bit 0, 1 at bit 1, linear in between."""
        zero, one = self.mean(0).to(values), self.mean(1).to(values)
        axis = one - zero
        return (values - zero) @ axis / axis.square().sum()


@dataclass(frozen=True)
class ConceptSpace:
    """Independent concepts, and the classes of their combinations that are trained or held out.

    Args:
        concepts: the axes; their order is the order of the bits of a class.
        train_classes: classes that the model sees, in-distribution.
        ood_classes: classes that it never sees, out-of-distribution.

    Raises:
        UserError: two concepts have the same name but for capitals; a class has the wrong number of
            bits, is in both lists or occurs twice.
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
                    f"class {concept_class} has {len(concept_class)} bits, but the concept space "
                    f"has {len(names)} concepts ({', '.join(names)})"
                )
        if len(set(self.classes)) != len(self.classes):
            raise UserError("a class is listed twice among the training and OOD classes")

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the axes, in the order of the bits."""
        return tuple(concept.name for concept in self.concepts)

    @property
    def classes(self) -> tuple[ConceptClass, ...]:
        """Training classes, then OOD classes."""
        return self.train_classes + self.ood_classes

    def describe(self, concept_class: str) -> str:
        """A class in words: ``"blue small"`` for ``"11"``."""
        bits = ConceptClass(concept_class).bits
        return " ".join(c.labels[bit] for c, bit in zip(self.concepts, bits, strict=True))


def all_classes(dimensions: int) -> tuple[ConceptClass, ...]:
    """Every combination of bits, in counting order."""
    return tuple(ConceptClass("".join(bits)) for bits in product("01", repeat=dimensions))


def paper_split(dimensions: int) -> tuple[tuple[ConceptClass, ...], tuple[ConceptClass, ...]]:
    """Training and OOD classes of the paper: at most one concept differs from class 0…0.

    For two concepts 00, 01, 10 are trained and 11 is held out; for three 000, 001, 010, 100 are
    trained and 011, 101, 110, 111 are held out (paper sections 3.1 and C.4).
    """
    classes = all_classes(dimensions)
    train = tuple(c for c in classes if sum(c.bits) <= 1)
    return train, tuple(c for c in classes if c not in train)


def as_classes(names: Sequence[str]) -> tuple[ConceptClass, ...]:
    """Concept classes from their names."""
    return tuple(ConceptClass(name) for name in names)
