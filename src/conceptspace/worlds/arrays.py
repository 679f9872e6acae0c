"""Images and columns of values in memory as a world."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from conceptspace.errors import UserError
from conceptspace.seeding import generator as stream
from conceptspace.space import ConceptClass, ConceptSpace, paper_split
from conceptspace.worlds.factors import Factors, Names, Shown, read_factors, show
from conceptspace.worlds.pixels import as_images, scaled
from conceptspace.worlds.pools import Pools

PROMPT = "prompt"
"""The variable of prompts that an encoder makes of a class as a whole."""

Encode = Callable[[tuple[str, ...]], Tensor]
"""The names of a class's values -> its prompt, (k,), or a sequence of embeddings, (tokens, k)."""

Classes = Sequence[str | Sequence[Any]]
"""Classes by their digits, "01", or by the names of their values, ("red", "small")."""


class ArrayWorld(Pools):
    """Images whose concepts are columns of values; not every combination needs to exist.

    What is held out need not exist either: then it is asked for, and no image stands for it.

    >>> images = np.zeros((4, 8, 8, 3), dtype=np.uint8)
    >>> factors = {"hue": np.array(["red", "red", "blue", "blue"]), "size": np.array([0, 1, 0, 1])}
    >>> world = ArrayWorld(images, factors, held_out=["11"])
    >>> world.space.train_classes, world.class_mean("11").tolist()
    (('00', '01', '10'), [0.0, 1.0, 0.0, 1.0])

    Args:
        images: see :func:`conceptspace.worlds.pixels.as_images`. Grey ones stay grey in memory and
            are shown to model and probe as three equal channels. Or a function that reads the
            images of given rows, an increasing array of numbers.
        factors: a column for each concept, see :func:`conceptspace.worlds.factors.read_factors`.
        names: of the values, see the same function.
        held_out: classes that are never trained; ``"paper"`` for those with more than one value
            other than the first.
        train: classes that are; by default all others that exist.
        resolution: pixels per side; may be left out for squares, others are scaled to it.
        per_class: images taken of each class, chosen at random once and for all seeds; by default
            all.
        shown: by concept, the numbers in [0, 1] that prompts show of each value, in their order,
            e.g. ``{"hue": [(0.6, 0.4, 0.4), (0.4, 0.4, 0.6)]}``, which are exaggerated away from
            1/2; of all other concepts one-hot codes.
        encode: makes prompts, vectors or sequences of one shape, such as embeddings of texts;
            without it they are one-hot codes, one after the other.

    Raises:
        UserError: images, columns, names or classes are of the wrong form, or do not fit together;
            a training class has no image, or a class fewer than ``per_class``.
    """

    augmentation = None

    def __init__(
        self,
        images: Any,
        factors: Mapping[str, Any],
        *,
        names: Mapping[str, Names] | None = None,
        held_out: Classes | Literal["paper"] = (),
        train: Classes | None = None,
        resolution: int | None = None,
        per_class: int | None = None,
        shown: Shown | None = None,
        encode: Encode | None = None,
    ) -> None:
        whole = None if callable(images) else as_images(images)
        count = len(next(iter(factors.values()), ())) if whole is None else len(whole)
        found = show(read_factors(factors, names or {}, count), shown or {})
        self.space = split(found, held_out, train)
        taken = chosen(found, self.space, per_class)
        rows = np.sort(np.concatenate(list(taken.values())))
        pixels = as_images(images(rows)) if whole is None else whole[torch.from_numpy(rows)]
        height, width = pixels.shape[2:]
        if resolution is None and height != width:
            raise UserError(
                f"images are {height} x {width} pixels; name the resolution of the square to which "
                "they are scaled"
            )
        self.resolution = resolution or height
        pixels = scaled(pixels, self.resolution)
        self._pools = {
            name: pixels[torch.from_numpy(np.searchsorted(rows, own))]
            for name, own in taken.items()
        }
        self._prompts = _encoded(self.space, encode) if encode else None

    @property
    def pools(self) -> Mapping[str, Tensor]:
        """The images that were taken of each class."""
        return self._pools

    @property
    def columns(self) -> Mapping[str, slice]:
        """Of one-hot prompts, as many entries as a concept has values; of others, one part."""
        if self._prompts is None:
            return super().columns
        return {PROMPT: slice(0, next(iter(self._prompts.values())).shape[-1])}

    def class_mean(self, concept_class: str) -> Float[Tensor, "*tokens k"]:
        """The prompt of a class."""
        if self._prompts is None:
            return super().class_mean(concept_class)
        return self._prompts[concept_class].clone()

    def recipe(self, margin: float) -> dict[str, Any]:
        """The content of the images, and the values of the concepts."""
        labels = {concept.name: list(concept.labels) for concept in self.space.concepts}
        return {"arrays": self.digest, "concepts": labels}

    @property
    def digest(self) -> str:
        """SHA-256 of the images, of their classes and of the resolution."""
        whole = hashlib.sha256(f"{self.resolution}".encode())
        for name in sorted(self.pools):
            pool = self.pools[name].contiguous()
            whole.update(f"/{name}/{tuple(pool.shape)}/{pool.dtype}/".encode())
            whole.update(pool.numpy().tobytes())
        return whole.hexdigest()

    def provenance(self) -> dict[str, Any]:
        """How many images of each class there are, and a hash of them."""
        return {
            "concepts": {concept.name: list(concept.labels) for concept in self.space.concepts},
            "images": {name: len(pool) for name, pool in sorted(self.pools.items())},
            "resolution": self.resolution,
            "digest": self.digest,
        }


def split(
    found: Factors, held_out: Classes | Literal["paper"], train: Classes | None
) -> ConceptSpace:
    """The concepts, and which classes train.

    Raises:
        UserError: see :class:`ArrayWorld`.
    """
    there = sorted(set(found.classes.tolist()))
    if held_out == "paper":
        ood = [c for c in paper_split([len(c.labels) for c in found.concepts])[1] if c in there]
    else:
        ood = [found.class_of(named) for named in held_out]
    trained = [ConceptClass(name) for name in there if name not in ood]
    if train is not None:
        trained = [found.class_of(named) for named in train]
    space = ConceptSpace(found.concepts, tuple(trained), tuple(ood))
    for name in trained:
        if name not in there:
            raise UserError(
                f"there is no image of the training class {name} ({space.describe(name)})"
            )
    return space


def chosen(
    found: Factors, space: ConceptSpace, per_class: int | None
) -> dict[str, NDArray[np.int64]]:
    """The rows of the images of each class, in random order; no entry for a class without any.

    Raises:
        UserError: a class has some, and fewer than ``per_class``.
    """
    taken = {}
    for name in space.classes:
        rows = found.rows_of(name)
        if per_class is not None and 0 < len(rows) < per_class:
            raise UserError(
                f"there are {len(rows)} images of class {name} ({space.describe(name)}), and "
                f"{per_class} are asked for of each class"
            )
        order = torch.randperm(len(rows), generator=stream(0, "arrays", name))
        if len(rows):
            taken[str(name)] = rows[order[:per_class].numpy()]
    return taken


def _encoded(space: ConceptSpace, encode: Encode) -> dict[str, Tensor]:
    """The prompt of each class."""
    prompts: dict[str, Tensor] = {}
    for name in space.classes:
        pairs = zip(space.concepts, name.values, strict=True)
        prompt = encode(tuple(concept.labels[value] for concept, value in pairs))
        first = next(iter(prompts.values()), prompt)
        right = isinstance(prompt, Tensor) and prompt.ndim in (1, 2) and prompt.numel() > 0
        if not right or not bool(torch.isfinite(prompt).all()):
            given = tuple(prompt.shape) if isinstance(prompt, Tensor) else type(prompt).__name__
            raise UserError(
                f"the encoder gives {given} for {space.describe(name)}; one tensor of finite "
                "numbers belongs there, a vector or a sequence (tokens, width), without a mask"
            )
        if prompt.shape != first.shape:
            raise UserError(
                f"the encoder gives {tuple(prompt.shape)} for {space.describe(name)} and "
                f"{tuple(first.shape)} for another class; pad prompts to one length"
            )
        prompts[str(name)] = prompt.detach().to(torch.get_default_dtype())
    return prompts
