"""What a world gives, checked once where it comes in: shapes, types, ranges and counts.

A world of one's own that gives bytes, infinities or too few images is refused in one sentence,
before anything is trained on them.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from conceptspace.errors import Diverged, UserError
from conceptspace.worlds.conditioning import Conditioning
from conceptspace.worlds.pixels import range_hint
from conceptspace.worlds.world import Prompting, World

TOLERANCE = 1e-4
"""How far beyond [0, 1] pixels may be, for the rounding of resampled images."""


def draw(
    world: World, concept_class: str, count: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """``world.draw``, checked: images (count, 3, resolution, resolution) in [0, 1], and z.

    z are vectors (count, k), or sequences (count, tokens, k).

    Raises:
        UserError: they are something else.
    """
    what = f"{_name(world)}.draw, class {concept_class}"
    images, z = _pair(world.draw(concept_class, count, generator), what, "images, z")
    return _images(images, what, count, world.resolution), _vectors(z, what, count, world)


def sample(world: Prompting, concept_class: str, count: int, generator: torch.Generator) -> Tensor:
    """``world.sample``, checked: concept vectors (count, k), or sequences (count, tokens, k).

    Raises:
        UserError: they are something else.
    """
    what = f"{_name(world)}.sample, class {concept_class}"
    return _vectors(world.sample(concept_class, count, generator), what, count, world)


def class_mean(world: Prompting, concept_class: str) -> Tensor:
    """``world.class_mean``, checked: one concept vector (k,), or a sequence (tokens, k).

    Raises:
        UserError: it is something else.
    """
    what = f"{_name(world)}.class_mean, class {concept_class}"
    z = world.class_mean(concept_class)
    if not isinstance(z, Tensor) or z.ndim not in (1, 2):
        raise UserError(f"{what}: a vector ({_width(world)},) belongs there, not {in_words(z)}")
    return _vectors(z[None], what, 1, world)[0]


def labelled(world: World, purpose: str, count: int, margin: float) -> tuple[Tensor, Tensor]:
    """``world.labelled``, checked: images, and the number of the value of each concept.

    Every class that occurs has ``count`` images, and every value of a concept occurs.

    Raises:
        UserError: they are something else.
    """
    what = f"{_name(world)}.labelled, {purpose!r}"
    images, values = _pair(world.labelled(purpose, count, margin), what, "images, labels")
    space = world.space
    concepts = len(space.concepts)
    table = isinstance(values, Tensor) and values.ndim == 2 and values.shape[1] == concepts
    if not table or values.is_floating_point() or values.is_complex() or not len(values):
        raise UserError(
            f"{what}: labels are whole numbers of shape (images, {concepts}), not "
            f"{in_words(values)}"
        )
    images = _images(images, what, len(values), world.resolution)
    for index, (concept, size) in enumerate(zip(space.concepts, space.sizes, strict=True)):
        own = values[:, index]
        if bool(((own < 0) | (own >= size)).any()):
            raise UserError(
                f"{what}: labels of {concept.name} are 0 to {size - 1}, and {own.min()} to "
                f"{own.max()} are there"
            )
        missing = set(range(size)) - set(own.unique().tolist())
        if missing:
            raise UserError(
                f"{what}: there is no image of {concept.name} {concept.labels[min(missing)]!r}"
            )
    for digits, images_of in zip(*_counted(values), strict=True):
        if images_of != count:
            raise UserError(f"{what}: {images_of} images of class {digits} are there, not {count}")
    return images, values.long()


def _counted(values: Tensor) -> tuple[list[str], list[int]]:
    """The classes among labels, and how many images each has."""
    classes, counts = values.unique(dim=0, return_counts=True)
    return ["".join(map(str, row)) for row in classes.tolist()], counts.tolist()


def picture(world: World, concept_class: str) -> Tensor | None:
    """``world.picture``, checked: one image (3, resolution, resolution) in [0, 1], or None.

    Raises:
        UserError: it is something else.
    """
    what, image = f"{_name(world)}.picture, class {concept_class}", world.picture(concept_class)
    side = world.resolution
    if image is None:
        return None
    if not isinstance(image, Tensor) or image.ndim != 3:
        raise UserError(
            f"{what}: an image (3, {side}, {side}) belongs there, not {in_words(image)}"
        )
    return _images(image[None], what, 1, side)[0]


def generated(images: Any, what: str, count: int) -> Tensor:
    """What a generative model made, checked: (count, channels, height, width) in [0, 1].

    There are 1, 3 or 4 channels. The result lies on the CPU, in single precision.

    Raises:
        Diverged: a pixel is not finite.
        UserError: the images are something else.
    """
    right = isinstance(images, Tensor) and images.ndim == 4 and len(images) == count
    if not right or images.shape[1] not in (1, 3, 4) or not images.is_floating_point():
        raise UserError(
            f"{what} makes floating-point images of shape ({count}, 1, 3 or 4, height, width) in "
            f"[0, 1], not {in_words(images)}"
        )
    images = images.detach().cpu().float()
    if not bool(images.isfinite().all()):
        raise Diverged(f"{what} makes images with values that are not finite; it has diverged")
    _require_range(images, what)
    return images.clamp(0, 1)


def agree(world: World, conditioning: Conditioning) -> None:
    """Refuse a conditioning that looks for variables where the world does not keep them.

    Raises:
        UserError: a variable stands elsewhere in the world's z.
    """
    for name in conditioning.variables:
        there, asked = world.columns.get(name), conditioning.columns.get(name)
        if there is None or there != asked:
            raise UserError(
                f"the conditioning shows {name!r} at {_columns(asked)} of z, where "
                f"{_name(world)}.columns has it at {_columns(there)}; use "
                "Conditioning(variables, world.columns)"
            )


def _images(images: Any, what: str, count: int, side: int) -> Tensor:
    _check(images, (count, 3, side, side), "images in [0, 1]", what)
    _require_range(images, what)
    return _plain(images)


def _require_range(images: Tensor, what: str) -> None:
    low, high = images.min().item(), images.max().item()
    if low < -TOLERANCE or high > 1 + TOLERANCE:
        raise UserError(
            f"{what}: pixels reach from {low:g} to {high:g}, not [0, 1]{range_hint(low, high)}"
        )


def _vectors(z: Any, what: str, count: int, world: Prompting) -> Tensor:
    tokens = z.shape[1:2] if isinstance(z, Tensor) and z.ndim == 3 else ()
    _check(z, (count, *tokens, _width(world)), "concept vectors", what)
    return _plain(z)


def _plain(values: Tensor) -> Tensor:
    """Single precision as it is, any other in the precision that new tensors have."""
    return values if values.dtype == torch.float32 else values.to(torch.get_default_dtype())


def _check(values: Any, shape: tuple[int, ...], kind: str, what: str) -> None:
    right = isinstance(values, Tensor) and values.shape == shape
    if not right or not values.is_floating_point():
        raise UserError(
            f"{what}: {kind} are floating-point tensors of shape {shape}, not {in_words(values)}"
        )
    if not bool(values.isfinite().all()):
        raise UserError(f"{what}: some numbers of the {kind} are NaN or infinite")


def _pair(given: Any, what: str, names: str) -> tuple[Any, Any]:
    if not isinstance(given, tuple | list) or len(given) != 2:
        raise UserError(f"{what}: a pair ({names}) belongs there, not {in_words(given)}")
    return given[0], given[1]


def _width(world: Prompting) -> int:
    """Numbers in a concept vector."""
    return max((part.stop for part in world.columns.values()), default=0)


def in_words(value: Any) -> str:
    """Type and shape of a tensor, the class of anything else."""
    if isinstance(value, Tensor):
        return f"{str(value.dtype).removeprefix('torch.')} of shape {tuple(value.shape)}"
    return type(value).__name__


def _columns(part: slice | None) -> str:
    return "no place" if part is None else f"{part.start}:{part.stop}"


def _name(world: Prompting) -> str:
    return type(world).__name__
