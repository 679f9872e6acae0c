"""Activation steering: a module's output moved by a difference of means over training prompts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor

from conceptspace.config import SWEEP
from conceptspace.errors import UserError
from conceptspace.models.hooks import Hooked, hooked, module_of
from conceptspace.models.noise import Noise
from conceptspace.models.sampling import sample
from conceptspace.protocols.base import Costly, Fitting, Protocol, Setting, in_name
from conceptspace.protocols.draws import (
    Encode,
    checked_prompts,
    differing,
    encoder,
    encoder_of,
    pairs,
    require_pairs,
)
from conceptspace.protocols.registry import Context, family
from conceptspace.seeding import generator
from conceptspace.settings.description import Section
from conceptspace.worlds.world import Prompting

Ask = Callable[[Any, Tensor, Noise], Any]
"""(model, prompts, noise): lets the model make images of prompts; what it makes is not used."""


def call(model: Any, prompts: Tensor, noise: Noise) -> Any:
    """A generative model is called."""
    return model(prompts, noise)


@dataclass(frozen=True)
class Steering(Costly, Fitting):
    """The output y of a module becomes y + s v in every pass (arXiv 2308.10248, 2312.06681).

    v is a difference of means: of y while the model makes images of training prompts with the
    concept's asked value, and of prompts with its other value. Only training classes that differ in
    nothing else are compared, each with the same noise, and the held-out class is never asked. The
    means are over samples, denoising steps and positions: one number for each channel of feature
    maps (batch, channels, height, width), and for each feature of (batch, ..., features).

    The control moves y as far in a random direction, drawn once for each setting.

    Args:
        world: whose OOD classes are asked for.
        concept: whose values are compared.
        module: name of the module.
        strengths: s; 1 moves by the difference itself. One setting each.
        prompts: drawn of each training class.
        encode: gives them, as the model is asked with; by default the world's concept vectors.
        ask: lets the model make images.
        control: see above.
        seed: of the noise.
    """

    world: Prompting
    concept: str
    module: str
    strengths: Sequence[float] = (1.0, 2.0, 4.0, 8.0, 16.0)
    prompts: int = 16
    encode: Encode | None = None
    ask: Ask = call
    control: bool = False
    seed: int = 0

    @property
    def name(self) -> str:
        """``steering-color``, or ``steering-control-color``."""
        return f"steering-{'control-' if self.control else ''}{self.concept}"

    def beside(self, denoising_steps: int) -> int:
        """Each setting makes images of the training prompts before."""
        found = [pairs(self.world.space, self.concept, str(c)) for c in self._ood()]
        classes = sum(2 * len(each) for each in found)
        return classes * self.prompts * denoising_steps * len(self.strengths)

    def settings(self, concept_class: str) -> Mapping[str, Setting]:
        """One setting per strength, for OOD classes with training classes to compare.

        Raises:
            UserError: there are none for any class.
        """
        require_pairs(self.world.space, self.concept, self.name)
        if concept_class not in self._ood():
            return {}
        compared = pairs(self.world.space, self.concept, concept_class)
        return {
            f"module={self.module},strength={in_name(s)}": self._setting(compared, s)
            for s in (self.strengths if compared else ())
        }

    def fit(self, model: Any) -> None:
        """The module has to be there.

        Raises:
            UserError: it is not; some that are there are named.
        """
        module_of(model, self.module, self.name)

    def _ood(self) -> Sequence[str]:
        return self.world.space.ood_classes

    def _setting(self, compared: Sequence[tuple[str, str]], strength: float) -> Setting:
        def apply(model: Any, h: Any) -> tuple[Any, Any]:
            vector = strength * self.vector(model, compared)
            if self.control:
                source = generator(0, "random direction", self.module, f"{strength:g}")
                drawn = torch.randn(vector.shape, generator=source).to(vector)
                vector = vector.norm() * drawn / drawn.norm()
            return Hooked(model, self.module, lambda y: y + _like(vector, y), self.name), h

        return apply

    @torch.no_grad()
    def vector(self, model: Any, compared: Sequence[tuple[str, str]]) -> Tensor:
        """v, the mean over pairs of classes (other value, asked value), shape (channels,).

        Raises:
            UserError: the model has no such module, or cannot be hooked; or the module's output
                has not one row for each prompt.
        """
        moved = [self._mean(model, b) - self._mean(model, a) for a, b in compared]
        return torch.stack(moved).mean(0)

    def _mean(self, model: Any, concept_class: str) -> Tensor:
        encode = self.encode or encoder(self.world)
        prompts = checked_prompts(encode, concept_class, self.prompts, self.name)
        means: list[Tensor] = []

        def see(y: Tensor) -> Tensor:
            if y.ndim < 2 or len(y) != len(prompts):
                raise UserError(
                    f"{self.name}: the module {self.module} gives a tensor of shape "
                    f"{tuple(y.shape)} for {len(prompts)} prompts; one with a row of features for "
                    "each is needed"
                )
            others = [axis for axis in range(y.ndim) if axis != _features(y)]
            means.append(y.float().mean(others))
            return y

        with hooked(model, self.module, see, self.name):
            self.ask(model, prompts, Noise(self.seed, "steering", range(len(prompts))))
        return torch.stack(means).mean(0)


def _features(y: Tensor) -> int:
    """The axis of channels or features: 1 for images, else the last."""
    return 1 if y.ndim == 4 else y.ndim - 1


def _like(vector: Tensor, y: Tensor) -> Tensor:
    """A vector of features as it is added to outputs."""
    return (vector[:, None, None] if y.ndim == 4 else vector).to(y)


class SteeringSettings(Section):
    """Where and how far activations are moved."""

    module: str = "network.trunk.down.0.0"
    """Name of the module whose output is moved; the first residual block."""
    strengths: Annotated[tuple[float, ...], SWEEP] = (1.0, 2.0, 4.0, 8.0, 16.0)
    """How many times the difference of means."""
    prompts: int = Field(16, ge=1, le=10**5)
    """Prompts of each training class that is compared."""


@family(
    "steering",
    names=lambda run: [
        f"steering-{kind}{concept}"
        for concept in differing(run.world.space)
        for kind in ("", "control-")
    ],
    settings=SteeringSettings,
    controls=lambda name: (
        name.replace("-control", "", 1) if name.startswith("steering-control-") else ""
    ),
)
def steering(name: str, run: Context) -> Protocol:
    """Steering along one of the run's concepts, or its control."""
    own, evaluate, side = run.own, run.config.evaluate, run.world.resolution

    def ask(model: Any, prompts: Tensor, noise: Noise) -> Tensor:
        device = next(model.parameters()).device
        return sample(
            model,
            model.schedule,
            prompts.to(device),
            steps=evaluate.sampling_steps,
            noise=lambda: noise(3, side, side).to(device),
            sampler=evaluate.sampler,
        )

    kind = name.removeprefix("steering-")
    concept = kind.removeprefix("control-")
    return Steering(
        run.world,
        concept,
        own.module,
        own.strengths,
        own.prompts,
        encode=encoder_of(run),
        ask=ask,
        control=kind != concept,
        seed=run.config.seed,
    )
