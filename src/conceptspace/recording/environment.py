"""What a result depends on beside its config, for ``run.json``."""

from __future__ import annotations

import platform
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import torch

from conceptspace.judges.function import AnyJudge, described
from conceptspace.judges.probe import TrainedProbe
from conceptspace.judges.zero_shot import ZeroShot


def environment(**more: Any) -> dict[str, Any]:
    """Time, threads, versions, and what is told besides."""
    packages = ("conceptspace", "torch", "numpy", "pandas")
    return {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "versions": {package: version(package) for package in packages},
        **more,
    }


def told_of(judge: AnyJudge) -> dict[str, Any]:
    """How images are judged: the judge's name, and what tells it from others of that name."""
    found: dict[str, Any] = {"judge": described(judge)}
    if isinstance(judge, ZeroShot):
        found["texts"] = judge.texts
    if isinstance(judge, TrainedProbe):
        found["probe"] = {"hash": judge.hash, **judge.report}
    return found
