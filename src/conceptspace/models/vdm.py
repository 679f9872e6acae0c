"""The variational diffusion model: a network, a noise schedule and their loss."""

from __future__ import annotations

import math
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from conceptspace.models.denoiser import Accelerated, EmbeddingDenoiser
from conceptspace.models.generative import EditableCondition, FineTunable, Guidable, Hookable
from conceptspace.models.guidance import GuidedDenoiser
from conceptspace.models.schedule import Schedule, alpha, sigma

RECONSTRUCTION_SIGMA = 1e-3
"""Standard deviation of the normal that scores the first diffusion step (paper App. A.2)."""


@dataclass(frozen=True)
class Loss:
    """The terms of the variational bound, in bits per dimension, as scalar tensors."""

    diffusion: Tensor
    prior: Tensor
    reconstruction: Tensor

    @property
    def total(self) -> Tensor:
        """The bound: the sum of the three terms."""
        return self.diffusion + self.prior + self.reconstruction

    def detach(self) -> Loss:
        """The same terms without their graph."""
        return Loss(self.diffusion.detach(), self.prior.detach(), self.reconstruction.detach())


class VDM(nn.Module, Guidable, FineTunable, Hookable):
    """A continuous-time variational diffusion model (Kingma et al. 2021, arXiv 2107.00630).

    Called as ``model(z_t, gamma_t, h)`` it is a denoiser: it returns the predicted noise. Where the
    network is an :class:`EmbeddingDenoiser`, ``VDM(network, ...)`` is an :class:`EmbeddingVDM`.

    Args:
        network: a denoiser, see :mod:`conceptspace.models.denoiser`.
        schedule: gamma(t).
        pixel_range: the interval onto which images in [0, 1] are mapped before noise is added.
    """

    def __new__(cls, network: nn.Module | None = None, *given: Any, **named: Any) -> VDM:
        return super().__new__(EmbeddingVDM if isinstance(network, EmbeddingDenoiser) else cls)

    def __init__(
        self,
        network: nn.Module,
        schedule: Schedule,
        pixel_range: tuple[float, float] = (0.0, 1.0),
    ) -> None:
        super().__init__()
        self.network = network
        self.schedule = schedule
        self.pixel_range = pixel_range

    def forward(
        self,
        z: Float[Tensor, "batch c height width"],
        gamma: Float[Tensor, " batch"],
        h: Float[Tensor, "batch k"],
    ) -> Float[Tensor, "batch c height width"]:
        return self.network(z, gamma, h)

    def guided(self, weight: float) -> GuidedDenoiser:
        """Classifier-free guidance, for a model that was trained with dropped conditions."""
        return GuidedDenoiser(self, weight)

    @property
    def accelerated(self) -> bool:
        """Whether the engine may hurry it, see :class:`Accelerated`."""
        return isinstance(self.network, Accelerated)

    def encode(self, images: Tensor) -> Tensor:
        """Images in [0, 1] to the range in which the model works."""
        low, high = self.pixel_range
        return images * (high - low) + low

    def decode(self, x: Tensor) -> Tensor:
        """The model's range to images, clipped to [0, 1]."""
        low, high = self.pixel_range
        return ((x - low) / (high - low)).clamp(0, 1)

    def loss(
        self,
        images: Float[Tensor, "batch c height width"],
        h: Float[Tensor, "batch k"],
        noise: Float[Tensor, "batch c height width"],
        times: Float[Tensor, " batch"],
    ) -> Loss:
        """The bound at given noise and times, averaged over the batch.

        Args:
            images: in [0, 1].
            h: conditioning.
            noise: standard normal.
            times: in [0, 1]; see :func:`stratified_times`.
        """
        x = self.encode(images)
        scale = 1 / (x[0].numel() * math.log(2))
        gamma = self.schedule(times)
        start, end = self.schedule.endpoints()
        expand = gamma[:, None, None, None]
        z = alpha(expand) * x + sigma(expand) * noise
        error = (noise - self(z, gamma, h)).square().flatten(1).sum(1).mean()
        return Loss(
            diffusion=0.5 * self.schedule.slope() * error * scale,
            prior=prior_loss(x, end) * scale,
            reconstruction=reconstruction_loss(x, start) * scale,
        )

    def tunable_copy(self) -> tuple[VDM, nn.Module]:
        """A copy in single precision, all of whose parameters can be trained."""
        copy = VDM(deepcopy(self.network), deepcopy(self.schedule), self.pixel_range).float()
        return copy, copy

    def training_loss(self, images: Tensor, prompts: Tensor, source: torch.Generator) -> Tensor:
        """The bound at noise and times that the generator draws."""
        times = stratified_times(len(images), source).to(images.device)
        noise = torch.randn(images.shape, generator=source).to(images.device)
        return self.loss(images, prompts, noise, times).total


class EmbeddingVDM(VDM, EditableCondition):
    """A diffusion model whose condition embeddings can be edited."""

    network: EmbeddingDenoiser  # type: ignore[assignment]

    def forward(
        self,
        z: Float[Tensor, "batch c height width"],
        gamma: Float[Tensor, " batch"],
        h: Float[Tensor, "batch k"],
    ) -> Float[Tensor, "batch c height width"]:
        return self.denoise(z, gamma, self.embed_condition(h))

    def embed_condition(self, h: Float[Tensor, "batch k"]) -> list[Tensor]:
        """The condition embedding of every place where it enters, (batch, channels) each."""
        return self.network.embed_condition(h)

    def denoise(self, z: Tensor, gamma: Tensor, conditions: Sequence[Tensor]) -> Tensor:
        """The predicted noise for given condition embeddings."""
        return self.network.denoise(z, gamma, conditions)


def prior_loss(x: Float[Tensor, "batch c height width"], gamma: Float[Tensor, ""]) -> Tensor:
    """KL(q(z_1 | x) || N(0, 1)) in nats per image, averaged over the batch."""
    variance = torch.sigmoid(gamma)
    mean_square = torch.sigmoid(-gamma) * x.square().mean()
    return 0.5 * x[0].numel() * (variance + mean_square - 1 - variance.log())


def reconstruction_loss(
    x: Float[Tensor, "batch c height width"], gamma: Float[Tensor, ""]
) -> Tensor:
    """-E log N(x; z_0 / alpha_0, RECONSTRUCTION_SIGMA^2) in nats per image.

    z_0 / alpha_0 is normal around x with variance exp(gamma(0)), so the expectation over z_0 is
    exact and no noise is drawn for it.
    """
    variance = RECONSTRUCTION_SIGMA**2
    per_pixel = 0.5 * gamma.exp() / variance + 0.5 * math.log(2 * math.pi * variance)
    return x[0].numel() * per_pixel


def stratified_times(
    batch: int, generator: torch.Generator | None = None
) -> Float[Tensor, " batch"]:
    """Times that cover [0, 1) evenly with one shared random offset (arXiv 2107.00630, App. I)."""
    offset = torch.rand((), generator=generator)
    return (offset + torch.arange(batch) / batch) % 1
