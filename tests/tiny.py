"""The smallest configs that still do everything: 8x8 images, a U-Net of 8 and 16 channels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from conceptspace.config import (
    EvaluateConfig,
    ProbeConfig,
    RunConfig,
    TrainConfig,
    merged,
    nested,
)
from conceptspace.experiment import parts
from conceptspace.experiment.session import Session
from conceptspace.models.config import UNetConfig
from conceptspace.store import open_or_create
from conceptspace.worlds.dataset import Examples
from conceptspace.worlds.shapes.config import ShapesData
from conceptspace.worlds.shapes.world import ShapesWorld

CPU = torch.device("cpu")

TINY = RunConfig(
    preset="quick",
    data=ShapesData(resolution=8, position_range=0.25, images_per_class=10),
    model=UNetConfig(
        channels=(8, 16),
        blocks=1,
        heads=2,
        dropout=0.0,
        groups=4,
        time_size=8,
        embedding_size=16,
        schedule="fixed_linear",
        pixel_range="symmetric",
    ),
    train=TrainConfig(
        steps=9,
        batch_size=4,
        clip_norm=1.0,
        checkpoint_schedule="explicit",
        checkpoint_steps=(0, 4, 9),
    ),
    probe=ProbeConfig(
        channels=(8,), features=8, images_per_class=8, held_out_per_class=8, steps=2, batch_size=4
    ),
    evaluate=EvaluateConfig(samples=2, elicitation_samples=2, sampling_steps=2),
)


def tiny_config(**changes: Any) -> RunConfig:
    """The tiny config with dotted settings changed, dots written as double underscores."""
    flat = {name.replace("__", "."): value for name, value in changes.items()}
    return merged(TINY, nested(flat), "test")


def tiny_world(**data: Any) -> ShapesWorld:
    """The shapes world of the tiny config with data settings changed."""
    return parts.world(tiny_config(**{f"data__{k}": v for k, v in data.items()}).data)


def tiny_session(folder: Path, config: RunConfig, cache: Path) -> Session:
    """A session on the run in a folder."""
    run, _ = open_or_create(folder, config)
    return Session(run, CPU, cache)


def random_examples(count: int, resolution: int = 8, seed: int = 0) -> Examples:
    """Images of noise, with conditioning of noise."""
    source = torch.Generator().manual_seed(seed)
    images = torch.rand(count, 3, resolution, resolution, generator=source)
    return Examples(images, torch.randn(count, 11, generator=source))
