"""Velocity fields as generative models: flow matching and rectified flow."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from copy import deepcopy
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from conceptspace.errors import UserError
from conceptspace.models.adapters.function import PixelRange, from_unit, to_unit
from conceptspace.models.generative import FineTunable, GenerativeModel, Guidable, Hookable, Prompts
from conceptspace.models.modes import evaluating
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
    module: nn.Module | None

    def __call__(self, prompts: Prompts, noise: Noise) -> Tensor:
        """Images in [0, 1]; a module is in evaluation mode meanwhile."""
        if not isinstance(prompts, Tensor):
            raise UserError("a velocity field takes prompts as a tensor, not texts")
        with nullcontext() if self.module is None else evaluating(self.module):
            return self._integrated(prompts, noise)

    def _integrated(self, prompts: Tensor, noise: Noise) -> Tensor:
        h, x = prompts.to(self.device), noise(*self.shape).to(self.device)
        for t, s in pairwise(torch.linspace(*self.times, self.steps + 1).tolist()):
            v = self.velocity(x, x.new_full((len(x),), t), h)
            if self.method == "heun":
                ahead = self.velocity(x + (s - t) * v, x.new_full((len(x),), s), h)
                v = (v + ahead) / 2
            x = x + (s - t) * v
        return to_unit(x, self.pixel_range)


@dataclass(frozen=True)
class TunableFlow(Flow, FineTunable, Hookable):
    """A flow whose velocity field is a ``torch.nn.Module``."""

    def named_modules(self) -> Iterator[tuple[str, nn.Module]]:
        """The modules of the velocity field by name."""
        assert self.module is not None
        return self.module.named_modules()

    def tunable_copy(self) -> tuple[TunableFlow, nn.Module]:
        """The flow of a copy of the module in single precision."""
        module = deepcopy(self.module)
        assert module is not None
        module.float()
        return replace(self, velocity=module, module=module), module

    def training_loss(self, images: Tensor, prompts: Tensor, source: torch.Generator) -> Tensor:
        """The mean squared error of the velocity on straight lines from noise to images.

        Between the time of noise t0 and that of images t1, x_t goes evenly from one to the other,
        and dx/dt = (image - noise) / (t1 - t0) (arXiv 2209.03003).
        """
        x = from_unit(images, self.pixel_range)
        noise = torch.randn(x.shape, generator=source).to(x)
        share = torch.rand(len(x), generator=source).to(x)
        start, end = self.times
        between = torch.lerp(noise, x, share.view(-1, *[1] * (x.ndim - 1)))
        found = self.velocity(between, start + (end - start) * share, prompts)
        return (found - (x - noise) / (end - start)).square().mean()


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

        settings = self.shape, self.steps, self.method, self.times, self.pixel_range, self.device
        return Flow(velocity, *settings, self.module)


@dataclass(frozen=True)
class GuidableTunableFlow(GuidableFlow, TunableFlow):
    """A flow whose velocity field is a module, and which knows a null prompt."""


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
        velocity: (x_t, t, prompts) -> dx/dt, see :data:`Velocity`; a ``torch.nn.Module`` can be
            fine-tuned.
        shape: of one image, (channels, height, width).
        steps: of equal length from noise to images; "heun" asks the field twice in each.
        method: "euler", of first order, or "heun", of second.
        times: of noise and of images, (1.0, 0.0) where noise stands at t = 1.
        pixel_range: of the field's images, black and white.
        null: the prompt that stands for none, (...) as one prompt; it makes guidance possible.
        device: where the field computes.

    Raises:
        UserError: there is no step, or no such method.
    """
    if steps < 1:
        raise UserError(f"a flow takes 1 step or more, not {steps}")
    if method not in get_args(Method):
        raise UserError(f"a flow has the method {' or '.join(get_args(Method))}, not {method!r}")
    module = velocity if isinstance(velocity, nn.Module) else None
    settings = velocity, shape, steps, method, times, pixel_range, torch.device(device), module
    if null is None:
        return (Flow if module is None else TunableFlow)(*settings)
    return (GuidableFlow if module is None else GuidableTunableFlow)(*settings, null)
