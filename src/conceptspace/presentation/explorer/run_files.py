"""Files of a run that a page may hand out: none that lies elsewhere."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from urllib.parse import quote

from conceptspace.errors import UserError
from conceptspace.files import legible
from conceptspace.presentation.explorer.liveness import listed
from conceptspace.store import Run

Tree = dict[str, Any]


class NotThere(UserError):
    """Nothing of that name is shown."""


def figure_links(run: Run, token: str) -> list[Tree]:
    """The figures that lie in the run's folder: ``{"name": ..., "src": address}``."""
    names = [legible(path.name) for path in saved_figures(run)]
    return [{"name": name[:-4], "src": f"api/figures/{token}/{quote(name)}"} for name in names]


def saved_figures(run: Run) -> list[Path]:
    """The PNGs in the folder of figures."""
    return listed(run.folder.figures, "*.png")


def inside(run: Run, path: Path) -> Path:
    """The path, if it leads to a file in the run's folder.

    Raises:
        NotThere: it does not.
    """
    resolved = Path(os.path.realpath(path))
    if not resolved.is_relative_to(run.path.resolve()) or not resolved.is_file():
        raise NotThere(f"{path.name} does not lie in the run's folder")
    return resolved
