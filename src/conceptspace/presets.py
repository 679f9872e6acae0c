"""Complete configs to start from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from conceptspace.config import (
    EvaluateConfig,
    ProbeConfig,
    RunConfig,
    TrainConfig,
    merged,
    nested,
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


FACES: dict[str, Any] = {
    "data.kind": "celeba",
    "data.resolution": 64,
    "data.images_per_class": 30_000,
    "data.validation_share": 0.0,
    "probe.pooling": "average",
    "probe.weight_decay": 1e-5,
    "probe.images_per_class": 27_000,
    "probe.held_out_per_class": 3_000,
    "probe.agreement": 0.95,
    "train.steps": 1_000_000,
    "evaluate.protocols": (
        "embedding-scaling",
        "latent-intervention",
        "latent-control-scaling",
        "latent-control-random",
    ),
}
"""The paper's numbers for CelebA (App. C.3), two probes that have to agree, and ways of asking that
no attribute's name stands in.
"""

NIGHT: dict[str, Any] = {
    "data.resolution": 32,
    "data.images_per_class": 10_000,
    "probe.images_per_class": 9_000,
    "probe.held_out_per_class": 1_000,
    "train.steps": 400_000,
    "train.checkpoints": 30,
}
"""Settings of the reduced preset: a quarter of the pixels, two fifths of the steps."""


def faces() -> RunConfig:
    """CelebA at the paper's scale; needs the folder, ``data.root``, and a GPU."""
    return merged(paper(), nested(FACES | {"preset": "faces"}), "faces")


def faces_night() -> RunConfig:
    """The same, reduced for one GPU and a night, which has not been measured (docs/celeba.md)."""
    return merged(faces(), nested(NIGHT | {"preset": "faces-night"}), "faces-night")


PRESETS: dict[str, Callable[[], RunConfig]] = {"quick": quick, "paper": paper}
"""Presets of shapes and of the paper's figures, by the name that the command line knows."""

STARTS = PRESETS | {"faces": faces, "faces-night": faces_night}
"""All presets from which a run may start."""
