"""Kill the worker of a run, whichever engine it belongs to."""

from __future__ import annotations

import os
import signal
from pathlib import Path

WORKERS = (b"ray::", b"conceptspace.sweeps.worker")
"""In the command lines of this package's workers."""


def holder(folder: Path) -> int:
    """The worker that holds the lock of a run, or of one below a folder; 0 where none does."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if not any(mark in (process / "cmdline").read_bytes() for mark in WORKERS):
                continue
            for descriptor in (process / "fd").iterdir():
                held = Path(os.readlink(descriptor))
                if held.name == ".lock" and held.is_relative_to(folder):
                    return int(process.name)
        except OSError:
            continue
    return 0


def kill(folder: Path) -> bool:
    """Kill a worker at once; whether there was one."""
    found = holder(folder)
    if found:
        os.kill(found, signal.SIGKILL)
    return bool(found)
