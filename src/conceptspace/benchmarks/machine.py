"""What is measured on: processor, versions, and how fast it multiplies at best."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F

from conceptspace.engine.device import seconds
from conceptspace.engine.native.compiling import native
from conceptspace.engine.precision import fastest_precision


def describe(device: torch.device) -> dict[str, Any]:
    """Processor, threads, versions, precision and kernels."""
    gpu = device.type == "cuda"
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name(device) if gpu else None,
        "python": platform.python_version(),
        "torch": version("torch"),
        "conceptspace": version("conceptspace"),
        "precision": fastest_precision(device),
        "operations": "CUDA graphs" if gpu else native().reason,
    }


def peaks(device: torch.device, size: int) -> dict[str, float]:
    """GFLOP/s of the fastest matrix product or 3x3 convolution found, by precision.

    Args:
        device: where.
        size: rows and columns of the matrices; images and channels follow from it.
    """
    rounds = 1 if size < 1024 else 3
    return {
        name: max(
            speed(device, dtype, size) for _ in range(rounds) for speed in (_matmul, _convolution)
        )
        for name, dtype in (("float32", torch.float32), ("bfloat16", torch.bfloat16))
    }


def _matmul(device: torch.device, dtype: torch.dtype, size: int) -> float:
    a, b = torch.randn(2, size, size, device=device).to(dtype)
    return 2e-9 * size**3 / _best(lambda: a @ b, device)


def _convolution(device: torch.device, dtype: torch.dtype, size: int) -> float:
    channels, pixels = max(size // 8, 8), 8
    images = max(size // 32, 1)
    x = torch.randn(images, channels, pixels, pixels, device=device).to(dtype)
    x = x.contiguous(memory_format=torch.channels_last)
    weight = torch.randn(channels, channels, 3, 3, device=device).to(dtype)
    weight = weight.contiguous(memory_format=torch.channels_last)
    operations = 2e-9 * images * pixels**2 * 9 * channels**2
    return operations / _best(lambda: F.conv2d(x, weight, padding=1), device)


def _best(work: Callable[[], object], device: torch.device) -> float:
    for _ in range(2):
        work()
    return min(seconds(work, device) for _ in range(7))


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    flags = [line.split(":", 1)[1].split() for line in lines if line.startswith("flags")]
    known = ("amx_bf16", "avx512_bf16", "avx512f", "avx2")
    best = [flag for flag in known if flags and flag in flags[0]]
    return f"{names[0] if names else platform.machine()} ({', '.join(best)})"
