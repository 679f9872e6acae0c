"""Worlds from data set objects of torch and of Hugging Face ``datasets``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from conceptspace.errors import UserError
from conceptspace.worlds.arrays import ArrayWorld
from conceptspace.worlds.pictures import in_eight_bits
from conceptspace.worlds.pixels import as_images, scaled


def from_torch(
    dataset: Any, factors: Callable[[Any], Mapping[str, Any]], *, resolution: int, **options: Any
) -> ArrayWorld:
    """A world from a data set whose items are pairs (image, target), all held in memory, scaled.

    Args:
        dataset: has a length, and items from 0 on.
        factors: target -> the value of each concept, ``{"hue": "red", "shape": "cube"}``.
        resolution: pixels per side, to which all images are scaled.
        options: of :class:`ArrayWorld`.

    Raises:
        UserError: an image or a target is of the wrong form; see :class:`ArrayWorld`.
    """
    pairs = (dataset[index] for index in range(len(dataset)))
    return _world(((image, factors(target)) for image, target in pairs), resolution, options)


def from_huggingface(
    dataset: Any,
    factors: Sequence[str] | Callable[[Mapping[str, Any]], Mapping[str, Any]],
    *,
    resolution: int,
    image: str = "image",
    **options: Any,
) -> ArrayWorld:
    """A world from a data set whose rows are mappings, as those of ``datasets``.

    All images are held in memory, scaled; a sample of a large data set is
    ``dataset.shuffle(seed=0).select(range(20_000))``.

    Args:
        dataset: iterable over rows; one split.
        factors: columns that are the concepts (a ``ClassLabel`` counts by its names), or a function
            of a row, which may parse its caption:
            ``lambda row: dict(zip(("hue", "shape"), row["text"].split()))``.
        resolution: pixels per side, to which all images are scaled.
        image: the column of the images.
        options: of :class:`ArrayWorld`.

    Raises:
        UserError: a column is missing, something else stands in place of an image, or the data set
            still has several splits; see :class:`ArrayWorld`.
    """
    if isinstance(dataset, Mapping):
        raise UserError(
            f"the data set has the splits {', '.join(map(str, dataset))}; choose one, as in "
            f"dataset[{next(iter(dataset), 'train')!r}]"
        )
    features = getattr(dataset, "features", None) or {}
    labels = {name: f.names for name, f in features.items() if hasattr(f, "names")}

    def values(row: Mapping[str, Any]) -> Mapping[str, Any]:
        if callable(factors):
            return factors(row)
        return {name: _labelled(_of(row, name), name, labels.get(name)) for name in factors}

    return _world(((_of(row, image), values(row)) for row in dataset), resolution, options)


def _of(row: Mapping[str, Any], name: str) -> Any:
    if name not in row:
        raise UserError(f"the data set has no column {name!r}; it has {', '.join(row)}")
    return row[name]


def _labelled(value: Any, name: str, labels: Sequence[str] | None) -> Any:
    """The name of a class label; other values as they are."""
    if labels is None:
        return value
    if not 0 <= value < len(labels):
        raise UserError(f"{name} is {value} in some row, and its labels are {', '.join(labels)}")
    return labels[value]


def _world(items: Any, resolution: int, options: Mapping[str, Any]) -> ArrayWorld:
    images: list[Tensor] = []
    columns: dict[str, list[Any]] = {}
    for index, (image, values) in enumerate(items):
        if not isinstance(values, Mapping) or (index and set(values) != set(columns)):
            raise UserError(
                f"item {index}: the value of each concept belongs there, as {{'hue': 'red'}}, of "
                f"the same concepts for every item, not {values!r}"
            )
        images.append(_scaled(image, resolution, index))
        for name, value in values.items():
            columns.setdefault(name, []).append(value)
    if not images:
        raise UserError("the data set has no items")
    most = max(len(image) for image in images)
    same = [image.expand(most, -1, -1) for image in images]
    return ArrayWorld(torch.stack(same), columns, resolution=resolution, **options)


def _scaled(image: Any, side: int, index: int) -> Tensor:
    """One image as bytes or numbers, shape (1 or 3, side, side)."""
    what = f"the image of item {index}"
    if isinstance(image, Image.Image):
        try:
            image = in_eight_bits(image)
        except ValueError as error:
            raise UserError(f"{what}: {error}; make it an array of bytes") from None
        grey = image.mode in ("1", "L")
        image = np.asarray(image.convert("L" if grey else "RGBA"))
    if not isinstance(image, Tensor | np.ndarray):
        kind = type(image).__name__
        raise UserError(f"{what}: a picture, an array or a tensor belongs there, not {kind}")
    return scaled(as_images(image[None], what), side)[0]
