"""Independent random streams, each named by what it is for."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch


def stream_seed(seed: int, *purpose: object) -> int:
    """A 63-bit seed that depends on the run's seed and on the purpose, and on nothing else."""
    text = "/".join(str(part) for part in (seed, *purpose))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator(seed: int, *purpose: object) -> torch.Generator:
    """A CPU generator for one purpose: ``generator(0, "noise", step)``.

    Streams of different purposes or steps are independent, so the noise of a step does not depend
    on the steps before it; a resumed run draws what an uninterrupted one would have drawn.
    """
    return torch.Generator().manual_seed(stream_seed(seed, *purpose))


@contextmanager
def random_numbers_kept(devices: Sequence[torch.device] | None = None) -> Iterator[None]:
    """PyTorch's global random numbers go on afterwards as they were, those of MPS as well.

    Args:
        devices: of CUDA; None for all that there are.
    """
    every = range(torch.cuda.device_count()) if devices is None else devices
    mps = torch.backends.mps.is_available()
    before = torch.mps.get_rng_state() if mps else None
    with torch.random.fork_rng(every):
        try:
            yield
        finally:
            if before is not None:
                torch.mps.set_rng_state(before)
