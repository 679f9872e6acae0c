"""Runs read with care: no link leads out of the shown folder, nothing is opened that may block.

A FIFO, a socket or a device among a run's files would hold the reader for ever.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pandas as pd

from conceptspace.contact_sheet import Sheet
from conceptspace.errors import UserError
from conceptspace.presentation.explorer.named import Renamed
from conceptspace.store import Run
from conceptspace.tables import NAIVE


def require_plain(path: Path, within: Path | None) -> None:
    """Refuse a path that leads to no regular file, or out of a folder; one that is gone is left.

    Args:
        path: of a file.
        within: the folder, resolved; None if links may lead anywhere.

    Raises:
        UserError: says what the path is.
        OSError: the system does not say.
    """
    require_within(path, within)
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISREG(mode):
        raise UserError(f"{path} is not a regular file; it is not read")


def require_within(path: Path, within: Path | None) -> None:
    """Refuse a path that leads out of a folder, see :func:`require_plain`."""
    if within is not None and not Path(os.path.realpath(path)).is_relative_to(within):
        raise UserError(f"{path} is a link that leads out of the folder shown; it is not read")


def bound_of(run: Run) -> Path | None:
    """The folder that links in a run may not leave; None if they may lead anywhere."""
    return run.within if isinstance(run, Guarded) else None


class Guarded(Renamed):
    """A run whose files are looked at before they are opened.

    Args:
        run: the folder.
        name: on the page.
        within: the folder that links may not leave; None if they may lead anywhere.

    Raises:
        UserError: its config may not be read; likewise every method for what it reads.
    """

    def __init__(self, run: Run, name: str, within: Path | None = None) -> None:
        super().__init__(run, name)
        self.within = within
        self._require("config.toml")

    @property
    def checkpoints(self) -> Path:
        """The folder of the checkpoints; each file of it is looked at before it is opened."""
        require_within(super().checkpoints, self.within)
        return super().checkpoints

    @property
    def pictures(self) -> Path:
        """The folder of the images that stand for classes."""
        self._require("classes/*.png")
        return super().pictures

    def information(self) -> dict[str, Any]:
        """The content of ``run.json``."""
        self._require("run.json")
        return super().information()

    def trajectory(self) -> pd.DataFrame:
        """The learning trajectory."""
        self._require("trajectory.parquet")
        return super().trajectory()

    def training(self) -> pd.DataFrame:
        """The training log."""
        self._require("training.parquet")
        return super().training()

    def scores(self) -> pd.DataFrame:
        """The scores of single images."""
        self._require("scores/*/step-*.parquet")
        return super().scores()

    def kept_best(self) -> pd.DataFrame | None:
        """What was found in the scores of a kept run."""
        self._require("best.parquet")
        return super().kept_best()

    def sheets(self, protocol: str = NAIVE) -> dict[int, Sheet]:
        """The contact sheets of a protocol, by step."""
        for path in (self.path / "samples" / protocol).glob("step-*"):
            require_plain(path, self.within)
        return super().sheets(protocol)

    def _require(self, pattern: str) -> None:
        for path in self.path.glob(pattern):
            require_plain(path, self.within)
