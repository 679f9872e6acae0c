"""What a run reports while it works; printing it belongs to the caller."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import SupportsFloat


@dataclass(frozen=True)
class Notice:
    """Something worth a line: what is being done, or what was wrong and mended."""

    text: str


@dataclass(frozen=True)
class Trained:
    """A gradient step was done.

    Attributes:
        step: number of completed steps.
        last: number of steps in all.
        loss: of the step, in bits per dimension; on a GPU, ``float`` of it waits for the step.
        grad_norm: of its gradient before clipping.
        at: when it was done, in seconds of this machine's monotonic clock.
    """

    step: int
    last: int
    loss: SupportsFloat = float("nan")
    grad_norm: SupportsFloat = float("nan")
    at: float = field(default_factory=time.monotonic)


@dataclass(frozen=True)
class Evaluated:
    """A checkpoint was scored under a protocol.

    Attributes:
        step: of the checkpoint.
        protocol: its name.
        accuracies: the best joint one of each class.
        valid: the share of valid images over all classes and settings; NaN without a judge.
    """

    step: int
    protocol: str
    accuracies: dict[str, float]
    valid: float = float("nan")


Event = Notice | Trained | Evaluated


class Stopped(Exception):
    """The user asked to stop; everything up to ``step`` is saved."""

    def __init__(self, step: int) -> None:
        super().__init__(step)
        self.step = step

    def __str__(self) -> str:
        return f"stopped at step {self.step}"
