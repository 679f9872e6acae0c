"""Independent random streams, each named by what it is for."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
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


@contextmanager
def all_random_numbers_kept() -> Iterator[None]:
    """As :func:`random_numbers_kept`, and those of Python and NumPy as well."""
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
    with random_numbers_kept():
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)  # noqa: NPY002


def seed_all(seed: int) -> None:
    """Seed the global random numbers of PyTorch, Python and NumPy."""
    torch.manual_seed(seed)
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002
