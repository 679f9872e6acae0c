"""All figures, in the order of the paper; those that are not in it come last."""

from __future__ import annotations

import pkgutil
import re
from collections.abc import Sequence
from difflib import get_close_matches
from importlib import import_module

from conceptspace import paper
from conceptspace.errors import UserError
from conceptspace.paper.framework.figure import PaperFigure


def found() -> dict[str, PaperFigure]:
    """The figure of every folder of :mod:`conceptspace.paper` that has one, in their order."""
    figures = [
        import_module(f"{paper.__name__}.{folder.name}.figure").FIGURE
        for folder in pkgutil.iter_modules(paper.__path__)
        if folder.ispkg and folder.name != "framework"
    ]
    ordered = sorted(figures, key=lambda figure: (not figure.name.startswith("fig"), figure.name))
    return {figure.name: figure for figure in ordered}


FIGURES: dict[str, PaperFigure] = found()
"""By name."""


def chosen(names: Sequence[str], preset: str = "quick") -> list[PaperFigure]:
    """The figures of these names, ``all`` for every one whose data are there for a preset.

    Raises:
        UserError: there is no such figure.
    """
    if "all" in names:
        return [figure for figure in FIGURES.values() if figure.possible(preset)]
    for name in names:
        if name not in FIGURES:
            padded = re.sub(r"^(?:fig)?(\d)(?!\d)", r"fig0\1", name)
            close = [padded] if padded in FIGURES else get_close_matches(name, FIGURES, n=1)
            hint = f"; did you mean {close[0]}?" if close else f"; there are {', '.join(FIGURES)}"
            raise UserError(f"there is no figure {name!r}{hint}")
    return [FIGURES[name] for name in dict.fromkeys(names)]
