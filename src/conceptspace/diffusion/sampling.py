"""From noise to images: ancestral and DDIM sampling with any denoiser."""

from __future__ import annotations

from collections.abc import Callable
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
    shape: tuple[int, ...],
    *,
    steps: int,
    generator: torch.Generator,
    sampler: Sampler = "ancestral",
) -> Float[Tensor, "batch ..."]:
    """One sample per row of h, in the range in which the denoiser works.

    Ancestral steps draw z_s ~ q(z_s | z_t, x_hat) with
    z_s = (alpha_s / alpha_t) (z_t - c sigma_t eps_hat) + sigma_s sqrt(c) noise,
    c = 1 - exp(gamma_s - gamma_t) (arXiv 2107.00630, App. A.4); DDIM steps are deterministic,
    z_s = alpha_s x_hat + sigma_s eps_hat (arXiv 2010.02502). The last step adds no noise.

    Args:
        denoiser: predicts the noise.
        schedule: gamma(t).
        h: conditioning of each sample.
        shape: shape of one sample, e.g. (3, 32, 32).
        steps: number of denoiser evaluations.
        generator: source of all noise; noise is drawn on its device.
        sampler: "ancestral" or "ddim".
    """
    device = h.device
    times = torch.linspace(1, 0, steps + 1, device=device)
    gammas = schedule(times)
    batch = (len(h), *shape)

    def noise() -> Tensor:
        return torch.randn(batch, generator=generator, device=generator.device).to(device)

    z = noise()
    for i, (gamma_t, gamma_s) in enumerate(zip(gammas[:-1], gammas[1:], strict=True)):
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
