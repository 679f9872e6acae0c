"""TensorBoard: event files in the run's folder, ``tensorboard --logdir OUT`` shows all of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from torch.utils.tensorboard import SummaryWriter

from conceptspace.store import Run


class TensorBoard:
    """Writes to ``RUN/loggers/tensorboard``.

    Steps that a resumed run does again are written again, with the same numbers.
    """

    def __init__(self, run: Run, home: Path) -> None:
        self.writer = SummaryWriter(str(run.path / "loggers" / "tensorboard"))

    def numbers(self, step: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self.writer.add_scalar(name, value, step)

    def picture(self, step: int, name: str, pixels: np.ndarray) -> None:
        self.writer.add_image(name, pixels, step, dataformats="HWC")

    def close(self) -> None:
        self.writer.close()
