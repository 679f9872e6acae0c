"""Disks that fail: twins of :class:`conceptspace.files.Disk` that count its operations.

Each takes a number ``n``, counts operations from 0, and does something at the n-th.
"""

from __future__ import annotations

import errno
import random
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

from conceptspace.files import Disk


class Crash(BaseException):
    """The process is dead: nothing may be written after it."""


class Counting(Disk):
    """Works, and counts what it does; the others fail at the n-th operation."""

    def __init__(self, n: int = -1) -> None:
        self.n = n
        self.done = 0
        self.lock = threading.RLock()

    def make_folder(self, path: Path) -> None:
        self._next("make_folder", super().make_folder, path)

    def write(self, path: Path, content: bytes) -> None:
        self._next("write", super().write, path, content)

    def sync(self, path: Path) -> None:
        self._next("sync", super().sync, path)

    def rename(self, old: Path, new: Path) -> None:
        self._next("rename", super().rename, old, new)

    def remove(self, path: Path) -> None:
        self._next("remove", super().remove, path)

    def _next(self, name: str, operation: Callable[..., None], *arguments: object) -> None:
        with self.lock:
            number, self.done = self.done, self.done + 1
            self.perform(number, name, operation, *arguments)

    def perform(
        self, number: int, name: str, operation: Callable[..., None], *arguments: object
    ) -> None:
        operation(*arguments)


class Broken(Counting):
    """One operation gives an input/output error."""

    def perform(self, number, name, operation, *arguments):
        if number == self.n:
            raise OSError(errno.EIO, "Input/output error")
        operation(*arguments)


class Full(Counting):
    """From one operation on nothing can be added; of a file that is written half fits."""

    def perform(self, number, name, operation, *arguments):
        if number >= self.n and name in ("make_folder", "write"):
            if name == "write":
                operation(arguments[0], arguments[1][: len(arguments[1]) // 2])
            raise OSError(errno.ENOSPC, "No space left on device")
        operation(*arguments)


class Killed(Counting):
    """The process dies at one operation; in the middle of it, if that writes a file."""

    def perform(self, number, name, operation, *arguments):
        if number >= self.n:
            if number == self.n and name == "write":
                operation(arguments[0], arguments[1][: len(arguments[1]) // 2])
            raise Crash
        operation(*arguments)


class PowerLoss(Counting):
    """The machine loses its power at one operation.

    Of what was not flushed, the file system keeps what it likes, in any order: each entry of a
    folder (a new, renamed or removed file) since that folder was last flushed may be undone, and
    of a file that was not flushed itself only the first half may be there.
    """

    def __init__(self, n: int, seed: int = 0) -> None:
        super().__init__(n)
        self.random = random.Random(f"{n} {seed}")
        self.unflushed: dict[Path, list[Callable[[], None]]] = {}
        self.dirty: set[Path] = set()

    def perform(self, number, name, operation, *arguments):
        if number >= self.n:
            if number == self.n:
                self._lose()
            raise Crash
        undo = getattr(self, f"_{name}")(*arguments)
        operation(*arguments)
        if undo is not None:
            self.unflushed.setdefault(arguments[-1 if name == "rename" else 0].parent, []).append(
                undo
            )

    def _lose(self) -> None:
        for path in sorted(self.dirty):
            if path.exists() and self.random.random() < 0.5:
                content = path.read_bytes()
                path.write_bytes(content[: len(content) // 2])
        for undos in self.unflushed.values():
            for undo in reversed(undos):
                if self.random.random() < 0.5:
                    undo()

    def _make_folder(self, path: Path) -> Callable[[], None] | None:
        return None if path.exists() else lambda: shutil.rmtree(path, ignore_errors=True)

    def _write(self, path: Path, content: bytes) -> Callable[[], None]:
        self.dirty.add(path)
        return lambda: path.unlink(missing_ok=True)

    def _sync(self, path: Path) -> None:
        self.dirty.discard(path)
        self.unflushed.pop(path, None)

    def _rename(self, old: Path, new: Path) -> Callable[[], None]:
        before, moved = (new.read_bytes() if new.exists() else None), old.read_bytes()
        if old in self.dirty:
            self.dirty.discard(old)
            self.dirty.add(new)

        def undo() -> None:
            if not new.parent.is_dir():
                return
            old.write_bytes(moved)
            new.unlink(missing_ok=True)
            if before is not None:
                new.write_bytes(before)

        return undo

    def _remove(self, path: Path) -> Callable[[], None] | None:
        if not path.exists():
            return None
        content = path.read_bytes()

        def undo() -> None:
            if path.parent.is_dir():
                path.write_bytes(content)

        return undo


FAULTS = {"broken": Broken, "full": Full, "killed": Killed, "power loss": PowerLoss}
"""By name."""
