"""Velocity fields as generative models: flow matching and rectified flow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor

from conceptspace.errors import UserError
from conceptspace.models.adapters.function import PixelRange, to_unit
from conceptspace.models.generative import GenerativeModel, Guidable, Prompts
from conceptspace.models.noise import Noise

Velocity = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(x_t of shape (B, ...), t of shape (B,), prompts of shape (B, ...)) -> dx/dt like x_t."""

Method = Literal["euler", "heun"]


@dataclass(frozen=True)
class Flow(GenerativeModel):
    """dx/dt = v(x, t, prompt), integrated from noise to images; see :func:`from_flow`."""

    velocity: Velocity
    shape: tuple[int, ...]
    steps: int
    method: Method
    times: tuple[float, float]
    pixel_range: PixelRange
    device: torch.device

    def __call__(self, prompts: Prompts, noise: Noise) -> Tensor:
        """Images in [0, 1]."""
        if not isinstance(prompts, Tensor):
            raise UserError("a velocity field takes prompts as a tensor, not texts")
        h, x = prompts.to(self.device), noise(*self.shape).to(self.device)
        for t, s in pairwise(torch.linspace(*self.times, self.steps + 1).tolist()):
            v = self.velocity(x, x.new_full((len(x),), t), h)
            if self.method == "heun":
                ahead = self.velocity(x + (s - t) * v, x.new_full((len(x),), s), h)
                v = (v + ahead) / 2
            x = x + (s - t) * v
        return to_unit(x, self.pixel_range)


@dataclass(frozen=True)
class GuidableFlow(Flow, Guidable):
    """A flow that was trained with a null prompt in place of some prompts."""

    null: Tensor

    def guided(self, weight: float) -> Flow:
        """The flow of v(null) + weight (v(prompt) - v(null))."""

        def velocity(x: Tensor, t: Tensor, h: Tensor) -> Tensor:
            nothing = self.null.to(h).expand_as(h)
            both = torch.cat([x, x]), torch.cat([t, t]), torch.cat([h, nothing])
            conditional, without = self.velocity(*both).chunk(2)
            return without + weight * (conditional - without)

        return replace(self, velocity=velocity)


def from_flow(
    velocity: Velocity,
    shape: tuple[int, ...],
    *,
    steps: int = 50,
    method: Method = "euler",
    times: tuple[float, float] = (0.0, 1.0),
    pixel_range: PixelRange = (-1.0, 1.0),
    null: Tensor | None = None,
    device: torch.device | str = "cpu",
) -> Flow:
    """A model from a velocity field (flow matching, arXiv 2210.02747; rectified flow, 2209.03003).

    Args:
        velocity: (x_t, t, prompts) -> dx/dt, see :data:`Velocity`.
        shape: of one image, (channels, height, width).
        steps: of equal length from noise to images; "heun" asks the field twice in each.
        method: "euler", of first order, or "heun", of second.
        times: of noise and of images, (1.0, 0.0) where noise stands at t = 1.
        pixel_range: of the field's images, black and white.
        null: the prompt that stands for none, (...) as one prompt; it makes guidance possible.
        device: where the field computes.

    Raises:
        UserError: there is no step.
    """
    if steps < 1:
        raise UserError(f"a flow takes 1 step or more, not {steps}")
    settings = velocity, shape, steps, method, times, pixel_range, torch.device(device)
    return Flow(*settings) if null is None else GuidableFlow(*settings, null)
