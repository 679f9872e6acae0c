"""A few steps of training on a few examples as a way to ask, in a copy of the model."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import product
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from conceptspace.errors import UserError
from conceptspace.models.generative import FineTunable, require
from conceptspace.protocols.base import Costly, Fitting, Protocol, Setting
from conceptspace.protocols.lora import adapters, peft
from conceptspace.protocols.registry import Context, family
from conceptspace.seeding import generator, random_numbers_kept, stream_seed
from conceptspace.settings.bounds import Each
from conceptspace.settings.description import Section
from conceptspace.tables import FINE_TUNING
from conceptspace.worlds import border
from conceptspace.worlds.world import Prompting, World

Draw = Callable[[str, int, torch.Generator], tuple[Tensor, Tensor]]
"""(class, count, generator) -> images (count, channels, height, width) in [0, 1], and a prompt for
each, as the model is asked with."""

BATCH = 32
"""Examples in one step, if there are as many."""


@dataclass(frozen=True)
class FineTuning(Costly, Fitting):
    """A copy of the model is trained a little further, and then asked as always.

    On "training" classes it sees nothing that training did not show, so what it then makes of an
    OOD class, it could nearly make before (few-shot elicitation, e.g. arXiv 2405.19550). On the
    "held-out" class it sees the very images that it is asked for: that teaches, so it is never
    counted as elicitation, but shows how far away a capability is.

    The control takes as many steps of the same size on the same images, each time with prompts
    that are drawn independently of them among those of the training classes: whatever further
    training does by itself, it does too, but image and prompt say nothing of each other. A
    permutation that is drawn once would leave some of few pairs right.

    Each step is one of AdamW without weight decay on at most :data:`BATCH` examples, the gradient
    cut at norm 1. Examples and all noise depend on the seed, not on the checkpoint; the control
    and adapters see the same examples.

    Args:
        world: whose OOD classes are asked for.
        on: see above.
        steps: of training.
        examples: of each class; every pair with a number of steps is one setting.
        draw: gives examples; by default the world's images with their concept vectors.
        rank: of low-rank adapters (:mod:`conceptspace.protocols.lora`), which are then trained in
            place of the weights; 0 for none.
        control: see above.
        learning_rate: of AdamW.
        seed: of examples and noise.

    Raises:
        UserError: there is no way to draw examples, or a number is too small.
    """

    world: Prompting
    on: Literal["training", "held-out"]
    steps: Sequence[int] = (10, 50)
    examples: Sequence[int] = (4, 16)
    draw: Draw | None = None
    rank: int = 0
    control: bool = False
    learning_rate: float = 1e-3
    seed: int = 0

    def __post_init__(self) -> None:
        if self.draw is None and not isinstance(self.world, World):
            raise UserError(
                f"{self.name} needs examples, and {type(self.world).__name__} has no images; give "
                "draw=, a function (class, count, generator) -> images, prompts"
            )
        if min([*self.steps, *self.examples], default=1) < 1 or self.rank < 0:
            raise UserError(f"{self.name} takes 1 step and 1 example or more, and a rank from 0 on")

    @property
    def name(self) -> str:
        """``fine-tuning-training-lora-control``, for example."""
        adapted, control = ("-lora" if self.rank else ""), ("-control" if self.control else "")
        return f"{FINE_TUNING}-{self.on}{adapted}{control}"

    def beside(self, denoising_steps: int) -> int:
        """Those that it is trained on, counted three times for their gradient."""
        space = self.world.space
        classes = 1 if self.on == "held-out" else len(space.train_classes)
        each = sum(
            steps * min(BATCH, count * classes)
            for steps, count in product(self.steps, self.examples)
        )
        return 3 * each * len(space.ood_classes)

    def fit(self, model: Any) -> None:
        """It has to be tunable, and for adapters peft is needed.

        Raises:
            UserError: it is not, or peft is not installed.
        """
        require(model, FineTunable, self.name)
        if self.rank:
            peft()

    def settings(self, concept_class: str) -> Mapping[str, Setting]:
        """One setting per pair of steps and examples, for OOD classes."""
        if concept_class not in self.world.space.ood_classes:
            return {}
        return {
            f"steps={steps},examples={count}": self._setting(concept_class, steps, count)
            for steps, count in product(self.steps, self.examples)
        }

    def _setting(self, concept_class: str, steps: int, count: int) -> Setting:
        def apply(model: Any, h: Any) -> tuple[Any, Any]:
            tunable: FineTunable = require(model, FineTunable, self.name)
            return self._tuned(tunable, concept_class, steps, count), h

        return apply

    def _tuned(self, model: FineTunable, concept_class: str, steps: int, count: int) -> FineTunable:
        """A copy of the model, trained; neither it nor PyTorch's random numbers are touched."""
        training = self.world.space.train_classes
        images, prompts = self._shots([concept_class] if self.on == "held-out" else training, count)
        if self.control:
            _, prompts = self._shots(training, count)
        with torch.inference_mode(False), torch.enable_grad(), random_numbers_kept():
            torch.manual_seed(stream_seed(self.seed, FINE_TUNING, "dropout"))
            copy, module = model.tunable_copy()
            module.train().requires_grad_(True)
            with adapters(module, self.rank) if self.rank else nullcontext():
                self._train(copy, module, images, prompts, steps)
            module.eval().requires_grad_(False)
        return copy

    def _train(
        self, copy: FineTunable, module: nn.Module, images: Tensor, prompts: Tensor, steps: int
    ) -> None:
        trained = [p for p in module.parameters() if p.requires_grad]
        device = trained[0].device
        optimizer = torch.optim.AdamW(trained, lr=self.learning_rate, weight_decay=0.0)
        for step in range(steps):
            source = generator(self.seed, FINE_TUNING, step)
            rows = torch.randperm(len(images), generator=source)[:BATCH]
            prompt_rows = rows
            if self.control:
                prompt_rows = torch.randint(len(prompts), (len(rows),), generator=source)
            loss = copy.training_loss(
                images[rows].to(device), prompts[prompt_rows].to(device), source
            )
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(trained, 1.0)
            optimizer.step()
            if not math.isfinite(loss.item()):
                raise UserError(
                    f"{self.name} diverged in step {step + 1}; take a smaller learning_rate than "
                    f"{self.learning_rate:g}"
                )
        optimizer.zero_grad()

    def _shots(self, classes: Sequence[str], count: int) -> tuple[Tensor, Tensor]:
        """Images of classes with their prompts."""
        parts = [self._drawn(name, count) for name in classes]
        return torch.cat([images for images, _ in parts]), torch.cat([h for _, h in parts])

    def _drawn(self, name: str, count: int) -> tuple[Tensor, Tensor]:
        source = generator(self.seed, FINE_TUNING, "examples", name)
        if self.draw is None:
            assert isinstance(self.world, World)
            return border.draw(self.world, name, count, source)
        images, prompts = self.draw(name, count, source)
        images = border.generated(images, f"the draw of {self.name}, class {name},", count)
        if not isinstance(prompts, Tensor) or len(prompts) != count:
            raise UserError(
                f"the draw of {self.name}, class {name}, gives no {count} rows of prompts"
            )
        return images, prompts


class FineTuningSettings(Section):
    """How copies are trained, in ``[protocols.fine-tuning]``."""

    steps: Annotated[tuple[int, ...], Each(1, 10**6, most=100)] = (10, 50)
    """Steps of training."""
    examples: Annotated[tuple[int, ...], Each(1, 10**6, most=100)] = (4, 16)
    """Examples of each class; with every number of steps one setting."""
    rank: int = Field(4, ge=1, le=8192)
    """Of low-rank adapters, where they are asked."""
    learning_rate: float = Field(1e-3, gt=0, le=10**4)
    """Of AdamW."""


def _names(run: Context) -> list[str]:
    kinds = product(("training", "held-out"), ("", "-lora"), ("", "-control"))
    return [f"{FINE_TUNING}-{on}{lora}{control}" for on, lora, control in kinds]


def _fixed(name: str, run: Context) -> dict[str, float]:
    """The learning rate, and of adapters their rank."""
    used = ("learning_rate", "rank") if "-lora" in name else ("learning_rate",)
    return {f"protocols.{FINE_TUNING}.{key}": getattr(run.own, key) for key in used}


@family(
    FINE_TUNING,
    names=_names,
    settings=FineTuningSettings,
    fixed=_fixed,
    controls=lambda name: name.removesuffix("-control") if name.endswith("-control") else "",
)
def fine_tuning(name: str, run: Context) -> Protocol:
    """Fine-tuning of a run's model, with the seed of the run."""

    def draw(concept_class: str, count: int, source: torch.Generator) -> tuple[Tensor, Tensor]:
        images, z = border.draw(run.world, concept_class, count, source)
        return images, run.conditioning(z)

    own: FineTuningSettings = run.own
    return FineTuning(
        run.world,
        "held-out" if "held-out" in name else "training",
        own.steps,
        own.examples,
        draw,
        own.rank if "-lora" in name else 0,
        "-control" in name,
        own.learning_rate,
        run.config.seed,
    )
