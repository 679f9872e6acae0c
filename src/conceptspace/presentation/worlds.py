"""The concept space of a run, whatever world its images come from: what ``space.json`` tells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from itertools import permutations
from typing import Protocol, runtime_checkable

import numpy as np
import pandas as pd
from pyarrow import ArrowException, parquet

from conceptspace.analysis.reading import checked
from conceptspace.analysis.trajectories import concepts_of
from conceptspace.build import world
from conceptspace.config import RunConfig
from conceptspace.data.concepts import Concept, ConceptSpace, as_classes, paper_split
from conceptspace.errors import UserError
from conceptspace.presentation.explorer.guarded import bound_of, require_plain
from conceptspace.recording.space import FILE as SPACE
from conceptspace.recording.space import read_space
from conceptspace.store import Run
from conceptspace.tables import JOINT


@runtime_checkable
class Spaced(Protocol):
    """A world as far as its runs are drawn: a concept space, and for shapes what renders them."""

    @property
    def space(self) -> ConceptSpace:
        """The concepts, and which classes train."""
        ...


@dataclass(frozen=True)
class Recorded:
    """A world of one's own, of which no more is known than its run keeps.

    Attributes:
        space: as ``space.json`` tells it; without that file the concepts of the trajectory with
            labels such as "scale 0", and the classes of the config, or the paper's split.
    """

    space: ConceptSpace


def world_of(run: Run) -> Spaced:
    """The world of a run's config, or the space that the run keeps if that is another.

    Of a run that keeps none the trajectory tells the concepts.

    Raises:
        UserError: config or space cannot be read, or there is none.
    """
    kept = _kept(run)
    if not isinstance(run.description, RunConfig):
        if kept is None:
            raise UserError(f"{run.path} was recorded, and its space.json is missing")
        return Recorded(kept)
    if kept is not None and run.config.data.kind != "shapes":
        return Recorded(kept)  # nothing is rendered, so the data need not be there
    built = world(run.config.data)
    if kept is not None:
        return built if kept == built.space else Recorded(kept)
    if _concepts(run) <= {*built.space.names, JOINT}:
        return built
    table = checked(run.trajectory())
    classes = as_classes(sorted(table["concept_class"].unique()))
    data = run.config.data
    train, ood = paper_split(len(classes[0]))
    trained = as_classes(data.train_classes) or train
    held_out = as_classes(data.ood_classes) if data.train_classes or data.ood_classes else ood
    concepts = tuple(
        Concept(name, (f"{name} 0", f"{name} 1"), ((0.0,), (1.0,))) for name in by_bit(table)
    )
    return Recorded(ConceptSpace(concepts, trained, held_out))


def _kept(run: Run) -> ConceptSpace | None:
    require_plain(run.path / SPACE, bound_of(run))
    return read_space(run.path)


def by_bit(table: pd.DataFrame) -> tuple[str, ...]:
    """The concepts of a trajectory in the order of the bits of a class.

    The accuracy of a concept is its coordinate where the class has bit 1, and one minus it where
    that is 0: the order under which most of the table agrees.

    Raises:
        UserError: there are not as many concepts as bits.
    """
    rows = table[table["concept"] != JOINT]
    names = concepts_of(table)
    bits = np.array([[int(bit) for bit in name] for name in rows["concept_class"]])
    if bits.shape[1] != len(names):
        raise UserError(
            f"the trajectory has the concepts {', '.join(names)} and classes of {bits.shape[1]} "
            "bits; a class has one bit for each concept"
        )
    same = ((rows["coordinate"] - 0.5) * (rows["accuracy"] - 0.5)).to_numpy()[:, None]
    of = rows["concept"].to_numpy()
    agreement = {name: (same * (2 * bits - 1))[of == name].sum(0) for name in names}

    def agreed(order: Sequence[str]) -> float:
        return sum(float(agreement[name][bit]) for bit, name in enumerate(order))

    return max(permutations(names), key=agreed)


def _concepts(run: Run) -> set[str]:
    """The concepts that a run's trajectory names; none where it cannot be read."""
    path = run.path / "trajectory.parquet"
    try:
        require_plain(path, bound_of(run))
        column = parquet.read_table(BytesIO(path.read_bytes()), columns=["concept"])["concept"]
    except (UserError, OSError, ValueError, KeyError, ArrowException):
        return set()
    return {str(name) for name in column.unique().to_pylist()}
