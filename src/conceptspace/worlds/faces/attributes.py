"""The file of CelebA's attributes: which of 40 properties each image has."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from conceptspace.errors import UserError
from conceptspace.hints import meant
from conceptspace.space import Concept, ConceptClass, ConceptSpace, asked_split

NEGATION = "Not_"


@dataclass(frozen=True)
class Attributes:
    """The content of ``list_attr_celeba.txt`` or ``.csv``.

    Attributes:
        path: the file.
        names: of the attributes, A of them.
        files: names of the images, N of them.
        values: whether each image has each attribute, shape (N, A).
    """

    path: Path
    names: tuple[str, ...]
    files: tuple[str, ...]
    values: NDArray[np.bool_]

    def bits(self, concepts: Sequence[str]) -> NDArray[np.bool_]:
        """Bit of each image for each concept, ``"Smiling"`` or ``"Not_Male"``; shape (N, d).

        Raises:
            UserError: there is no such attribute, or one is asked for twice.
        """
        asked = [plain(name) for name in concepts]
        for name in asked:
            if name not in self.names:
                hint = meant(name, self.names) or f"; it has {', '.join(self.names)}"
                raise UserError(f"{self.path} has no attribute {name!r}{hint}")
        if len(set(asked)) != len(asked):
            raise UserError(f"data.attributes = {list(concepts)} names an attribute twice")
        chosen = self.values[:, [self.names.index(name) for name in asked]]
        return chosen ^ np.array([name.startswith(NEGATION) for name in concepts])

    def files_of(self, concepts: Sequence[str], concept_class: str) -> list[str]:
        """The images of one class, in the order of the file."""
        wanted = np.array(ConceptClass(concept_class).values, dtype=np.bool_)
        rows = np.flatnonzero((self.bits(concepts) == wanted).all(axis=1))
        return [self.files[row] for row in rows]


def plain(concept: str) -> str:
    """The attribute that decides a concept: Male of ``"Not_Male"``."""
    return concept.removeprefix(NEGATION)


def attribute_concept(name: str) -> Concept:
    """A concept that an attribute decides: one-hot, (1, 0) without it and (0, 1) with it.

    ``"Not_Male"`` has the labels Male and Not Male, for bit 0 and bit 1.
    """
    words = plain(name).replace("_", " ")
    labels = (f"Not {words}", words)
    if name.startswith(NEGATION):
        labels = (words, f"Not {words}")
    return Concept.one_hot(name, labels)


def attribute_space(
    names: Sequence[str], train_classes: Sequence[str], ood_classes: Sequence[str]
) -> ConceptSpace:
    """The concept space of attributes.

    Args:
        names: see :func:`attribute_concept`.
        train_classes: empty for the paper's split.
        ood_classes: empty for the paper's split.

    Raises:
        UserError: classes overlap or have the wrong number of digits.
    """
    return asked_split(tuple(map(attribute_concept, names)), train_classes, ood_classes)


def read_attributes(path: Path) -> Attributes:
    """Read the list as it is given out, or as a table of comma-separated values.

    As given out: the number of images, the names, then one line of 1 and -1 per image. As a table:
    a line of names, of which the first is that of the files' column, then a line per image. A byte
    order mark and every kind of line end are fine.

    Raises:
        UserError: the file is not there or not of one of these forms.
    """
    try:
        lines = path.read_bytes().decode("utf-8-sig").splitlines()
    except OSError as error:
        raise UserError(f"cannot read the attributes {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UserError(f"{path} is not a text file in UTF-8") from None
    counted = len(lines) > 2 and lines[0].strip().isdecimal()
    separator = None if counted else max(",;", key=lines[0].count) if lines else ","
    if not counted and (len(lines) < 2 or str(separator) not in lines[0]):
        raise UserError(
            f"{path} does not begin as list_attr_celeba.txt does: line 1 gives the number of "
            "images, line 2 the names of the attributes, then each image has a line; or as "
            "list_attr_celeba.csv: line 1 has the names, with commas between them"
        )
    named = 1 if counted else 0
    names = tuple(_parts(lines[named], separator))[1 - named :]
    numbered = [(number, line) for number, line in enumerate(lines, start=1) if line.strip()]
    rows = {number: _parts(line, separator) for number, line in numbered if number > named + 1}
    if counted and len(rows) != int(lines[0]):
        raise UserError(f"{path} announces {lines[0].strip()} images and lists {len(rows)}")
    if repeated := _repeated(names):
        raise UserError(f"{path} names the attribute {repeated} twice in line {named + 1}")
    for number, row in rows.items():
        if len(row) != len(names) + 1 or set(row[1:]) - {"1", "-1"}:
            raise UserError(
                f"{path}, line {number}: a file name and {len(names)} values 1 or -1 belong "
                f"there, one for each name in line {named + 1}"
            )
    files = tuple(row[0] for row in rows.values())
    if repeated := _repeated(files):
        raise UserError(f"{path} lists {repeated} twice")
    values = np.array([[value == "1" for value in row[1:]] for row in rows.values()], np.bool_)
    return Attributes(path, names, files, values.reshape(len(files), len(names)))


def _parts(line: str, separator: str | None) -> list[str]:
    """What stands in a line, between separators or white space."""
    if separator is None:
        return line.split()
    return [
        part.strip()
        for part in next(csv.reader([line], delimiter=separator, skipinitialspace=True))
    ]


def _repeated(names: Sequence[str]) -> str | None:
    """The first name that is there twice."""
    counts = Counter(names)
    return next((name for name in names if counts[name] > 1), None)
