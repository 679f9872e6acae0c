"""What one run of a sweep is given."""

from __future__ import annotations

import math
from dataclasses import dataclass

from conceptspace.errors import UserError


@dataclass(frozen=True)
class Resources:
    """What a run is given, and how often it may lose its worker.

    Args:
        cpus: processors; a run computes with as many threads, rounded down, at least one.
        gpus: GPUs; a fraction shares one.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        retries: lost workers (killed, out of memory, on a node that is gone) after which a run
            counts as failed.
        loggers: names, see :mod:`conceptspace.loggers`.
        store: address of the storage that runs go to, see :mod:`conceptspace.sweeps.storage`;
            empty for a folder.
        save_every: seconds from one time that a run is brought to the storage to the next.

    Raises:
        UserError: a number is out of its bounds.
    """

    cpus: float = 1.0
    gpus: float = 0.0
    device: str = "auto"
    retries: int = 3
    loggers: tuple[str, ...] = ()
    store: str = ""
    save_every: float = 30.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.cpus) and self.cpus > 0):
            raise UserError(f"--cpus-per-run is a number above 0, not {self.cpus:g}")
        if not (math.isfinite(self.gpus) and self.gpus >= 0):
            raise UserError(f"--gpus-per-run is a number from 0, not {self.gpus:g}")
        if self.gpus > 1 and self.gpus % 1:
            raise UserError(f"--gpus-per-run above 1 is a whole number, not {self.gpus:g}")
        if self.retries < 0:
            raise UserError(f"--retries is a whole number from 0, not {self.retries}")

    @property
    def threads(self) -> int:
        """Threads that a run computes with."""
        return max(1, int(self.cpus))

    @property
    def environment(self) -> dict[str, str]:
        """Variables that keep libraries from starting more threads than these."""
        return dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(self.threads))
