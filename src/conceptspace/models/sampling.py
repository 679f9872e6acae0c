"""From noise to images: samplers of first and second order, for any denoiser."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from conceptspace.models.schedule import alpha, sigma

Denoiser = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(z_t of shape (B, ...), gamma_t of shape (B,), h of shape (B, k)) -> predicted noise like z_t."""

Sampler = Literal["ancestral", "ddim", "dpmsolver++", "sde-dpmsolver++"]


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

    The result has the shape that ``noise`` gives. All samplers take ``steps`` steps that are equal
    in gamma where the schedule is linear; x_hat = (z_t - sigma_t eps_hat) / alpha_t.

    - "ancestral": z_s ~ q(z_s | z_t, x_hat), z_s = (alpha_s / alpha_t) (z_t - c sigma_t eps_hat)
      + sigma_s sqrt(c) noise, c = 1 - exp(gamma_s - gamma_t) (arXiv 2107.00630, App. A.4). It is of
      first order, and with few steps its samples vary too little.
    - "ddim": z_s = alpha_s x_hat + sigma_s eps_hat, deterministic (arXiv 2010.02502).
    - "dpmsolver++": as ddim, with x_hat continued linearly from the step before in log-SNR, which
      makes it of second order (DPM-Solver++ 2M, arXiv 2211.01095, Algorithm 2).
    - "sde-dpmsolver++": the same for the ancestral step (arXiv 2211.01095, section 5 and App. B),
      but for the last step, which is that of dpmsolver++.

    No sampler adds noise in the last step.

    Args:
        denoiser: predicts the noise.
        schedule: gamma(t).
        h: conditioning of each sample.
        steps: number of denoiser evaluations.
        noise: gives a new standard normal tensor of shape (batch, *shape) at each call.
        sampler: see above.
    """
    second_order = sampler in ("dpmsolver++", "sde-dpmsolver++")
    gammas = schedule(torch.linspace(1, 0, steps + 1, device=h.device))
    z = noise()
    before: tuple[Tensor, Tensor] | None = None
    for i, (gamma_t, gamma_s) in enumerate(pairwise(gammas)):
        last = i == steps - 1
        stochastic = sampler == "ancestral" or (sampler == "sde-dpmsolver++" and not last)
        eps = denoiser(z, gamma_t.expand(len(h)), h)
        x = (z - sigma(gamma_t) * eps) / alpha(gamma_t)
        target = x
        if second_order and before is not None:
            last_x, last_gamma = before
            target = x + (x - last_x) * (gamma_t - gamma_s) / (last_gamma - gamma_t) / 2
        before = x, gamma_t
        # z_s keeps the share k of z_t's noise, and has the mean of q(z_s | z_t, x) at x = target.
        shrink = torch.exp((gamma_s - gamma_t) * (1.0 if stochastic else 0.5))
        keep = shrink * alpha(gamma_s) / alpha(gamma_t)
        z = keep * z + alpha(gamma_s) * (1 - shrink) * target
        if stochastic and not last:
            z = z + sigma(gamma_s) * (1 - shrink).sqrt() * noise()
    return z / alpha(gammas[-1])


def gaussian(
    shape: tuple[int, ...], generator: torch.Generator, device: torch.device | None = None
) -> Callable[[], Tensor]:
    """Standard normal noise of a fixed shape, drawn on the generator's device."""

    def draw() -> Tensor:
        return torch.randn(shape, generator=generator, device=generator.device).to(device)

    return draw
