"""Which code, and on which processor."""

from __future__ import annotations

import platform
import subprocess
from pathlib import Path

from conceptspace import __version__


def commit() -> str:
    """``git describe`` of the working copy that this code is in, else the package's version."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        answer = subprocess.run(
            command, cwd=Path(__file__).parent, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return f"conceptspace {__version__}"
    return answer.stdout.strip()


def processor() -> str:
    """The model name of the CPU."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
