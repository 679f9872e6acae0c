"""From noise to images: ancestral and DDIM sampling with any denoiser."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from conceptspace.diffusion.schedule import alpha, sigma

Denoiser = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(z_t of shape (B, ...), gamma_t of shape (B,), h of shape (B, k)) -> predicted noise like z_t."""

Sampler = Literal["ancestral", "ddim"]


@torch.no_grad()
def sample(
    denoiser: Denoiser,
    schedule: Callable[[Tensor], Tensor],
    h: Float[Tensor, "batch k"],
    *,
    steps: int,
    noise: Callable[[], Tensor],
    sampler: Sampler = "ancestral",
) -> Float[Tensor, "batch ..."]:
    """One sample per row of h, in the range in which the denoiser works.

    The result has the shape that ``noise`` gives.

    Ancestral steps draw z_s ~ q(z_s | z_t, x_hat) with
    z_s = (alpha_s / alpha_t) (z_t - c sigma_t eps_hat) + sigma_s sqrt(c) noise,
    c = 1 - exp(gamma_s - gamma_t) (arXiv 2107.00630, App. A.4); DDIM steps are deterministic,
    z_s = alpha_s x_hat + sigma_s eps_hat (arXiv 2010.02502). The last step adds no noise.

    Args:
        denoiser: predicts the noise.
        schedule: gamma(t).
        h: conditioning of each sample.
        steps: number of denoiser evaluations.
        noise: gives a new standard normal tensor of shape (batch, *shape) at each call.
        sampler: "ancestral" or "ddim".
    """
    gammas = schedule(torch.linspace(1, 0, steps + 1, device=h.device))
    z = noise()
    for i, (gamma_t, gamma_s) in enumerate(pairwise(gammas)):
        eps = denoiser(z, gamma_t.expand(len(h)), h)
        x = (z - sigma(gamma_t) * eps) / alpha(gamma_t)
        if sampler == "ddim":
            z = alpha(gamma_s) * x + sigma(gamma_s) * eps
        else:
            c = -torch.expm1(gamma_s - gamma_t)
            z = alpha(gamma_s) / alpha(gamma_t) * (z - c * sigma(gamma_t) * eps)
            if i < steps - 1:
                z = z + sigma(gamma_s) * c.sqrt() * noise()
    return z / alpha(gammas[-1])


def gaussian(
    shape: tuple[int, ...], generator: torch.Generator, device: torch.device | None = None
) -> Callable[[], Tensor]:
    """Standard normal noise of a fixed shape, drawn on the generator's device."""

    def draw() -> Tensor:
        return torch.randn(shape, generator=generator, device=generator.device).to(device)

    return draw
