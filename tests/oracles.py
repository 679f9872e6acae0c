"""Denoisers that are exactly right, because the data distribution is known in closed form.

For z = alpha x + sigma eps the best prediction of eps is E[eps | z]. With an exact denoiser,
whatever a sampler or a loss gets wrong is its own fault.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from conceptspace.models.unet import UNet


def coefficients(gamma: Tensor) -> tuple[Tensor, Tensor]:
    """alpha and sigma of a negative log-SNR, as columns."""
    return torch.sigmoid(-gamma).sqrt()[:, None], torch.sigmoid(gamma).sqrt()[:, None]


def gaussian_denoiser(mean: Tensor, covariance: Tensor) -> Callable[..., Tensor]:
    """E[eps | z] for x ~ N(mean, covariance): sigma (alpha^2 S + sigma^2)^-1 (z - alpha mean)."""
    values, vectors = torch.linalg.eigh(covariance)

    def denoise(z: Tensor, gamma: Tensor, h: Tensor) -> Tensor:
        a, s = coefficients(gamma.to(mean.dtype))
        flat = z.flatten(1).to(mean.dtype)
        eps = ((flat - a * mean) @ vectors * s / (a**2 * values + s**2)) @ vectors.T
        return eps.view_as(z).to(z.dtype)

    return denoise


def finite_denoiser(members: Tensor, frequencies: Tensor) -> Callable[..., Tensor]:
    """E[eps | z] for x one of ``members`` (n, d) with given frequencies."""

    def denoise(z: Tensor, gamma: Tensor, h: Tensor) -> Tensor:
        a, s = coefficients(gamma.to(members.dtype))
        squares = (z[:, None] - a[:, None] * members).square().sum(2)
        posterior = (frequencies.log() - squares / (2 * s**2)).softmax(1)
        return (z - a * posterior @ members) / s

    return denoise


def gaussian_diffusion_loss(eigenvalues: Tensor, start: float, end: float) -> float:
    """The diffusion term for Gaussian data and the ideal denoiser, in nats.

    The smallest error of eps along an axis of variance v is v / (v + exp(gamma)), so the term is
    1/2 integral of v / (v + exp(gamma)) over gamma, summed over axes.
    """
    v = eigenvalues.double()

    def antiderivative(gamma: float) -> Tensor:
        return gamma - (v + math.exp(gamma)).log()

    return float((antiderivative(end) - antiderivative(start)).sum() / 2)


class OracleNetwork(UNet):
    """A network that computes a given function of (z, gamma, h) instead of a U-Net."""

    def __init__(self, function: Callable[..., Tensor]) -> None:
        nn.Module.__init__(self)
        self.function = function

    def embed_condition(self, h: Tensor) -> list[Tensor]:
        return [h]

    def denoise(self, z: Tensor, gamma: Tensor, conditions: list[Tensor]) -> Tensor:
        return self.function(z, gamma, conditions[0])
