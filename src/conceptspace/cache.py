"""Folders of files that several runs share."""

from __future__ import annotations

import os
from pathlib import Path

from platformdirs import user_cache_path

from conceptspace.errors import UserError

VARIABLE = "CONCEPTSPACE_CACHE"
"""Environment variable that moves the cache."""


def probe_cache() -> Path:
    """The folder of trained probes.

    Raises:
        UserError: it cannot be made or written.
    """
    return usable(_root()) / "probes"


def image_cache() -> Path:
    """The folder of scaled images; see :func:`usable` before it is written.

    Raises:
        UserError: the environment variable is empty.
    """
    return _root() / "images"


def native_cache() -> Path:
    """The folder of compiled kernels.

    Raises:
        UserError: it cannot be made or written.
    """
    return usable(_root()) / "native"


def sweep_cache() -> Path:
    """The local folder for sweeps in a storage.

    Raises:
        UserError: it cannot be made or written.
    """
    return usable(_root()) / "sweeps"


def usable(folder: Path) -> Path:
    """The folder, if it can be written, or made; nothing is made yet.

    Raises:
        UserError: a file is in the way, or it cannot be written.
    """
    try:
        there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
        reason = f"{there} is a file" if not there.is_dir() else f"{there} cannot be written"
        right = there.is_dir() and os.access(there, os.W_OK | os.X_OK)
    except OSError as error:
        right, reason = False, error.strerror or str(error)
    if not right:
        raise UserError(
            f"the cache {folder} cannot be used: {reason}; let {VARIABLE} name a folder that can"
        )
    return folder


def _root() -> Path:
    root = os.environ.get(VARIABLE)
    if root is None:
        return user_cache_path("conceptspace")
    if not root.strip():
        raise UserError(f"{VARIABLE} is empty; let it name a folder, or unset it")
    return Path(root)
