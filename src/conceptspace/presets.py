"""Complete configs to start from."""

from __future__ import annotations

from collections.abc import Callable

from conceptspace.config import (
    DataConfig,
    EvaluateConfig,
    ModelConfig,
    ProbeConfig,
    RunConfig,
    TrainConfig,
)


def paper() -> RunConfig:
    """Every number of the paper and of its published settings; needs a GPU."""
    return RunConfig(preset="paper")


def quick() -> RunConfig:
    """The whole story on two CPU cores in minutes: 16x16 images, a small U-Net of three levels."""
    return RunConfig(
        preset="quick",
        data=DataConfig(resolution=16, position_range=0.25, color_separation=0.4),
        model=ModelConfig(
            channels=(24, 48, 48),
            blocks=1,
            dropout=0.0,
            schedule="fixed_linear",
            gamma_start=-7.0,
            gamma_end=7.0,
            pixel_range="symmetric",
        ),
        train=TrainConfig(
            steps=2800,
            batch_size=16,
            clip_norm=1.0,
            weight_average=0.99,
            checkpoint_schedule="linear",
            checkpoints=28,
            first_checkpoint=100,
        ),
        probe=ProbeConfig(
            channels=(16, 32),
            features=32,
            images_per_class=2048,
            held_out_per_class=512,
            steps=300,
            learning_rate=3e-3,
        ),
        evaluate=EvaluateConfig(samples=32, sampling_steps=25),
    )


PRESETS: dict[str, Callable[[], RunConfig]] = {"quick": quick, "paper": paper}
"""Presets by the name that the command line knows."""
