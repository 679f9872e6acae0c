"""Asking a generative model for classes under a protocol."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from conceptspace.errors import UserError
from conceptspace.models.generative import EditableModel, Prompts, name_of, require
from conceptspace.models.modes import evaluating_behind
from conceptspace.models.noise import Noise
from conceptspace.protocols.base import Embedding, Protocol, offered
from conceptspace.recording.evaluate import Generated
from conceptspace.recording.scoring import JudgeScorer
from conceptspace.seeding import all_random_numbers_kept, seed_all, stream_seed
from conceptspace.space import ConceptClass
from conceptspace.worlds import border


@dataclass(frozen=True)
class Asker:
    """Asks models for classes and scores what they make.

    Prompts and noise depend on the seed, the class and the sample alone, as in
    :class:`~conceptspace.recording.evaluate.Evaluator`.

    Args:
        prompts: what each class is asked with, one for each sample.
        scorer: scores images.
        seed: of the run.
        batch_size: largest number of images that a model is asked for at once.
    """

    prompts: Mapping[ConceptClass, Prompts]
    scorer: JudgeScorer
    seed: int
    batch_size: int

    def __call__(
        self, model: Any, protocol: Protocol, skip: Collection[tuple[str, str]] = ()
    ) -> list[Generated]:
        """The images of every class under every setting of a protocol, scored.

        Neither gradients nor the global random numbers of PyTorch, Python and NumPy are touched;
        the networks behind the model are in evaluation mode meanwhile, see
        :func:`~conceptspace.models.modes.networks`. What is asked and judged are copies. A protocol
        that draws numbers draws the same at every checkpoint. A setting is applied when its turn
        comes, so that it may change the model.

        Args:
            model: at one checkpoint; anything callable, see
                :class:`~conceptspace.models.generative.GenerativeModel`.
            protocol: how it is asked.
            skip: pairs (setting, class) that are not wanted.

        Raises:
            UserError: the model lacks an ability that the protocol needs; it or the judge answers
                with something else than images and probabilities.
            Diverged: an image holds a value that is not finite.
        """
        if not callable(model):
            raise UserError(
                f"a model is called with prompts and noise, and {model!r} cannot be called"
            )
        with _undisturbed(model):
            return [
                self._asked(name, concept_class, setting(model, _copied(prompts)), protocol.name)
                for concept_class, prompts in self.prompts.items()
                for name, setting in offered(protocol, concept_class).items()
                if (name, str(concept_class)) not in skip
            ]

    def _asked(
        self, setting: str, concept_class: ConceptClass, request: tuple[Any, Any], protocol: str
    ) -> Generated:
        """The images of one class under one setting, which may have changed the model for it."""
        model, prompts = request
        _require_count(prompts, len(self.prompts[concept_class]), protocol)
        return self._generated(setting, concept_class, _generator(model, protocol), prompts)

    @torch.no_grad()
    def _generated(
        self,
        setting: str,
        concept_class: ConceptClass,
        make: Callable[[Any, Noise], Any],
        prompts: Prompts,
    ) -> Generated:
        parts = []
        for first in range(0, len(prompts), self.batch_size):
            some = prompts[first : first + self.batch_size]
            seed_all(stream_seed(self.seed, "inside the model", concept_class, first))
            noise = Noise(self.seed, concept_class, range(first, first + len(some)))
            what = f"{name_of(make)}, asked for class {concept_class},"
            parts.append(border.generated(make(_copied(some), noise), what, len(some)))
        if len({part.shape[1:] for part in parts}) > 1:
            raise UserError(f"{name_of(make)} makes images of different sizes")
        images = torch.cat(parts)
        scores = self.scorer(images.clone(), str(concept_class))
        return Generated(setting, str(concept_class), images, scores)


def _generator(model: Any, protocol: str) -> Callable[[Any, Noise], Any]:
    """The model that makes the images: the given one, or the one behind edited embeddings."""
    if not isinstance(model, Embedding):
        made: Callable[[Any, Noise], Any] = model
        return made
    inner: EditableModel = require(model.model, EditableModel, protocol)

    def edited(prompts: Tensor, noise: Noise) -> Tensor:
        return inner.from_embeddings(model.embed_condition(prompts), noise)

    edited.__qualname__ = name_of(inner)
    return edited


def _require_count(prompts: Any, count: int, protocol: str) -> None:
    if not isinstance(prompts, Tensor | list) or len(prompts) != count:
        raise UserError(
            f"{protocol} returns prompts that are not {count} rows of a tensor or texts in a list"
        )


@contextmanager
def _undisturbed(model: Any) -> Iterator[None]:
    """Evaluation mode meanwhile; afterwards mode and random numbers are as they were before."""
    with all_random_numbers_kept(), evaluating_behind(model):
        yield


def _copied(prompts: Prompts) -> Prompts:
    """Prompts that may be changed in place."""
    return prompts.clone() if isinstance(prompts, Tensor) else list(prompts)
