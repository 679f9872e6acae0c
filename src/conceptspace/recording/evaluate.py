"""Generate images at a checkpoint under a protocol, and score them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from conceptspace.errors import UserError
from conceptspace.models.modes import evaluating
from conceptspace.models.sampling import Denoiser, Sampler, gaussian, sample
from conceptspace.models.vdm import VDM, EmbeddingVDM
from conceptspace.protocols.base import Embedding, Protocol, offered
from conceptspace.recording.scoring import Scorer
from conceptspace.seeding import generator
from conceptspace.worlds import border
from conceptspace.worlds.conditioning import Conditioning
from conceptspace.worlds.world import Prompting, World


@dataclass(frozen=True)
class Sampling:
    """How images are generated.

    Args:
        samples: images per class and setting.
        steps: denoising steps.
        sampler: "ancestral" or "ddim".
        batch_size: largest number of images in one call of the sampler.
    """

    samples: int = 32
    steps: int = 50
    sampler: Sampler = "ancestral"
    batch_size: int = 512


@dataclass(frozen=True)
class Generated:
    """The images of one setting and class, with their scores.

    Attributes:
        setting: of the protocol.
        concept_class: that was asked for.
        images: in [0, 1], on the CPU.
        scores: see :class:`Scorer`.
    """

    setting: str
    concept_class: str
    images: Float[Tensor, "samples channels height width"]
    scores: pd.DataFrame


def prompt_vectors(
    world: Prompting, concept_class: str, count: int, seed: int
) -> Float[Tensor, "count *tokens k"]:
    """Concept vectors to ask for a class: its mean if it is OOD, else drawn from it by the seed."""
    if concept_class in world.space.ood_classes:
        mean = border.class_mean(world, concept_class)
        return mean.repeat(count, *(1 for _ in mean.shape))
    source = generator(seed, "prompts", concept_class)
    return border.sample(world, concept_class, count, source)


@dataclass(frozen=True)
class Evaluator:
    """Asks models for classes and scores what they make.

    Prompts and noise depend on the seed and the class alone: at every checkpoint and under every
    protocol, sample i of a class starts from the same noise, so that differences come from the
    model and the protocol. OOD prompts are class means, in-distribution prompts are drawn from the
    class, as in the settings published with the paper (section 3.1).

    Args:
        world: the data-generating process.
        conditioning: M.
        scorer: scores images.
        sampling: how images are generated.
        seed: of the run.
    """

    world: World
    conditioning: Conditioning
    scorer: Scorer
    sampling: Sampling
    seed: int

    def prompts(self, concept_class: str) -> Float[Tensor, "samples k"]:
        """Conditioning of the images of one class."""
        z = prompt_vectors(self.world, concept_class, self.sampling.samples, self.seed)
        return self.conditioning(z)

    def __call__(
        self,
        model: VDM,
        protocol: Protocol,
        classes: Sequence[str],
        skip: Collection[tuple[str, str]] = (),
    ) -> list[Generated]:
        """Generate and score classes under every setting of a protocol.

        The model is in evaluation mode meanwhile, and afterwards in the mode that it was in. A
        protocol may compute gradients; sampling does not.

        Args:
            model: at one checkpoint.
            protocol: how it is asked.
            classes: what it is asked for.
            skip: pairs (setting, class) that are not wanted.

        Raises:
            UserError: the protocol gives something else than a prompt for each sample.
        """
        device = next(model.parameters()).device
        with evaluating(model):
            requests = []
            for concept_class in classes:
                for name, setting in offered(protocol, concept_class).items():
                    if (name, concept_class) in skip:
                        continue
                    asked, h = setting(model, self.prompts(concept_class).to(device))
                    _require_count(h, self.sampling.samples, protocol.name)
                    requests.append(_Request(name, concept_class, asked, h))
            made: dict[tuple[str, str], list[Tensor]] = {}
            for batch in self._batches(requests):
                for request, images in zip(batch, self._sample(model, batch), strict=True):
                    made.setdefault((request.setting, request.concept_class), []).append(images)
        joined = {key: torch.cat(parts) for key, parts in made.items()}
        return [
            Generated(setting, concept_class, images, self.scorer(images, concept_class))
            for (setting, concept_class), images in joined.items()
        ]

    def _batches(self, requests: list[_Request]) -> Iterator[list[_Request]]:
        """Requests, or parts of them, that the sampler can serve together: at most batch size."""
        groups: dict[object, list[_Request]] = {}
        for request in requests:
            found = groups.setdefault(_key(request.asked), [])
            found.extend(request.parts(self.sampling.batch_size))
        most = max(1, self.sampling.batch_size // self.sampling.samples)
        for group in groups.values():
            for i in range(0, len(group), most):
                yield group[i : i + most]

    @torch.no_grad()
    def _sample(self, model: VDM, batch: list[_Request]) -> Sequence[Tensor]:
        h = torch.cat([request.h for request in batch])
        asked = batch[0].asked
        source = asked if isinstance(asked, VDM) else model
        with evaluating(source):
            x = sample(
                _together(batch),
                source.schedule,
                h,
                steps=self.sampling.steps,
                noise=self._noise(batch, h.device),
                sampler=self.sampling.sampler,
            )
        images: tuple[Tensor, ...] = torch.split(source.decode(x), [len(r.h) for r in batch])
        return images

    def _noise(self, batch: list[_Request], device: torch.device) -> Callable[[], Tensor]:
        """Noise that depends on seed, class and sample only."""
        resolution = self.world.resolution
        shape = (self.sampling.samples, 3, resolution, resolution)
        draws = {
            c: gaussian(shape, generator(self.seed, "sampling", c), device)
            for c in {request.concept_class for request in batch}
        }

        def noise() -> Tensor:
            drawn = {c: draw() for c, draw in draws.items()}
            return torch.cat([drawn[r.concept_class][r.first : r.first + len(r.h)] for r in batch])

        return noise


@dataclass(frozen=True)
class _Request:
    """Prompts of one setting and class; ``first`` is the sample that the first of them makes."""

    setting: str
    concept_class: str
    model: VDM | Embedding | Denoiser
    h: Tensor
    first: int = 0

    @property
    def asked(self) -> VDM | Denoiser:
        """The model that denoises: the VDM behind edited embeddings, or the model itself."""
        if not isinstance(self.model, Embedding):
            return self.model
        assert isinstance(self.model.model, VDM)
        return self.model.model

    def parts(self, size: int) -> Iterator[_Request]:
        """The same prompts, at most ``size`` of them at a time."""
        for first in range(0, len(self.h), size):
            yield replace(self, h=self.h[first : first + size], first=first)


def _require_count(prompts: Any, count: int, protocol: str) -> None:
    if not isinstance(prompts, Tensor) or len(prompts) != count:
        raise UserError(f"{protocol} returns prompts that are not {count} rows of a tensor")


def _key(model: object) -> object:
    """What requests of equal models share; of a model without a hash, that it is the same."""
    try:
        hash(model)
    except TypeError:
        return id(model)
    return model


def _together(batch: list[_Request]) -> Denoiser:
    """One denoiser for a batch; condition embeddings are computed once per sampling."""
    asked = batch[0].asked
    if not isinstance(asked, EmbeddingVDM):
        return asked
    editable = (EmbeddingVDM, Embedding)
    parts = [r.model.embed_condition(r.h) for r in batch if isinstance(r.model, editable)]
    conditions = [torch.cat(blocks) for blocks in zip(*parts, strict=True)]
    return lambda z, gamma, h: asked.denoise(z, gamma, conditions)
