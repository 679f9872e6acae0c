"""One process at a time works on a run, and sweeps up what killed ones left."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from conceptspace.errors import UserError
from conceptspace.files import leftovers, remove_if_possible
from conceptspace.run_folder import LOCK, WRITTEN


class Busy(UserError):
    """Another process is working on the run."""


@contextmanager
def alone(folder: Path, patience: float = 0) -> Iterator[None]:
    """Keep other processes from working on a run, or on a collection.

    Args:
        folder: of the run or the collection.
        patience: seconds to wait for another process.

    Raises:
        Busy: one is still working on it.
        OSError: the folder cannot be written.
    """
    lock = FileLock(folder / LOCK, thread_local=False)
    try:
        lock.acquire(timeout=patience)
    except Timeout:
        raise Busy(
            f"another process is working on {folder}; wait until it has ended, or choose another "
            "folder"
        ) from None
    try:
        yield
    finally:
        lock.release()


def worked_on(folder: Path) -> bool:
    """Whether a process is working on a run, as far as one can tell."""
    try:
        refuse_busy(folder)
    except Busy:
        return True
    return False


def refuse_busy(folder: Path) -> None:
    """Refuse a run that a process is working on, as far as one can tell.

    Raises:
        Busy: one is.
    """
    with suppress(OSError):
        if (folder / LOCK).exists():
            with alone(folder):
                pass


def sweep_leftovers(folder: Path) -> None:
    """Remove the temporary files of processes that were killed; the run is locked.

    A page may be written without the lock, so those of pages stay.
    """
    for written in WRITTEN:
        for place in folder.glob(written) if written else [folder]:
            for leftover in leftovers(place):
                if not leftover.name.startswith(".report"):
                    remove_if_possible(leftover)
