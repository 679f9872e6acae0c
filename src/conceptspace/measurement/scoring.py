"""From generated images to scores: one row per image and concept, and their averages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from conceptspace.errors import Diverged
from conceptspace.measurement.judge import Judge, Judgement
from conceptspace.measurement.probe import Probe
from conceptspace.tables import JOINT, KEYS, PROBE, TRAJECTORY_COLUMNS, VALID, complete


@dataclass(frozen=True)
class Scorer:
    """Scores images by the judge, and beside it by the probe alone, as the paper does.

    Args:
        probe: gives the probability of each concept value, whatever the image shows.
        judge: decides; None where the data-generating process is unknown, and the probe decides.
    """

    probe: Probe
    judge: Judge | None = None

    def __call__(self, images: Float[Tensor, "batch 3 height width"], target: str) -> pd.DataFrame:
        """One row per image and concept.

        Columns:

        - sample: index of the image, and concept;
        - accuracy: probability of the target's bit, 0 in an image that is not valid;
        - coordinate: probability of bit 1, 1/2 in an image that is not valid;
        - valid: 1 where there is a valid object, else 0; missing without a judge;
        - probe: the probe's probability of the target's bit.

        Raises:
            Diverged: an image holds a value that is not finite.
        """
        if not bool(images.isfinite().all()):
            raise Diverged(
                f"generated images of class {target} hold values that are not finite; the model "
                "has diverged"
            )
        seen = self.probe.coordinates(images).cpu()
        judged = Judgement(seen) if self.judge is None else self.judge(images)
        return rows(self.probe.concepts, judged, target, seen)


@dataclass(frozen=True)
class JudgeScorer:
    """Scores images by a judge alone.

    Args:
        concepts: names of the concepts, in the order of the judge.
        judge: decides.
    """

    concepts: tuple[str, ...]
    judge: Judge

    def __call__(
        self, images: Float[Tensor, "batch channels height width"], target: str
    ) -> pd.DataFrame:
        """As :meth:`Scorer.__call__`; ``probe`` is missing."""
        return rows(self.concepts, self.judge(images), target)


def rows(
    concepts: Sequence[str], judged: Judgement, target: str, seen: Tensor | None = None
) -> pd.DataFrame:
    """One row per image and concept, columns see :meth:`Scorer.__call__`.

    Args:
        concepts: names.
        judged: what decides.
        target: class that was asked for.
        seen: the probe's probability of bit 1, (batch, concepts); None without a probe.
    """
    shape = judged.coordinates.shape
    unknown = torch.full(shape, float("nan"))
    known = judged.valid is not None
    valid = judged.valid.float()[:, None].expand(shape) if judged.valid is not None else unknown
    coordinate = torch.where(valid > 0, judged.coordinates, 0.5) if known else judged.coordinates
    accuracy = _of_target(coordinate, target)
    samples = torch.arange(shape[0])[:, None].expand(shape)
    columns = {
        "accuracy": accuracy * valid if known else accuracy,
        "coordinate": coordinate,
        VALID: valid,
        PROBE: unknown if seen is None else _of_target(seen, target),
    }
    return pd.DataFrame(
        {"sample": samples.flatten().numpy(), "concept": [*concepts] * shape[0]}
        | {name: values.flatten().double().numpy() for name, values in columns.items()}
    )


def _of_target(coordinate: Tensor, target: str) -> Tensor:
    """The probability of the target's bits, from that of bit 1."""
    wanted = torch.tensor([int(bit) for bit in target])
    return torch.where(wanted > 0, coordinate, 1 - coordinate)


def trajectory(scores: pd.DataFrame) -> pd.DataFrame:
    """Average scores over images.

    Args:
        scores: columns ``tables.KEYS``, sample, concept, accuracy, coordinate; valid and probe may
            be missing, as in tables of older runs, and stay so.

    Returns:
        Columns ``tables.KEYS``, concept, accuracy, coordinate, samples, valid, probe; beside each
        concept a row "joint" whose accuracy (and probe) is the mean over images of the product over
        concepts.

    Raises:
        UserError: a key is missing.
    """
    complete(scores, [*KEYS, "sample", "concept"], "the scores")
    scores = scores.reindex(columns=[*scores.columns.union([VALID, PROBE], sort=False)])
    single = scores.groupby([*KEYS, "concept"], sort=True).agg(
        accuracy=("accuracy", "mean"),
        coordinate=("coordinate", "mean"),
        samples=("sample", "size"),
        **{name: (name, "mean") for name in (VALID, PROBE)},
    )
    by_image = scores.groupby([*KEYS, "sample"], sort=True)
    images = by_image[["accuracy", PROBE]].prod(min_count=scores["concept"].nunique())
    images[VALID] = by_image[VALID].min()
    joint = images.groupby(KEYS).agg(
        accuracy=("accuracy", "mean"),
        samples=("accuracy", "size"),
        **{name: (name, "mean") for name in (VALID, PROBE)},
    )
    joint = joint.assign(concept=JOINT, coordinate=float("nan"))
    table = pd.concat([single.reset_index(), joint.reset_index()], ignore_index=True)
    table = table[[*TRAJECTORY_COLUMNS, VALID, PROBE]].sort_values(
        [*KEYS, "concept"], kind="stable", ignore_index=True
    )
    return table.astype({"seed": "int64", "step": "int64", "samples": "int64"})


def agreement(scores: pd.DataFrame, concepts: Sequence[str]) -> dict[str, float]:
    """Share of valid images on which the probe finds the value that the judge finds, per concept.

    Empty where there was no judge.
    """
    checked = scores[scores[VALID] > 0] if VALID in scores else scores[:0]
    same = (checked["accuracy"] > 0.5) == (checked[PROBE] > 0.5)
    found = same.groupby(checked["concept"]).mean()
    return {concept: float(found[concept]) for concept in concepts if concept in found}
