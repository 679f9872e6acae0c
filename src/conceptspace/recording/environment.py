"""What a result depends on besides its config, for ``run.json``."""

from __future__ import annotations

import platform
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import torch


def environment(**more: Any) -> dict[str, Any]:
    """Time, threads and versions, and ``more`` besides."""
    packages = ("conceptspace", "torch", "numpy", "pandas")
    return {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "versions": {package: version(package) for package in packages},
        **more,
    }
