"""How tests ask the command, and what they compare."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from tiny import tiny_config

PROGRAM = [sys.executable, "-m", "conceptspace"]


def environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1"}


def contents(folder: Path) -> dict[str, bytes]:
    found = {p for p in folder.rglob("*") if p.is_file()}
    return {str(p.relative_to(folder)): p.read_bytes() for p in found}


def tiny_file(folder: Path, **changes) -> Path:
    path = folder / "tiny.toml"
    path.write_text(tiny_config(**changes).to_toml())
    return path
