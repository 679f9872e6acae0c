"""Where compiled kernels are kept: whatever lies there is run, so it must be this user's own."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock

from conceptspace.files import make_folders, sha256, write_atomically


class Unsafe(Exception):
    """Somebody else can write where the kernels would be kept."""


def compiled_library(root: Path, name: str, make: Callable[[Path], Path]) -> Path:
    """The path of a compiled library, made if it is not there or not what was made.

    Args:
        root: of the cache; users that share it have a folder each.
        name: says what it was made of.
        make: compiles in an empty folder, and returns the library's path in it.

    Raises:
        Unsafe: the folder is a link, or belongs to another user.
        OSError: it cannot be read or written.
    """
    folder = root / f"user-{os.getuid()}"
    _private(folder)
    path = folder / f"{name}.so"
    if _is_whole(path):
        return path
    with FileLock(path.with_suffix(".lock")):  # of several processes that begin, one compiles
        if not _is_whole(path):
            with tempfile.TemporaryDirectory(dir=folder) as place:
                content = make(Path(place)).read_bytes()
            write_atomically(path, content)
            write_atomically(_hash_of(path), sha256(content).encode())
    return path


def _private(folder: Path) -> None:
    """Make a folder that only this user can look into."""
    make_folders(folder.parent)
    folder.mkdir(mode=0o700, exist_ok=True)
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode):
        raise Unsafe(f"{folder} is not a folder but a link or a file")
    if status.st_uid != os.getuid():
        raise Unsafe(f"{folder} belongs to another user")
    if stat.S_IMODE(status.st_mode) != 0o700:
        raise Unsafe(f"{folder} is open to other users; delete it")


def _is_whole(path: Path) -> bool:
    """Whether a library is a file with the content that was written."""
    try:
        if path.is_symlink() or _hash_of(path).is_symlink():
            return False
        return sha256(path.read_bytes()) == _hash_of(path).read_text()
    except (OSError, UnicodeDecodeError):
        return False


def _hash_of(path: Path) -> Path:
    return path.with_suffix(".sha256")
