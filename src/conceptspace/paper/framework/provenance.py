"""Where a result comes from: commit, command, hardware, versions, time, hashes."""

from __future__ import annotations

import platform
import sys
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

from conceptspace.files import sha256
from conceptspace.paper.framework.results import Result
from conceptspace.sweeps.origin import commit, processor

PACKAGES = ("conceptspace", "torch", "numpy", "scipy", "pandas", "matplotlib")


def provenance(results: Sequence[Result]) -> dict[str, Any]:
    """Of a figure: this drawing, and every run behind it."""
    runs = {result.plan.name: _run(result) for result in results}
    return {
        "drawn": {
            "commit": commit(),
            "command": " ".join(["conceptspace", *sys.argv[1:]]),
            "processor": processor(),
            "python": platform.python_version(),
            "versions": {name: version(name) for name in PACKAGES},
        },
        "wall_seconds": round(sum(run["seconds"] for run in runs.values()), 1),
        "runs": runs,
    }


def trajectory_hash(result: Result) -> str:
    """SHA-256 of a run's trajectory table."""
    return sha256(result.run.folder.trajectory.read_bytes())


def _run(result: Result) -> dict[str, Any]:
    information = result.run.information()
    wanted = ("commits", "processor", "device", "threads", "started", "python", "versions")
    return {
        "trajectory_sha256": trajectory_hash(result),
        "config_sha256": result.config.digest(),
        "seconds": information.get("seconds", 0.0),
        **{key: information[key] for key in wanted if key in information},
    }
