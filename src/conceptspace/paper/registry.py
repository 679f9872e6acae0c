"""All figures, in the order of the paper."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import get_close_matches

from conceptspace.errors import UserError
from conceptspace.paper import (
    clip,
    fig01c,
    fig02,
    fig03,
    fig04,
    fig05,
    fig06,
    fig08,
    fig09a,
    fig09b,
    fig10,
    fig12,
    fig14,
    fig15,
    fig16,
    fig17,
)
from conceptspace.paper.figure import PaperFigure

FIGURES: dict[str, PaperFigure] = {
    module.FIGURE.name: module.FIGURE
    for module in (
        fig01c,
        fig02,
        fig03,
        fig04,
        fig05,
        fig06,
        fig08,
        fig09a,
        fig09b,
        fig10,
        fig12,
        fig14,
        fig15,
        fig16,
        fig17,
        clip,
    )
}
"""By name."""


def chosen(names: Sequence[str]) -> list[PaperFigure]:
    """The figures of these names, ``all`` for every one whose data are there.

    Raises:
        UserError: there is no such figure.
    """
    if "all" in names:
        return [figure for figure in FIGURES.values() if figure.possible()]
    for name in names:
        if name not in FIGURES:
            padded = re.sub(r"^(?:fig)?(\d)(?!\d)", r"fig0\1", name)
            close = [padded] if padded in FIGURES else get_close_matches(name, FIGURES, n=1)
            hint = f"; did you mean {close[0]}?" if close else f"; there are {', '.join(FIGURES)}"
            raise UserError(f"there is no figure {name!r}{hint}")
    return [FIGURES[name] for name in dict.fromkeys(names)]
