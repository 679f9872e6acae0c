"""The concept space of a run, kept in its folder: ``space.json``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from conceptspace.errors import UserError
from conceptspace.files import read_record, write_record
from conceptspace.run_folder import RunFolder
from conceptspace.settings.tree import tuples
from conceptspace.space import Concept, ConceptSpace, as_classes


def write_space(folder: Path, space: ConceptSpace) -> None:
    """Keep a concept space in a run folder, in place of one that is damaged or another."""
    try:
        if read_space(folder) == space:
            return
    except UserError:
        pass  # whatever was there is replaced
    write_record(RunFolder(folder).space, record_of(space))


def record_of(space: ConceptSpace) -> dict[str, Any]:
    """A concept space as it is stored in JSON."""
    return {
        "concepts": [asdict(concept) for concept in space.concepts],
        "train_classes": list(space.train_classes),
        "ood_classes": list(space.ood_classes),
    }


def space_of(record: Mapping[str, Any]) -> ConceptSpace:
    """The concept space that :func:`record_of` turned into a record.

    Raises:
        UserError, ValueError, KeyError, TypeError, AttributeError: it is no concept space.
    """
    return ConceptSpace(
        tuple(_concept(values) for values in record["concepts"]),
        as_classes(record["train_classes"]),
        as_classes(record["ood_classes"]),
    )


def read_space(folder: Path) -> ConceptSpace | None:
    """The concept space of a run folder; None if it keeps none.

    Raises:
        UserError: the file is damaged.
    """
    path = RunFolder(folder).space
    if not path.exists():
        return None
    try:
        return space_of(read_record(path))
    except (UserError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path} is damaged ({error}); put it back as it was") from None


def _concept(values: dict[str, Any]) -> Concept:
    return Concept(**tuples(values))
