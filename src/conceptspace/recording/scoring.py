"""From generated images to scores: one row per image and concept, and their averages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from conceptspace.errors import Diverged
from conceptspace.judges.judge import Judge, Judgement
from conceptspace.judges.probe import Probe
from conceptspace.space import ConceptSpace
from conceptspace.tables import AGREED, JOINT, KEYS, PROBE, TRAJECTORY_COLUMNS, VALID, require_keys
from conceptspace.values import COLUMNS, Axes, columns_of


@dataclass(frozen=True)
class Scorer:
    """Scores images by the judge, and beside it by the probe alone, as the paper does.

    Args:
        probe: gives the probability of each concept value, whatever the image shows.
        judge: decides; None where the data-generating process is unknown, and the probe decides.
        axes: the two values between which the coordinate of a concept runs, by default 0 and 1;
            see :meth:`ConceptSpace.axes`.
    """

    probe: Probe
    judge: Judge | None = None
    axes: Axes = field(default_factory=dict)

    def __call__(self, images: Float[Tensor, "batch 3 height width"], target: str) -> pd.DataFrame:
        """One row per image and concept.

        Columns:

        - sample: index of the image, and concept;
        - accuracy: probability of the target's value, 0 in an image that is not valid;
        - coordinate: probability of value 1 of two values, of more see
          :mod:`conceptspace.values`; 1/2 in an image that is not valid;
        - valid: 1 where there is a valid object, else 0; missing without a judge;
        - probe: the probe's probability of the target's value;
        - agreed: 1 where a second judge finds the same value, else 0; only if there is one;
        - p0, p1, ...: of a concept with more than two values, the probability of each, 0 in an
          image that is not valid.

        Raises:
            Diverged: an image holds a value that is not finite.
        """
        if not bool(images.isfinite().all()):
            raise Diverged(
                f"generated images of class {target} hold values that are not finite: the model "
                "has diverged; try a smaller learning rate or a smaller clip norm"
            )
        seen = self.probe.probabilities(images).cpu()
        judged = Judgement(seen) if self.judge is None else self.judge(images)
        probe = self.probe
        return rows(judged, target, probe.concepts, probe.sizes, self.axes, seen)


@dataclass(frozen=True)
class JudgeScorer:
    """Scores images by a judge alone.

    Args:
        space: the concepts, in the order of the judge.
        judge: decides.
    """

    space: ConceptSpace
    judge: Judge

    def __call__(
        self, images: Float[Tensor, "batch channels height width"], target: str
    ) -> pd.DataFrame:
        """As :meth:`Scorer.__call__`; ``probe`` is missing."""
        space = self.space
        return rows(self.judge(images), target, space.names, space.sizes, space.axes())


def rows(
    judged: Judgement,
    target: str,
    concepts: Sequence[str],
    sizes: Sequence[int],
    axes: Axes,
    seen: Tensor | None = None,
) -> pd.DataFrame:
    """One row per image and concept, columns see :meth:`Scorer.__call__`.

    Args:
        judged: what decides.
        target: class that was asked for.
        concepts: their names.
        sizes: how many values each has.
        axes: between which two the coordinate runs.
        seen: the probe's probabilities, (batch, concepts, values); None without a probe.
    """
    shape = judged.probabilities.shape[:2]
    unknown = torch.full(shape, torch.nan)
    known = judged.valid is not None
    seems = torch.ones(shape[0]) if judged.valid is None else judged.valid.float()
    valid = seems[:, None].expand(shape)
    coordinates = _coordinates(judged.probabilities, concepts, sizes, axes)
    samples = torch.arange(shape[0])[:, None].expand(shape)
    columns = {
        "accuracy": _of_target(judged.probabilities, target) * valid,
        "coordinate": torch.where(valid > 0, coordinates, 0.5),
        VALID: valid if known else unknown,
        PROBE: unknown if seen is None else _of_target(seen, target),
    }
    if judged.agreed is not None:
        columns[AGREED] = judged.agreed.float()
    columns |= _single(judged.probabilities * valid[..., None], torch.tensor(sizes))
    return pd.DataFrame(
        {"sample": samples.flatten().numpy(), "concept": [*concepts] * shape[0]}
        | {name: values.flatten().double().numpy() for name, values in columns.items()}
    )


def _coordinates(
    probabilities: Tensor, concepts: Sequence[str], sizes: Sequence[int], axes: Axes
) -> Tensor:
    """Of every concept, shape (batch, concepts)."""
    columns = []
    for index, name in enumerate(concepts):
        start, end = axes.get(name, (0, 1))
        own = probabilities[:, index]
        columns.append(own[:, 1] if sizes[index] == 2 else (1 + own[:, end] - own[:, start]) / 2)
    return torch.stack(columns, dim=1)


def _single(probabilities: Tensor, sizes: Tensor) -> dict[str, Tensor]:
    """The probability of each value where there are more than two, by column."""
    if sizes.max() == 2:
        return {}
    return {
        name: torch.where((sizes > 2) & (sizes > value), probabilities[..., value], torch.nan)
        for value, name in enumerate(COLUMNS[: int(sizes.max())])
    }


def _of_target(probabilities: Tensor, target: str) -> Tensor:
    """The probability of the target's values, shape (batch, concepts)."""
    wanted = torch.tensor([int(value) for value in target]).expand(len(probabilities), -1)
    return probabilities.gather(2, wanted[..., None])[..., 0]


def trajectory(scores: pd.DataFrame) -> pd.DataFrame:
    """Average scores over images.

    Args:
        scores: columns ``tables.KEYS``, sample, concept, accuracy, coordinate; valid and probe may
            be missing, as in tables of older runs, and stay so.

    Returns:
        Columns ``tables.KEYS``, concept, accuracy, coordinate, samples, valid, probe, and those of
        single values (:data:`conceptspace.values.COLUMNS`) that the scores have; beside each
        concept a row "joint" whose accuracy (and probe) is the mean over images of the product over
        concepts.

    Raises:
        UserError: a key is missing.
    """
    require_keys(scores, [*KEYS, "sample", "concept"], "the scores")
    scores = scores.reindex(columns=[*scores.columns.union([VALID, PROBE], sort=False)])
    values = columns_of(scores)
    by_concept = scores.groupby([*KEYS, "concept"], sort=True)
    single = by_concept[["accuracy", "coordinate", VALID, PROBE, *values]].mean()
    single = single.assign(samples=by_concept.size())
    by_image = scores.groupby([*KEYS, "sample"], sort=True)
    images = by_image[["accuracy", PROBE]].prod(min_count=scores["concept"].nunique())
    images[VALID] = by_image[VALID].min()
    by_class = images.groupby(KEYS)
    joint = by_class[["accuracy", VALID, PROBE]].mean()
    joint = joint.assign(samples=by_class.size(), concept=JOINT, coordinate=float("nan"))
    table = pd.concat([single.reset_index(), joint.reset_index()], ignore_index=True)
    table = table[[*TRAJECTORY_COLUMNS, VALID, PROBE, *values]].sort_values(
        [*KEYS, "concept"], kind="stable", ignore_index=True
    )
    return table.astype({"seed": "int64", "step": "int64", "samples": "int64"})


@dataclass(frozen=True)
class Agreement:
    """On how many images, by concept, two find the same value: the probe and the judge on valid
    images, or where a judge is made of two probes, these on all images.

    Attributes:
        same: on how many they do.
        images: of how many; concepts that were not looked at by both are missing.
    """

    same: Mapping[str, int]
    images: Mapping[str, int]


def agreement(scores: pd.DataFrame) -> Agreement:
    """How far the two agree; empty where there was no judge, or no probe."""
    if AGREED in scores:
        checked = scores[scores[AGREED].notna()]
        same = checked[AGREED] > 0.5
    else:
        both = {VALID, PROBE} <= set(scores)
        checked = scores[(scores[VALID] > 0) & scores[PROBE].notna()] if both else scores[:0]
        same = (checked["accuracy"] > 0.5) == (checked[PROBE] > 0.5)
    of = same.groupby(checked["concept"])
    agreed, images = of.sum(), of.size()
    return Agreement(
        {str(concept): int(count) for concept, count in agreed.items()},
        {str(concept): int(count) for concept, count in images.items()},
    )
