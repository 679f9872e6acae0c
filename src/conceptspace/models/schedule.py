"""Noise schedules gamma(t) = -log SNR(t) on t in [0, 1] (Kingma et al. 2021, arXiv 2107.00630).

The forward process is z_t = alpha_t x + sigma_t eps with sigma_t^2 = sigmoid(gamma(t)) and
alpha_t^2 = sigmoid(-gamma(t)). Every schedule increases with t.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from jaxtyping import Float
from torch import Tensor, nn

from conceptspace.errors import UserError


def alpha(gamma: Tensor) -> Tensor:
    """Signal coefficient alpha_t, same shape as ``gamma``."""
    return torch.sigmoid(-gamma).sqrt()


def sigma(gamma: Tensor) -> Tensor:
    """Noise coefficient sigma_t, same shape as ``gamma``."""
    return torch.sigmoid(gamma).sqrt()


class Schedule(nn.Module, ABC):
    """gamma(t), linear in t, as a module: what is learned of it are its parameters."""

    @abstractmethod
    def forward(self, t: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
        """The values of gamma at times t."""

    @abstractmethod
    def endpoints(self) -> Float[Tensor, " 2"]:
        """gamma(0) and gamma(1)."""

    @abstractmethod
    def slope(self) -> Float[Tensor, ""]:
        """The derivative of gamma by t, never negative."""


class LinearSchedule(Schedule):
    """gamma(t) = b + |w| t.

    Args:
        start: gamma(0).
        end: gamma(1).
        learned: whether b and w are parameters (the paper's choice) or constants.
    """

    def __init__(self, start: float, end: float, *, learned: bool) -> None:
        super().__init__()
        if not start < end:
            raise UserError(f"gamma must increase: gamma(0) = {start:g}, gamma(1) = {end:g}")
        self.learned = learned
        b, w = torch.tensor(float(start)), torch.tensor(float(end - start))
        if learned:
            self.b, self.w = nn.Parameter(b), nn.Parameter(w)
        else:
            self.register_buffer("b", b)
            self.register_buffer("w", w)

    def forward(self, t: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
        """The values of gamma at times t."""
        return self.b + self.slope() * t

    def endpoints(self) -> Float[Tensor, " 2"]:
        """gamma(0) and gamma(1)."""
        return torch.stack([self.b, self.b + self.slope()])

    def slope(self) -> Float[Tensor, ""]:
        """The derivative of gamma by t, never negative."""
        return self.w.abs()
