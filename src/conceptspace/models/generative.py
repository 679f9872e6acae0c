"""Generative models as far as they are recorded, and abilities that they declare by their type.

Any callable ``model(prompts, noise) -> images`` can be recorded. What a protocol needs beyond that
is one of the abstract classes here; it is never guessed from the names of methods.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from conceptspace.errors import UserError
from conceptspace.models.noise import Noise

Prompts = Tensor | list[str]
"""What a batch is asked for: vectors, labels or token embeddings (batch, ...), or texts."""


class GenerativeModel(ABC):
    """A model at one checkpoint.

    A plain function of the same arguments does as well; subclasses declare what more they can do.
    """

    @abstractmethod
    def __call__(self, prompts: Prompts, noise: Noise) -> Tensor:
        """Images in [0, 1], shape (batch, channels, height, width), on any device.

        Args:
            prompts: one for each image.
            noise: draws all that is random, ``noise(3, 16, 16)``.
        """


class EditableCondition(ABC):
    """Whatever turns prompts into condition embeddings that can be changed before they are used."""

    @abstractmethod
    def embed_condition(self, h: Tensor) -> list[Tensor]:
        """The embeddings of prompts, one for each place where they enter, (batch, ...) each."""


class EditableModel(GenerativeModel, EditableCondition):
    """A model that makes images from condition embeddings, changed or not."""

    @abstractmethod
    def from_embeddings(self, embeddings: Sequence[Tensor], noise: Noise) -> Tensor:
        """Images, as :meth:`__call__` makes them from the prompts of the embeddings."""

    def __call__(self, prompts: Prompts, noise: Noise) -> Tensor:
        """Images of prompts."""
        if not isinstance(prompts, Tensor):
            raise UserError(f"{name_of(self)} embeds tensors, and was prompted with texts")
        return self.from_embeddings(self.embed_condition(prompts), noise)


class Guidable(ABC):
    """Whatever has a null prompt, for classifier-free guidance (arXiv 2207.12598)."""

    @abstractmethod
    def guided(self, weight: float) -> Any:
        """The same model with f(null) + weight (f(prompt) - f(null)) in place of f(prompt).

        Weight 0 ignores the prompt, 1 changes nothing, more exaggerates the prompt.
        """


class FineTunable(ABC):
    """Whatever a protocol may train further, in a copy."""

    @abstractmethod
    def tunable_copy(self) -> tuple[FineTunable, nn.Module]:
        """The same model with weights of its own, and the module in it that holds them.

        The module's parameters are floating-point numbers of single precision or more.
        """

    @abstractmethod
    def training_loss(self, images: Tensor, prompts: Tensor, source: torch.Generator) -> Tensor:
        """The loss that the model was trained with, a scalar with gradient.

        Args:
            images: in [0, 1], shape (batch, channels, height, width).
            prompts: one for each image, as the model is asked with.
            source: draws all that is random, on the CPU.
        """


class Hookable(ABC):
    """Whatever computes with modules of PyTorch, whose outputs a protocol may change.

    Hooks on a module fire whenever the model calls it; nothing may compute in its place.
    """

    @abstractmethod
    def named_modules(self) -> Iterator[tuple[str, nn.Module]]:
        """The modules by their names, as ``torch.nn.Module.named_modules`` gives them."""


ABILITIES: dict[type, str] = {
    EditableCondition: "condition embeddings that can be edited",
    EditableModel: "condition embeddings that can be edited",
    Guidable: "a null prompt",
    FineTunable: "weights that can be fine-tuned",
    Hookable: "modules that can be hooked",
}
"""What a model can be asked for, in words."""


def require(model: Any, ability: type, protocol: str) -> Any:
    """The model, if it has an ability.

    Args:
        model: that is asked.
        ability: one of the abstract classes of this module.
        protocol: name of the protocol that needs it.

    Raises:
        UserError: the model lacks it; names both.
    """
    if not isinstance(model, ability):
        raise UserError(
            f"the protocol {protocol} needs a model with {ABILITIES[ability]} "
            f"(conceptspace.{ability.__name__}), which {name_of(model)} is not"
        )
    return model


def name_of(thing: Any) -> str:
    """What a callable is called: the name of a function or class, the class of an object."""
    return str(getattr(thing, "__qualname__", type(thing).__name__))
