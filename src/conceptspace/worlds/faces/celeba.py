"""CelebA from a local folder as a world: images of faces whose concepts are attributes (App. C.3).

The folder is laid out as CelebA is given out, or as a mirror packs it, and is never changed::

    ROOT/list_attr_celeba.txt             or list_attr_celeba.csv
    ROOT/img_align_celeba/000001.jpg ...  or img_align_celeba/img_align_celeba/000001.jpg ...

Of each class the same number of images is chosen at random, once and for all seeds, and scaled to a
square as a whole. The prompt is the one-hot code of each attribute, one after the other.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from conceptspace.cache import usable
from conceptspace.errors import UserError
from conceptspace.files import sha256, write_atomically, write_json
from conceptspace.seeding import generator as stream
from conceptspace.space import ConceptClass, ConceptSpace, all_classes
from conceptspace.worlds.augmentation import Augmentation
from conceptspace.worlds.faces.attributes import Attributes, read_attributes
from conceptspace.worlds.pictures import as_seen
from conceptspace.worlds.pools import Pools

LIST = "list_attr_celeba.txt"
TABLE = "list_attr_celeba.csv"
"""The list as a table, which is read where there is no :data:`LIST`."""
IMAGES = "img_align_celeba"
WORKERS = 8

READING = 2
"""Version of how files become pixels; what another version read is not taken from the cache."""


@dataclass(frozen=True)
class CelebaWorld(Pools):
    """Faces with attributes. Files are read when images are first needed.

    Args:
        space: its concepts come from
            :func:`conceptspace.worlds.faces.attributes.attribute_concept`.
        resolution: pixels per side.
        root: the folder.
        per_class: images chosen of each class, trained or not.
        jitter: of the training images' brightness, contrast and saturation.
        flips: share of training images that are mirrored.
        cache: folder in which the scaled images are kept, keyed by the content of their files.
    """

    space: ConceptSpace
    resolution: int
    root: Path
    per_class: int
    jitter: float
    flips: float
    cache: Path

    @property
    def augmentation(self) -> Augmentation:
        """Jitter and flips."""
        return Augmentation(self.jitter, self.flips)

    def recipe(self, margin: float) -> dict[str, Any]:
        """The content of the images."""
        return {"celeba": self.digest, "concepts": list(self.space.names), "reading": READING}

    def check(self) -> None:
        """Read the list and choose files, but no image yet.

        Raises:
            UserError: the list cannot be read, or a class has too few images.
        """
        assert len(self.chosen) == len(self._classes)

    def provenance(self) -> dict[str, Any]:
        """What data these are, as JSON: the folder, how many images, and a hash of their files."""
        names = self.space.names
        found = {str(c): len(self.attributes.files_of(names, c)) for c in self._classes}
        return {
            "root": str(self.root),
            "attributes": list(names),
            "images": len(self.attributes.files),
            "available": found,
            "per_class": self.per_class,
            "resolution": self.resolution,
            "digest": self.digest,
        }

    @cached_property
    def attributes(self) -> Attributes:
        """The content of the list."""
        table = self.root / TABLE
        there = table.exists() and not (self.root / LIST).exists()
        return read_attributes(table if there else self.root / LIST)

    @cached_property
    def images(self) -> Path:
        """The folder of the images."""
        packed = self.root / IMAGES / IMAGES
        return packed if packed.is_dir() else self.root / IMAGES

    @cached_property
    def chosen(self) -> dict[str, list[str]]:
        """The files of each class, in random order.

        Raises:
            UserError: a class has too few.
        """
        found = {}
        for name in self._classes:
            files = self.attributes.files_of(self.space.names, name)
            if len(files) < self.per_class:
                raise UserError(
                    f"{self.root} has {len(files)} images of class {name} "
                    f"({self.space.describe(name)}); data.images_per_class asks for "
                    f"{self.per_class}"
                )
            order = torch.randperm(len(files), generator=stream(0, "celeba", name))
            found[str(name)] = [files[i] for i in order[: self.per_class].tolist()]
        return found

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the chosen files' content, of their classes and of the resolution."""
        whole = hashlib.sha256(f"{self.resolution}".encode())
        for name, files in self.chosen.items():
            whole.update(f"/{name}/".encode())
            for content in _map(lambda file: hashlib.sha256(self._read(file)).digest(), files):
                whole.update(content)
        return whole.hexdigest()

    @cached_property
    def pools(self) -> Mapping[str, UInt8[Tensor, "images 3 height width"]]:
        """The scaled images of each class, from the cache if they are there whole.

        Raises:
            UserError: the folder or an image cannot be read, or the cache cannot be written.
        """
        path = self.cache / f"celeba-{self.digest[:24]}-{READING}.safetensors"
        cached = _cached(path)
        if cached is None:
            usable(self.cache)
            cached = {
                name: torch.from_numpy(np.stack(list(_map(self._scaled, files))))
                for name, files in self.chosen.items()
            }
            content = save_tensors(cached)
            write_atomically(path, content)
            write_json(path.with_suffix(".json"), {"sha256": sha256(content)})
        return cached

    @property
    def sizes(self) -> Mapping[str, int]:
        """How many images are chosen of each class; none is read."""
        return {name: len(files) for name, files in self.chosen.items()}

    @property
    def _classes(self) -> Sequence[ConceptClass]:
        return all_classes(len(self.space.names))

    def _read(self, file: str) -> bytes:
        path = self.images / file
        try:
            if path.exists() and not path.is_file():
                raise UserError(f"{path} is not a regular file; replace it with the image")
            return path.read_bytes()
        except FileNotFoundError:
            raise UserError(
                f"{self.attributes.path} names {file}, which is not in {self.images}"
            ) from None
        except OSError as error:
            raise UserError(f"cannot read the image {path}: {error.strerror}") from None

    def _scaled(self, file: str) -> np.ndarray[Any, np.dtype[np.uint8]]:
        """Pixels of an image, shape (3, resolution, resolution)."""
        content = self._read(file)
        size = (self.resolution, self.resolution)
        try:
            small = as_seen(content).resize(size, Image.Resampling.BILINEAR)
        except ValueError as error:
            raise UserError(
                f"{self.images / file} is not an image that can be read ({error}); replace it"
            ) from None
        return np.ascontiguousarray(np.asarray(small).transpose(2, 0, 1))


def _cached(path: Path) -> dict[str, Tensor] | None:
    """The tensors in a file, if its hash is the one in the JSON beside it, else None."""
    try:
        content = path.read_bytes()
        record = json.loads(path.with_suffix(".json").read_text())
        return load_tensors(content) if record["sha256"] == sha256(content) else None
    except (OSError, ValueError, KeyError, TypeError, SafetensorError):
        return None


def _map(function: Any, files: Sequence[str]) -> Any:
    """The function of each file in order, several at once."""
    with ThreadPoolExecutor(min(WORKERS, os.cpu_count() or 1)) as workers:
        yield from workers.map(function, files)
