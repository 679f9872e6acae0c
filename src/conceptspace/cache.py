"""Where things that several runs share are kept."""

from __future__ import annotations

import os
from pathlib import Path

from platformdirs import user_cache_path

VARIABLE = "CONCEPTSPACE_CACHE"
"""Environment variable that moves the cache."""


def probe_cache() -> Path:
    """The folder of trained probes."""
    return _root() / "probes"


def image_cache() -> Path:
    """The folder of scaled images."""
    return _root() / "images"


def native_cache() -> Path:
    """The folder of compiled kernels."""
    return _root() / "native"


def _root() -> Path:
    root = os.environ.get(VARIABLE)
    return Path(root) if root else user_cache_path("conceptspace")
