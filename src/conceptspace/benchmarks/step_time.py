"""Where the time of a training step goes, and how it grows."""

from __future__ import annotations

from statistics import median
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from conceptspace.benchmarks.works import new_trainer
from conceptspace.config import RunConfig, merged, nested
from conceptspace.engine.device import seconds
from conceptspace.models.config import UNetConfig

PARTS = {
    "residual blocks, forward": ("_FusedBlock",),
    "residual blocks, backward": ("_FusedBlockBackward",),
    "other convolutions, forward": ("aten::mkldnn_convolution", "aten::cudnn_convolution"),
    "other convolutions, backward": ("aten::convolution_backward",),
    "other norm and GELU, forward": ("_Fused",),
    "other norm and GELU, backward": ("_FusedBackward",),
    "matrix products": ("aten::mm", "aten::addmm", "aten::bmm", "aten::baddbmm"),
    "optimiser": ("aten::_fused_adamw_", "aten::lerp_", "aten::linalg_vector_norm"),
}
"""Operators whose own time is added up; what is left is "other operations"."""


def shares(config: RunConfig, repeats: int) -> dict[str, float]:
    """Milliseconds of a training step on the CPU by kind of operation, Python included.

    The kinds are :data:`PARTS`, "other operations", and "between operations": the wall time
    without profiler less the sum of all operations.
    """
    device = torch.device("cpu")
    wall = _step_milliseconds(config, repeats, device)
    steps = new_trainer(config, device).run(10**9)
    for _ in range(repeats):
        next(steps)
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        for _ in range(repeats):
            next(steps)
    own = {e.key: e.self_cpu_time_total / 1e3 / repeats for e in profiler.key_averages()}
    times = {part: sum(own.get(name, 0.0) for name in names) for part, names in PARTS.items()}
    operators = sum(v for k, v in own.items() if k.startswith(("aten::", "_Fused")))
    times["other operations"] = operators - sum(times.values())
    times["between operations"] = max(0.0, wall - operators)
    return times


def growth(config: RunConfig, repeats: int, device: torch.device) -> list[dict[str, Any]]:
    """Milliseconds of the engine's step when one thing about the config changes.

    Rows: setting, value, milliseconds.
    """
    resolution, batch = config.data.resolution, config.train.batch_size
    widths = UNetConfig.of(config.model).channels
    changes: dict[str, list[Any]] = {
        "data.resolution": [resolution, 2 * resolution, 4 * resolution],
        "model.channels": [widths, *(tuple(k * w for w in widths) for k in (2, 4))],
        "train.batch_size": [batch, 2 * batch, 4 * batch],
    }
    rows = []
    for setting, values in changes.items():
        for value in values:
            changed = merged(config, nested({setting: value}), "bench")
            took = _step_milliseconds(changed, repeats, device)
            rows.append({"setting": setting, "value": value, "milliseconds": took})
    return rows


def _step_milliseconds(config: RunConfig, repeats: int, device: torch.device) -> float:
    steps = new_trainer(config, device).run(10**9)
    for _ in range(3):
        next(steps)
    return 1e3 * median(seconds(lambda: next(steps), device) for _ in range(repeats))
