"""Where a model computes, and for how long."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Literal, get_args

import torch

from conceptspace.errors import UserError

Device = Literal["auto", "cpu", "cuda", "mps"]
"""What can be asked for; ``mps`` is a GPU of Apple, by plain operations in float32."""

DEVICES: tuple[Device, ...] = get_args(Device)

_KNOWN = {"cuda": "CUDA", "mps": "MPS"}


def device(name: str) -> torch.device:
    """``auto`` is CUDA where there is one, else the CPU.

    Raises:
        UserError: a device was asked for and is not there, or is none of :data:`DEVICES`.
    """
    there = {
        "cpu": True,
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }
    if name == "auto":
        name = "cuda" if there["cuda"] else "cpu"
    if name not in there:
        raise UserError(f"--device is one of {', '.join(DEVICES)}, not {name!r}")
    if not there[name]:
        kind = _KNOWN[name]
        raise UserError(f"--device {name} was asked for, but PyTorch finds no {kind} device here")
    return torch.device(name)


def wait(device: torch.device) -> None:
    """Until the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def seconds(work: Callable[[], object], device: torch.device) -> float:
    """Wall time of one call."""
    wait(device)
    started = time.perf_counter()
    work()
    wait(device)
    return time.perf_counter() - started
