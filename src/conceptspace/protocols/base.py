"""What a protocol is: a way to ask a model for a concept class, (model, h) -> (model', h').

A protocol offers named settings; each setting maps a model and its prompts to a possibly changed
model and prompts, after training and without touching the weights on disk (paper section 4.4,
App. B). A new protocol is a class with a ``name`` and a method ``settings``. What it needs of a
model beyond prompts and images is an ability of :mod:`conceptspace.models.generative`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, runtime_checkable
from typing import Protocol as Interface

from torch import Tensor

from conceptspace.errors import UserError
from conceptspace.models.generative import EditableCondition
from conceptspace.seeding import all_random_numbers_kept, seed_all, stream_seed
from conceptspace.space import NAME

Setting = Callable[[Any, Any], tuple[Any, Any]]
"""(model, prompts) -> (model', prompts' of the same number).

The returned model is the one that is asked: the given one, edited embeddings of it, a changed copy,
or whatever else makes images in its place.
"""


@runtime_checkable
class Asking(Interface):
    """A way to ask: a name, and named settings to try for a class."""

    @property
    def name(self) -> str:
        """Its name in tables and folders."""
        ...

    def settings(self, concept_class: str) -> Mapping[str, Setting]:
        """The settings by name, none if the protocol has nothing to say of the class."""
        ...


def in_name(number: int | float) -> str:
    """A number in a setting's name: with six digits, or as many as tell it from others."""
    short = f"{number:g}"
    return short if float(short) == number else repr(float(number))


def require_name(name: str) -> None:
    """Refuse a protocol's name that cannot be that of a folder.

    Raises:
        UserError: says what a name is.
    """
    if not NAME.fullmatch(name):
        raise UserError(
            f"a protocol cannot be called {name[:80]!r}; its name is up to 64 letters and "
            "digits, between them spaces, _ . + or -"
        )


def offered(protocol: Asking, concept_class: str) -> Mapping[str, Setting]:
    """The settings of a protocol for a class: the same whenever they are asked for and applied.

    What a protocol draws from the global random numbers of PyTorch, Python and NumPy, now or when a
    setting is applied, comes from streams of its own, and leaves them as they were.
    """

    @contextmanager
    def own_numbers(*purpose: str) -> Iterator[None]:
        with all_random_numbers_kept():
            seed_all(stream_seed(0, *purpose, protocol.name, concept_class))
            yield

    def drawing(name: str, setting: Setting) -> Setting:
        return lambda model, h: own_numbers("setting", name)(setting)(model, h)

    with own_numbers("settings"):
        found = protocol.settings(concept_class)
    return {name: drawing(name, setting) for name, setting in found.items()}


Protocol = Asking
"""The noun of this package; ``typing`` looks at no members of a class that is itself called so,
and would take anything for an instance."""


class Fitting(ABC):
    """A protocol that can tell whether a model has what it needs before that is trained."""

    @abstractmethod
    def fit(self, model: Any) -> None:
        """Look at an untrained model.

        Raises:
            UserError: the model lacks something; the sentence says what it has.
        """


class Costly:
    """A protocol that takes more of the network than a pass for each image and denoising step."""

    @property
    def passes(self) -> int:
        """Passes through the network for an image, at each denoising step."""
        return 1

    def beside(self, denoising_steps: int) -> int:
        """Images that pass through the network at a checkpoint, besides those that are judged.

        Args:
            denoising_steps: that the sampler takes for an image.
        """
        return 0


class Embedding(ABC):
    """A model that differs from another in the condition embeddings alone.

    Prompts of such models of one VDM, and of the VDM itself, are sampled together in one batch.

    Attributes:
        model: the other.
    """

    model: EditableCondition

    @abstractmethod
    def embed_condition(self, h: Tensor) -> list[Tensor]:
        """The condition embedding of every place where it enters, (batch, ...) each."""
