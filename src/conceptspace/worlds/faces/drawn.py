"""Drawn faces as a world: nothing is downloaded, and no renderer is offered to the instrument.

They are treated as photographs are: a pool of images of each class, the same for every seed, and
prompts that are one-hot codes. So what is measured on them is measured as on CelebA.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from conceptspace.files import sha256
from conceptspace.seeding import stream_seed
from conceptspace.space import ConceptClass, ConceptSpace, all_classes
from conceptspace.worlds.augmentation import Augmentation
from conceptspace.worlds.faces.attributes import plain
from conceptspace.worlds.faces.drawing import SHARES, draw_face
from conceptspace.worlds.pools import Pools


@dataclass(frozen=True)
class DrawnFaces(Pools):
    """Faces of :mod:`conceptspace.worlds.faces.drawing`.

    Args:
        space: its concepts come from
            :func:`conceptspace.worlds.faces.attributes.attribute_concept`, of attributes that can
            be drawn.
        resolution: pixels per side.
        per_class: images of each class, trained or not.
        jitter: of the training images' brightness, contrast and saturation.
        flips: share of training images that are mirrored.
    """

    space: ConceptSpace
    resolution: int
    per_class: int
    jitter: float
    flips: float

    @property
    def augmentation(self) -> Augmentation:
        """Jitter and flips."""
        return Augmentation(self.jitter, self.flips)

    @cached_property
    def pools(self) -> Mapping[str, UInt8[Tensor, "images 3 height width"]]:
        """The images of each class."""
        names = self.space.names
        return {
            str(name): _drawn(names, str(name), self.per_class, self.resolution)
            for name in all_classes(len(names))
        }

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the images."""
        return sha256(b"".join(pool.numpy().tobytes() for pool in self.pools.values()))

    def recipe(self, margin: float) -> dict[str, Any]:
        """The content of the images."""
        return {"drawn faces": self.digest, "concepts": list(self.space.names)}

    def provenance(self) -> dict[str, Any]:
        """What data these are, as JSON."""
        return {
            "what": f"drawn faces with the attributes {' and '.join(self.space.names)}",
            "images": {name: len(pool) for name, pool in self.pools.items()},
            "resolution": self.resolution,
            "digest": self.digest,
        }


@lru_cache(maxsize=16)
def _drawn(names: tuple[str, ...], concept_class: str, count: int, side: int) -> Tensor:
    """Images of a class, bytes of shape (count, 3, side, side)."""
    rng = np.random.default_rng(stream_seed(0, "drawn faces", *names, concept_class))
    fixed = {}
    for name, value in zip(names, ConceptClass(concept_class).values, strict=True):
        fixed[plain(name)] = bool(value) != (plain(name) != name)
    images = []
    for _ in range(count):
        found = {name: rng.random() < share for name, share in SHARES.items()} | fixed
        images.append(draw_face([name for name, has in found.items() if has], rng, side, side))
    return torch.from_numpy(np.stack(images).transpose(0, 3, 1, 2).copy())
