"""Figures that are built, but neither laid out nor drawn: most of the time of a report."""

from __future__ import annotations

import pytest

from conceptspace.presentation import style


def leave_undrawn(patch: pytest.MonkeyPatch) -> None:
    """Until it is undone; the files of figures hold no picture."""
    patch.setattr(style, "lay_out", lambda figure: None)
    patch.setattr(style, "to_png", lambda figure: b"\x89PNG")
    patch.setattr(style, "to_svg", lambda figure: b"<svg/>")
