"""From generated images to scores: one row per image and concept, and their averages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from conceptspace.measurement.probe import Probe
from conceptspace.measurement.readout import AnalyticReadout
from conceptspace.tables import JOINT, KEYS, READOUT, TRAJECTORY_COLUMNS


@dataclass(frozen=True)
class Scorer:
    """Scores images with the probe and, for the shapes world, with the analytic read-out.

    Args:
        probe: gives the probability of each concept value.
        readout: an independent check; None where the data-generating process is unknown.
    """

    probe: Probe
    readout: AnalyticReadout | None = None

    def __call__(self, images: Float[Tensor, "batch 3 height width"], target: str) -> pd.DataFrame:
        """One row per image and concept.

        Columns: sample (index of the image), concept, accuracy (probability of the target's bit),
        coordinate (probability of bit 1), readout (1 where the read-out finds the target's bit, 0
        where it does not, missing without a read-out).
        """
        coordinate = self.probe.coordinates(images).cpu()
        wanted = torch.tensor([int(bit) for bit in target])
        accuracy = torch.where(wanted > 0, coordinate, 1 - coordinate)
        if self.readout is None:
            found = torch.full_like(accuracy, float("nan"))
        else:
            found = self.readout.accuracy(images, target)
        samples = torch.arange(len(images))[:, None].expand(accuracy.shape)
        return pd.DataFrame(
            {
                "sample": samples.flatten().numpy(),
                "concept": list(self.probe.concepts) * len(images),
                "accuracy": accuracy.flatten().double().numpy(),
                "coordinate": coordinate.flatten().double().numpy(),
                READOUT: found.flatten().double().numpy(),
            }
        )


def trajectory(scores: pd.DataFrame) -> pd.DataFrame:
    """Average scores over images.

    Args:
        scores: columns ``tables.KEYS``, sample, concept, accuracy, coordinate.

    Returns:
        Columns ``tables.KEYS``, concept, accuracy, coordinate, samples; beside each concept a row
        "joint" whose accuracy is the mean over images of the product over concepts.
    """
    single = scores.groupby([*KEYS, "concept"], sort=True).agg(
        accuracy=("accuracy", "mean"), coordinate=("coordinate", "mean"), samples=("sample", "size")
    )
    product = scores.groupby([*KEYS, "sample"], sort=True)["accuracy"].prod()
    joint = product.groupby(KEYS).agg(accuracy="mean", samples="size")
    joint = joint.assign(concept=JOINT, coordinate=float("nan"))
    table = pd.concat([single.reset_index(), joint.reset_index()], ignore_index=True)
    table = table[TRAJECTORY_COLUMNS].sort_values(
        [*KEYS, "concept"], kind="stable", ignore_index=True
    )
    return table.astype({"seed": "int64", "step": "int64", "samples": "int64"})


def agreement(scores: pd.DataFrame, concepts: Sequence[str]) -> dict[str, float]:
    """Share of images on which probe and read-out find the same value, per concept.

    Empty where there was no read-out.
    """
    checked = scores.dropna(subset=[READOUT])
    same = (checked["accuracy"] > 0.5) == (checked[READOUT] > 0.5)
    found = same.groupby(checked["concept"]).mean()
    return {concept: float(found[concept]) for concept in concepts if concept in found}
