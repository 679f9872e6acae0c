"""Generated images for the page: as many as its size allows."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from conceptspace.contact_sheet import Sheet, damaged_sheet
from conceptspace.presentation.explorer.spaces import png

FEWEST_COLUMNS = 8


@dataclass(frozen=True)
class Stored:
    """A contact sheet of a run, and the rows that matter most.

    Attributes:
        sheet: the file.
        best: numbers of the rows of the best setting of each class.
    """

    sheet: Sheet
    best: list[int]


@dataclass(frozen=True)
class Cut:
    """What is kept of every sheet.

    Attributes:
        columns: images of each row.
        best_only: only the rows of the best settings.
        stride: sheets of every so many checkpoints.
    """

    columns: int
    best_only: bool = False
    stride: int = 1

    def rows(self, stored: Stored) -> list[int]:
        """Numbers of the rows that are kept, from the top."""
        return stored.best if self.best_only else list(range(len(stored.sheet.rows)))

    def keeps(self, position: int) -> bool:
        """Whether the sheet of a run's checkpoint, counted from 0, is kept."""
        return position % self.stride == 0

    def share(self, stored: Stored) -> float:
        """Share of the sheet's tiles that is kept."""
        columns = min(self.columns, stored.sheet.columns) / stored.sheet.columns
        return columns * len(self.rows(stored)) / len(stored.sheet.rows)


def fitting_cut(
    series: Sequence[Sequence[Stored]], budget: int
) -> tuple[Cut, list[list[bytes | None]]]:
    """The cut that keeps most images of those whose PNGs fit into ``budget`` bytes, and the PNGs.

    First images of each row are dropped, then settings that are not the best, then checkpoints.

    Args:
        series: for each run and protocol its sheets in the order of the steps.
        budget: bytes.

    Returns:
        The cut; and, in the order of ``series``, each sheet as PNG or None where it is dropped.
    """
    stored = [item for sheets in series for item in sheets]
    widest = max((item.sheet.columns for item in stored), default=1)
    sizes = [item.sheet.path.stat().st_size for item in stored]
    images: list[list[bytes | None]] = []
    for cut in _cuts(widest):
        shares = (cut.share(item) for item in stored)
        expected = sum(s * share for s, share in zip(sizes, shares, strict=True)) / cut.stride
        if expected > 2 * budget:
            continue
        images = [
            [png_of(item, cut) if cut.keeps(i) else None for i, item in enumerate(sheets)]
            for sheets in series
        ]
        if sum(len(png or b"") for sheets in images for png in sheets) <= budget:
            return cut, images
    return cut, images or [[None] * len(sheets) for sheets in series]


def png_of(stored: Stored, cut: Cut) -> bytes:
    """The kept part of a sheet; a whole sheet is returned as it was stored.

    Raises:
        UserError: the sheet is damaged.
    """
    sheet, rows = stored.sheet, cut.rows(stored)
    if cut.columns >= sheet.columns and len(rows) == len(sheet.rows):
        return sheet.content()
    try:
        with Image.open(io.BytesIO(sheet.content())) as image:
            pixels = np.asarray(image.convert("RGB"))[:, : cut.columns * sheet.tile]
    except (OSError, SyntaxError):
        raise damaged_sheet(sheet.path) from None
    kept = [pixels[row * sheet.tile : (row + 1) * sheet.tile] for row in rows]
    return png(Image.fromarray(np.concatenate(kept)))


def _cuts(widest: int) -> Iterator[Cut]:
    columns = [widest]
    while columns[-1] > 1:
        columns.append(columns[-1] // 2)
    yield from (Cut(c) for c in columns if c >= min(widest, FEWEST_COLUMNS))
    yield from (Cut(c, best_only=True) for c in columns)
    yield from (Cut(1, best_only=True, stride=2**power) for power in range(1, 8))
