"""Models of the library ``diffusers``, with their own schedulers (``conceptspace[diffusers]``)."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from conceptspace.errors import UserError
from conceptspace.models.adapters.function import PixelRange, from_unit, to_unit
from conceptspace.models.generative import (
    EditableModel,
    FineTunable,
    GenerativeModel,
    Guidable,
    Hookable,
    Prompts,
)
from conceptspace.models.modes import evaluating, evaluating_behind
from conceptspace.models.noise import Noise

Predict = Callable[[Any, Tensor, Any, Tensor], Tensor]
"""(unet, x_t, t, condition) -> the unet's output."""


@dataclass(frozen=True)
class Diffusers(GenerativeModel, FineTunable, Hookable):
    """A U-Net that is sampled with a scheduler; see :func:`from_diffusers`.

    The scheduler is a copy, so that the one of the training stays as it is.
    """

    unet: Any
    scheduler: Any
    predict: Predict
    steps: int
    shape: tuple[int, ...]
    pixel_range: PixelRange
    decode: Callable[[Tensor], Tensor] | None
    encode: Callable[[Tensor], Tensor] | None = None
    null: Tensor | None = None
    weight: float = 1.0

    def __call__(self, prompts: Prompts, noise: Noise) -> Tensor:
        """Images in [0, 1]."""
        if not isinstance(prompts, Tensor):
            raise UserError("a U-Net takes prompts as a tensor; encode the texts first")
        return self.sampled(prompts, noise)

    def named_modules(self) -> Iterator[tuple[str, nn.Module]]:
        """The modules of the U-Net by name."""
        found: Iterator[tuple[str, nn.Module]] = self.unet.named_modules()
        return found

    def sampled(self, condition: Tensor, noise: Noise) -> Tensor:
        """Images in [0, 1] of labels or embeddings, (batch, ...)."""
        scheduler = deepcopy(self.scheduler)  # not from its config: its betas may be others
        scheduler.set_timesteps(self.steps)
        device, dtype = self.unet.device, self.unet.dtype
        condition = condition.to(device)
        if condition.is_floating_point():
            condition = condition.to(dtype)
        x = noise(*self.shape).to(device, dtype) * getattr(scheduler, "init_noise_sigma", 1.0)
        # Schedulers of flow matching lack both: noise has size 1, and inputs stay as they are.
        scaled = getattr(scheduler, "scale_model_input", lambda x, t: x)
        draws = "generator" in inspect.signature(scheduler.step).parameters
        more: Mapping[str, Any] = {"generator": noise.generators} if draws else {}
        with evaluating(self.unet):
            for t in scheduler.timesteps:
                output = self._output(scaled(x, t), t, condition)
                x = scheduler.step(output, t, x, **more).prev_sample
            if self.decode is not None:
                x = self.decode(x)
        return to_unit(x, self.pixel_range)

    def tunable_copy(self) -> tuple[Diffusers, nn.Module]:
        """The same with a copy of the U-Net in single precision.

        Raises:
            UserError: the scheduler is not of the kind whose loss is known, or latents cannot be
                made of images.
        """
        if not hasattr(self.scheduler, "alphas_cumprod"):
            raise UserError(
                f"fine-tuning needs a scheduler with betas, such as DDPMScheduler, and "
                f"{type(self.scheduler).__name__} has none"
            )
        if self.decode is not None and self.encode is None:
            raise UserError("to fine-tune a U-Net of latents, give from_diffusers(..., encode=)")
        unet = deepcopy(self.unet).float()
        return replace(self, unet=unet), unet

    def training_loss(self, images: Tensor, prompts: Tensor, source: torch.Generator) -> Tensor:
        """The mean squared error of what the scheduler's ``prediction_type`` says, at random times.

        With a = alphas_cumprod at t, x_t = sqrt(a) x + sqrt(1 - a) noise, and the U-Net predicts
        the noise ("epsilon"), x ("sample"), or sqrt(a) noise - sqrt(1 - a) x ("v_prediction").
        """
        x = from_unit(images, self.pixel_range)
        if self.encode is not None:
            with torch.no_grad():
                x = self.encode(x)
        noise = torch.randn(x.shape, generator=source).to(x)
        alphas = self.scheduler.alphas_cumprod.to(x)
        t = torch.randint(len(alphas), (len(x),), generator=source).to(x.device)
        a = alphas[t][:, None, None, None]
        targets = {
            "epsilon": noise,
            "sample": x,
            "v_prediction": a.sqrt() * noise - (1 - a).sqrt() * x,
        }
        found = self.predict(self.unet, a.sqrt() * x + (1 - a).sqrt() * noise, t, prompts)
        target = targets[self.scheduler.config.prediction_type]
        return (found[:, : x.shape[1]] - target).square().mean()  # beside it, its variance

    def _output(self, x: Tensor, t: Tensor, condition: Tensor) -> Tensor:
        if self.null is None or self.weight == 1:
            return self.predict(self.unet, x, t, condition)
        if self.null.shape != condition.shape[1:]:
            raise UserError(
                f"the null prompt has shape {tuple(self.null.shape)}, and a prompt "
                f"{tuple(condition.shape[1:])}"
            )
        nothing = self.null.to(condition).expand_as(condition)
        both = torch.cat([x, x]), t, torch.cat([condition, nothing])
        conditional, without = self.predict(self.unet, *both).chunk(2)
        return without + self.weight * (conditional - without)


@dataclass(frozen=True)
class GuidableDiffusers(Diffusers, Guidable):
    """A U-Net that was trained with a null prompt in place of some prompts."""

    def guided(self, weight: float) -> Diffusers:
        """The U-Net with f(null) + weight (f(prompt) - f(null)) in place of f(prompt)."""
        return replace(self, weight=weight)


@dataclass(frozen=True)
class EmbeddedDiffusers(Diffusers, EditableModel):
    """A U-Net that attends to embeddings, which protocols may edit: (batch, tokens, width)."""

    def embed_condition(self, h: Tensor) -> list[Tensor]:
        """The prompts themselves."""
        return [h]

    def from_embeddings(self, embeddings: Sequence[Tensor], noise: Noise) -> Tensor:
        """Images of the embeddings."""
        return self.sampled(embeddings[0], noise)


@dataclass(frozen=True)
class GuidableEmbedded(EmbeddedDiffusers, GuidableDiffusers):
    """A U-Net that attends to embeddings and knows a null prompt."""


def from_diffusers(
    unet: Any,
    scheduler: Any,
    *,
    steps: int = 50,
    shape: tuple[int, int, int] | None = None,
    pixel_range: PixelRange = (-1.0, 1.0),
    null: Tensor | int | None = None,
    decode: Callable[[Tensor], Tensor] | None = None,
    encode: Callable[[Tensor], Tensor] | None = None,
) -> Diffusers:
    """A model from a U-Net of ``diffusers`` and one of its schedulers.

    Prompts are handed over as they are: to ``UNet2DModel`` as ``class_labels`` (whole numbers, or
    vectors where ``class_embed_type`` is "identity"), to ``UNet2DConditionModel`` as
    ``encoder_hidden_states`` (batch, tokens, width), where a vector (batch, width) is one token.
    All noise, that of the scheduler included, depends on the seed, the class and the sample.

    Args:
        unet: ``UNet2DModel`` or ``UNet2DConditionModel``.
        scheduler: e.g. ``DDPMScheduler`` or ``DPMSolverMultistepScheduler``, as it was trained.
        steps: of the scheduler.
        shape: of what the U-Net denoises, (channels, height, width); by default its own.
        pixel_range: of its images, black and white.
        null: the label or embedding that stands for no prompt; it makes guidance possible.
        decode: latents -> pixels, e.g. ``lambda z: vae.decode(z / scale).sample``.
        encode: pixels -> latents, without which a U-Net of latents cannot be fine-tuned.

    Raises:
        UserError: diffusers is not installed; the U-Net is none of these, or of unknown shape.
    """
    library = diffusers()
    if isinstance(unet, library.UNet2DConditionModel):
        kinds: tuple[type[Diffusers], type[Diffusers]] = (EmbeddedDiffusers, GuidableEmbedded)
        predict: Predict = _attending
    elif isinstance(unet, library.UNet2DModel):
        kinds, predict = (Diffusers, GuidableDiffusers), _labelled
    else:
        raise UserError(
            f"from_diffusers takes a UNet2DModel or a UNet2DConditionModel, not a "
            f"{type(unet).__name__}; for a pipeline there is from_pipeline"
        )
    if not isinstance(scheduler, library.SchedulerMixin):
        raise UserError(f"a scheduler of diffusers is needed, not a {type(scheduler).__name__}")
    if shape is None:
        size = unet.config.sample_size
        if size is None:
            raise UserError("the U-Net has no sample_size; give shape=(c, h, w)")
        height, width = (size, size) if isinstance(size, int) else size
        shape = (unet.config.in_channels, height, width)
    kind, nothing = kinds[null is not None], None if null is None else torch.as_tensor(null)
    return kind(unet, scheduler, predict, steps, shape, pixel_range, decode, encode, nothing)


@dataclass(frozen=True)
class Pipeline(GenerativeModel):
    """A pipeline as it stands; see :func:`from_pipeline`.

    Its networks are in evaluation mode meanwhile, and it takes steps with a copy of its scheduler,
    so that the one of the training stays as it is.
    """

    pipeline: Any
    arguments: Callable[[Any], Mapping[str, Any]]

    def __call__(self, prompts: Prompts, noise: Noise) -> Tensor:
        """Images in [0, 1]."""
        with (
            _silent(self.pipeline),
            evaluating_behind(self.pipeline),
            _own_scheduler(self.pipeline),
        ):
            made = self.pipeline(
                **self.arguments(prompts), generator=noise.generators, output_type="np"
            )
        return torch.from_numpy(made.images).permute(0, 3, 1, 2)


def from_pipeline(pipeline: Any, arguments: Callable[[Any], Mapping[str, Any]]) -> Pipeline:
    """A model from a pipeline of ``diffusers``, with its own scheduler, decoder and guidance.

    Args:
        pipeline: e.g. ``DiTPipeline`` or ``StableDiffusionPipeline``.
        arguments: prompts -> what the pipeline is called with beside generators, such as
            ``lambda texts: {"prompt": texts, "num_inference_steps": 30}``.

    Raises:
        UserError: diffusers is not installed, or the pipeline is something else.
    """
    if not isinstance(pipeline, diffusers().DiffusionPipeline):
        raise UserError(f"a pipeline of diffusers is needed, not a {type(pipeline).__name__}")
    return Pipeline(pipeline, arguments)


def diffusers() -> Any:
    """The library.

    Raises:
        UserError: it is not installed.
    """
    try:
        import diffusers as library
    except ImportError as error:
        raise UserError(
            f"this needs the package diffusers ({error}); install it with: pip install "
            "'conceptspace[diffusers]'"
        ) from None
    return library


def _labelled(unet: Any, x: Tensor, t: Any, condition: Tensor) -> Tensor:
    if condition.ndim > 2:
        raise UserError(
            "a UNet2DModel takes labels or vectors as prompts, and these are sequences of shape "
            f"{tuple(condition.shape[1:])}, to which a UNet2DConditionModel attends"
        )
    output: Tensor = unet(x, t, class_labels=condition).sample
    return output


def _attending(unet: Any, x: Tensor, t: Any, condition: Tensor) -> Tensor:
    width = unet.config.cross_attention_dim
    if condition.ndim == 2:
        condition = condition[:, None]
    if condition.ndim != 3 or (isinstance(width, int) and condition.shape[2] != width):
        raise UserError(
            f"the UNet2DConditionModel attends to prompts (batch, tokens, {width}), not "
            f"{tuple(condition.shape)}"
        )
    output: Tensor = unet(x, t, encoder_hidden_states=condition).sample
    return output


@contextmanager
def _own_scheduler(pipeline: Any) -> Iterator[None]:
    """A copy of the pipeline's scheduler in its place meanwhile."""
    before = getattr(pipeline, "scheduler", None)
    if before is None:
        yield
        return
    pipeline.scheduler = deepcopy(before)
    try:
        yield
    finally:
        pipeline.scheduler = before


@contextmanager
def _silent(pipeline: Any) -> Iterator[None]:
    """Switch the pipeline's progress bar off meanwhile."""
    before = dict(getattr(pipeline, "_progress_bar_config", {}))
    pipeline.set_progress_bar_config(**{**before, "disable": True})
    try:
        yield
    finally:
        pipeline.set_progress_bar_config(**before)
