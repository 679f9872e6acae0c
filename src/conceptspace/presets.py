"""Complete configs to start from."""

from __future__ import annotations

from collections.abc import Callable

from conceptspace.config import (
    EvaluateConfig,
    ProbeConfig,
    RunConfig,
    TrainConfig,
)
from conceptspace.models.config import UNetConfig
from conceptspace.worlds.shapes.config import ShapesData


def paper() -> RunConfig:
    """Every number of the paper and of its published settings; needs a GPU."""
    return RunConfig(preset="paper")


def quick() -> RunConfig:
    """The whole story on two CPU cores in minutes: 16x16 images, a small U-Net of three levels.

    What was tried on the way, and why each number is what it is, stands in docs/log.md.
    """
    return RunConfig(
        preset="quick",
        data=ShapesData(
            resolution=16, position_range=0.15, color_separation=0.15, size_spread=0.25
        ),
        model=UNetConfig(
            channels=(32, 64, 64),
            blocks=1,
            dropout=0.0,
            schedule="fixed_linear",
            gamma_start=-7.0,
            gamma_end=7.0,
            pixel_range="symmetric",
        ),
        train=TrainConfig(
            steps=4200,
            batch_size=16,
            learning_rate=1.5e-3,
            clip_norm=1.0,
            weight_average=0.99,
            checkpoint_schedule="linear",
            checkpoints=24,
            first_checkpoint=175,
        ),
        probe=ProbeConfig(
            channels=(16, 32),
            features=32,
            images_per_class=2048,
            held_out_per_class=512,
            steps=300,
            learning_rate=3e-3,
        ),
        evaluate=EvaluateConfig(
            samples=32,
            elicitation_samples=32,
            sampler="sde-dpmsolver++",
            sampling_steps=15,
            protocols=(
                "overprompting-color",
                "overprompting-size",
                "latent-intervention",
                "latent-control-scaling",
                "latent-control-random",
            ),
            alphas=(0.5, 1.0, 2.0),
            betas=(0.1,),
        ),
    )


PRESETS: dict[str, Callable[[], RunConfig]] = {"quick": quick, "paper": paper}
"""Presets by the name that the command line knows."""
