"""The concept space of a run, whatever world its images come from."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from typing import Protocol, runtime_checkable

from pyarrow import ArrowException, parquet

from conceptspace.config import RunConfig
from conceptspace.errors import UserError
from conceptspace.experiment.parts import world
from conceptspace.presentation.explorer.guarded import bound_of, require_plain
from conceptspace.recording.space import read_space
from conceptspace.space import ConceptSpace
from conceptspace.store import Run
from conceptspace.tables import JOINT


@runtime_checkable
class HasSpace(Protocol):
    """What the page needs of a world: its concept space; a rendered world can do more."""

    @property
    def space(self) -> ConceptSpace:
        """The concepts, and which classes train."""
        ...


@dataclass(frozen=True)
class RecordedWorld:
    """A world of the user's own, of which no more is known than its run keeps.

    Attributes:
        space: as ``space.json`` has it.
    """

    space: ConceptSpace


def world_of(run: Run) -> HasSpace:
    """The world of a run's config, or the space that the run keeps if that is another.

    Raises:
        UserError: config or space cannot be read, or there is none for the concepts of the run.
    """
    kept = _kept(run)
    if not isinstance(run.description, RunConfig):
        if kept is None:
            raise UserError(f"{run.path} was recorded, and its space.json is missing")
        return RecordedWorld(kept)
    data = run.description.data
    if kept is not None and not data.pages_render:
        return RecordedWorld(kept)  # nothing is rendered, so neither data nor code need be there
    built = world(data)
    if kept is not None:
        return built if kept == built.space else RecordedWorld(kept)
    if _concepts(run) <= {*built.space.names, JOINT}:
        return built
    raise UserError(
        f"{run.folder.trajectory} names concepts that its config does not have, and there is no "
        f"{run.folder.space.name} that tells what they are; "
        "conceptspace.recording.space.write_space writes one"
    )


def _kept(run: Run) -> ConceptSpace | None:
    require_plain(run.folder.space, bound_of(run))
    return read_space(run.path)


def _concepts(run: Run) -> set[str]:
    """The concepts that a run's trajectory names; none where it cannot be read."""
    path = run.folder.trajectory
    try:
        require_plain(path, bound_of(run))
        column = parquet.read_table(BytesIO(path.read_bytes()), columns=["concept"])["concept"]
    except (UserError, OSError, ValueError, KeyError, ArrowException):
        return set()
    return {str(name) for name in column.unique().to_pylist()}
