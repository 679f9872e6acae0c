"""A judge from data alone, where no renderer says what an object is: two probes and a distance.

A classifier finds a class in everything. So an image counts as valid only if a second probe of
another architecture, trained apart, finds the same value of every concept, and if the first
probe's features lie as near to those of real images as real images do that it was not trained on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from conceptspace.judges.foils import foils
from conceptspace.judges.judge import Judgement
from conceptspace.judges.probe import Probe, ProbeSettings, TrainedProbe, load_or_train
from conceptspace.models.modes import evaluating, float32_default
from conceptspace.worlds import border
from conceptspace.worlds.world import World

RIDGE = 1e-3
"""Added to the covariance's diagonal, as a share of its mean, so that it can be inverted."""


@torch.no_grad()
def summary(
    probe: Probe, images: Float[Tensor, "batch 3 height width"], batch_size: int = 512
) -> Float[Tensor, "batch numbers"]:
    """The largest and the mean value of each of a probe's feature maps, in float64 on the CPU:
    other devices may lack it.
    """
    with evaluating(probe):
        parts = [probe.features(chunk) for chunk in images.split(batch_size)]
    found = [torch.cat([part.amax((2, 3)), part.mean((2, 3))], dim=1) for part in parts]
    return torch.cat(found).cpu().double()


@dataclass(frozen=True)
class Familiarity:
    """How far features are from those of real images: the squared Mahalanobis distance

        d(f) = min over classes c of (f - m_c)ᵀ S⁻¹ (f - m_c)

    with the mean m_c of each class and one covariance S within classes (Lee et al. 2018,
    arXiv 1807.03888).

    Attributes:
        means: of the features of each class.
        precision: S⁻¹.
        limit: largest distance of what counts as familiar.
    """

    means: Float[Tensor, "classes features"]
    precision: Float[Tensor, "features features"]
    limit: float = float("inf")

    @classmethod
    def of(
        cls, features: Float[Tensor, "images features"], values: Int[Tensor, "images concepts"]
    ) -> Familiarity:
        """The means and the covariance of real images, still without a limit."""
        _, classes = values.unique(dim=0, return_inverse=True)
        means = torch.stack([features[classes == c].mean(0) for c in range(int(classes.max()) + 1)])
        within = features - means[classes]
        covariance = within.T @ within / len(within)
        ridge = RIDGE * covariance.diagonal().mean().clamp(min=1e-12)
        return cls(
            means, torch.linalg.inv(covariance + ridge * torch.eye(len(covariance)).to(covariance))
        )

    def distance(self, features: Float[Tensor, "batch features"]) -> Float[Tensor, " batch"]:
        """The squared distance to the nearest class."""
        apart = features[:, None] - self.means
        return torch.einsum("bcf,fg,bcg->bc", apart, self.precision, apart).amin(1)

    def __call__(self, features: Float[Tensor, "batch features"]) -> Bool[Tensor, " batch"]:
        """Whether each is familiar."""
        return self.distance(features) <= self.limit


@dataclass(frozen=True)
class AgreementJudge:
    """Probabilities of the first probe; valid is what both agree on and the first is familiar with.

    Attributes:
        first: gives the probabilities.
        second: has to find the same value of every concept.
        familiarity: judges the first one's features, see :func:`summary`.
    """

    first: Probe
    second: Probe
    familiarity: Familiarity

    def __call__(self, images: Float[Tensor, "batch 3 height width"]) -> Judgement:
        """Judge every image; the result lies on the CPU."""
        seen = self.first.probabilities(images)
        other = self.second.probabilities(images)
        same = (seen.argmax(2) == other.argmax(2)).cpu()
        near = self.familiarity(summary(self.first, images))
        return Judgement(seen.cpu(), same.all(1) & near, same)


def second_opinion(settings: ProbeSettings) -> ProbeSettings:
    """Another architecture, pooling and seed: plain convolutions, twice as wide, averaged."""
    return replace(
        settings,
        architecture="plain",
        channels=tuple(2 * width for width in settings.channels),
        pooling="max" if settings.pooling == "average" else "average",
        seed=settings.seed + 1,
    )


@float32_default()
def agreement_judge(
    world: World,
    settings: ProbeSettings,
    first: TrainedProbe,
    share: float,
    device: torch.device,
    cache: Path,
    stop: Callable[[], bool] = lambda: False,
) -> tuple[AgreementJudge, dict[str, Any]]:
    """The judge of a world's images, and how good it is.

    Args:
        world: whose labelled images teach both probes and what is familiar.
        settings: of the first probe.
        first: the first probe.
        share: of held-out real images that are familiar, e.g. 0.95.
        device: where to train the second.
        cache: folder of trained probes.
        stop: asked before every step of training.

    Returns:
        The judge, and ``second`` (hash and accuracy of the second probe), ``share``, ``limit``,
        ``valid`` (share of held-out real images that are valid), ``agreement`` (share on which both
        probes find the same value, by concept) and ``foils``: of what shows no object of a class,
        the largest mean joint probability of any class.

    Raises:
        ProbeStopped: ``stop`` said so.
    """
    second = load_or_train(world, second_opinion(settings), device, cache, stop)
    margin = settings.margin
    images, values = border.labelled(world, "train", settings.images_per_class, margin)
    known = Familiarity.of(summary(first.probe, images.to(device)), values)
    images, values = border.labelled(world, "held out", settings.held_out_per_class, margin)
    distances = known.distance(summary(first.probe, images.to(device)))
    known = replace(known, limit=torch.quantile(distances, share).item())
    judge = AgreementJudge(first.probe, second.probe, known)

    def largest(shown: Tensor) -> float:
        judged = judge(shown.to(device))
        joint = torch.ones(len(shown), 1)
        for concept in judged.probabilities.unbind(1):
            joint = (joint[:, :, None] * concept[:, None, :]).flatten(1)
        valid = judged.valid if judged.valid is not None else torch.ones(len(shown))
        return (joint * valid.float()[:, None]).mean(0).max().item()

    seen = judge(images.to(device))
    assert seen.valid is not None
    assert seen.agreed is not None
    same = zip(world.space.names, seen.agreed.float().mean(0).tolist(), strict=True)
    return judge, {
        "second": {"hash": second.hash, "accuracy": second.report["accuracy"]},
        "share": share,
        "limit": known.limit,
        "valid": seen.valid.float().mean().item(),
        "agreement": dict(same),
        "foils": {name: largest(shown) for name, shown in foils(images, values).items()},
    }
