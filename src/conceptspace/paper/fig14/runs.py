"""The runs of Fig. 14: two pairs of attributes, on CelebA or on drawn faces that imitate them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from conceptspace.paper.settings import SEEDS
from conceptspace.presets import FACES
from conceptspace.sweeps.plan import Plan, plans

VARIABLE = "CONCEPTSPACE_CELEBA"
"""Environment variable that names the folder of the preset ``paper``."""

PAIRS = {"hat": ("Not_Male", "Wearing_Hat"), "mouth": ("Not_Male", "Smiling")}
"""The attributes of the paper's later version, and of its first one; 11 is held out."""

QUICK_SEEDS = tuple(range(300, 306))
"""Seeds, fixed before any of their runs, as was the design; a pilot had seed 50."""

ADDED_SEEDS = tuple(range(306, 316))
"""Seeds by which both samples were enlarged: six left what the class is taken for open, since only
those that take it for a training class count, and eight whether smiling is led by gender."""

RANDOM = "latent-control-random"

CHANGES: dict[str, dict[str, Any]] = {
    "paper": FACES,
    "quick": {
        "data.kind": "drawn-faces",
        "data.images_per_class": 500,
        "data.validation_share": 0.0,
        "probe.agreement": 0.95,
        "probe.images_per_class": 400,
        "probe.held_out_per_class": 100,
        "probe.pooling": "average",
        "probe.steps": 300,
        "train.steps": 1600,
        "train.checkpoints": 8,
        "train.first_checkpoint": 200,
        "evaluate.sampling_steps": 10,
        "evaluate.strengths": (1.25, 1.5, 2.0),
        "evaluate.alphas": (2.0, 4.0),
        "evaluate.betas": (0.25,),
    },
}
"""Where the runs differ from the preset; the paper's numbers are those of App. C.3."""


def setting(pair: str) -> str:
    """First part of the names of a pair's runs."""
    return f"faces-{pair}"


def protocols(pair: str) -> tuple[str, ...]:
    """The protocols by which a pair's models are asked besides plain prompting."""
    _, weak = PAIRS[pair]
    return (
        f"overprompting-{weak}",
        "embedding-scaling",
        "latent-intervention",
        f"embedding-steering-{weak}",
        "latent-control-scaling",
        RANDOM,
        f"embedding-steering-control-{weak}",
    )


def labels(pair: str) -> dict[str, str]:
    """Label of each way of asking in panel (b)."""
    _, weak = PAIRS[pair]
    return {
        "naive": "plain",
        f"overprompting-{weak}": "overprompting",
        "embedding-scaling": "scaled embeddings",
        "latent-intervention": "latent intervention",
        f"embedding-steering-{weak}": "difference of means",
        "latent-control-scaling": "control: scaling",
        RANDOM: "control: random",
        f"embedding-steering-control-{weak}": "control of means",
    }


def changes(preset: str, pair: str) -> dict[str, Any]:
    """Where a pair's runs differ from the preset.

    The latent intervention adds the attribute of the smaller effect on pixels, which plain
    prompting lacks longer, and removes the other one's trained value.
    """
    strong, weak = PAIRS[pair]
    own: dict[str, Any] = {
        "data.attributes": (strong, weak),
        "evaluate.protocols": protocols(pair),
        "protocols.latent-intervention.add": weak,
        "protocols.latent-intervention.remove": strong,
        "protocols.embedding-steering.strengths": (0.5, 0.75, 1.0),
        "protocols.embedding-steering.prompts": 16,
        "protocols.embedding-scaling.strengths": (1.5,),
    }
    if preset == "paper":
        own["data.root"] = os.environ.get(VARIABLE, "")
    return CHANGES[preset] | own


def possible(preset: str) -> bool:
    """Whether the images are there: those of ``paper`` cannot be given out with this package."""
    return preset != "paper" or bool(os.environ.get(VARIABLE))


def planned(preset: str, seeds: Sequence[int] | None = None) -> list[Plan]:
    """One run for each pair and seed; none without images."""
    if not possible(preset):
        return []
    found: list[Plan] = []
    for pair in PAIRS:
        own = (*QUICK_SEEDS, *ADDED_SEEDS) if preset == "quick" else SEEDS[preset]
        found += plans(setting(pair), preset, seeds or own, changes(preset, pair))
    return found
