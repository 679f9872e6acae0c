"""The shapes world: a data-generating process G: z -> x of one 2-D object on a background.

A concept vector z has 11 numbers (paper section 3.1, App. A.1): shape (one-hot circle, triangle),
x, y, color (RGB), size, background (RGB). Lengths are in units of half the image width, with the
origin at the center, x to the right and y downwards.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from conceptspace.errors import UserError
from conceptspace.space import Concept, ConceptClass, ConceptSpace, all_classes
from conceptspace.worlds.rendered import RenderedWorld

COLUMNS: dict[str, slice] = {
    "shape": slice(0, 2),
    "x": slice(2, 3),
    "y": slice(3, 4),
    "color": slice(4, 7),
    "size": slice(7, 8),
    "background": slice(8, 11),
}
"""Where each variable stands in a concept vector z, and in the conditioning h = M(z)."""

VARIABLES = 11
"""Length of a concept vector."""

MEAN_SIZE = 0.45
"""Half way between the small and the large class; also the size where it is not a concept."""

SMALLEST_SIZE = 0.1

FARTHEST = 0.5
"""How far a probe's objects stand from the middle where position is a concept, unless the means are
further away."""

TRIANGLE_SIDE = math.sqrt(4 * math.pi / math.sqrt(3))
"""Base and height of a triangle of size 1: the side of the equilateral one with a circle's area."""

TRIANGLE_BASE = math.sqrt(3) / 6
"""How far the base lies on the side of -y, in units of :data:`TRIANGLE_SIDE`.

The two other sides have slope 2, as in the published settings, so the area is 2 / sqrt(3) times
that of the circle.
"""


def shape() -> Concept:
    """Circle or triangle."""
    return Concept.one_hot("shape", ("circle", "triangle"))


def color(separation: float, spread: float = 1 / 8) -> Concept:
    """Red or blue, ``separation`` apart in each channel; ``spread`` is a share of it."""
    high, low = 0.5 + separation / 2, 0.5 - separation / 2
    means = ((high, low, low), (low, low, high))
    return Concept("color", ("red", "blue"), means, spread * separation)


def size(separation: float, spread: float = 3 / 8) -> Concept:
    """Large or small radius, ``separation`` apart; ``spread`` is a share of it."""
    means = ((MEAN_SIZE + separation / 2,), (MEAN_SIZE - separation / 2,))
    return Concept(
        "size",
        ("large", "small"),
        means,
        spread * separation,
        limits=(SMALLEST_SIZE, 1.0),
        center=MEAN_SIZE,
    )


def background(separation: float, spread: float = 1 / 8) -> Concept:
    """Bright or dark grey, ``separation`` apart; ``spread`` is a share of it."""
    high, low = 0.5 + separation / 2, 0.5 - separation / 2
    return Concept("background", ("bright", "dark"), ((high,) * 3, (low,) * 3), spread * separation)


def position(axis: str, separation: float, spread: float = 1 / 8) -> Concept:
    """Left or right (``axis="x"``), top or bottom (``axis="y"``) half."""
    labels = ("left", "right") if axis == "x" else ("top", "bottom")
    means = ((-separation / 2,), (separation / 2,))
    return Concept(axis, labels, means, spread * separation, limits=(-1.0, 1.0), center=0.0)


@dataclass(frozen=True)
class ShapesWorld(RenderedWorld):
    """Images of circles and triangles for a concept space over some of the six variables.

    Variables that are not concepts are nuisances: position ~ U(-position_range, position_range),
    background ~ U(0.8, 1.0) per channel; shape, color and size stay at circle, the middle grey
    and the mean size.

    Args:
        space: its concepts must be called as in :data:`COLUMNS`.
        resolution: pixels per side.
        position_range: largest distance of the object from the center.
        edge_blur: standard deviation of the Gaussian that softens the object's edge, in units of
            1/32 of the image width (one pixel of the 32 of paper App. A.1).
        pixel_noise: standard deviation of the noise added to each pixel before clipping to [0, 1].

    Raises:
        UserError: a concept is not one of the six variables, or has other numbers than that.
    """

    space: ConceptSpace
    resolution: int = 32
    position_range: float = 0.5
    edge_blur: float = 1.0
    pixel_noise: float = 0.001

    def __post_init__(self) -> None:
        unknown = set(self.space.names) - set(COLUMNS)
        if unknown:
            raise UserError(
                f"the shapes world has no concept {sorted(unknown)[0]!r}; it has {list(COLUMNS)}"
            )
        for concept in self.space.concepts:
            place = COLUMNS[concept.name]
            if len(concept.means[0]) != place.stop - place.start:
                raise UserError(
                    f"{concept.name} of the shapes world has {place.stop - place.start} numbers, "
                    f"and the means of its values have {len(concept.means[0])}"
                )

    @property
    def columns(self) -> Mapping[str, slice]:
        """Where each variable stands in z and h."""
        return COLUMNS

    def labelled(
        self, purpose: str, count: int, margin: float
    ) -> tuple[Float[Tensor, "images 3 height width"], Int[Tensor, "images concepts"]]:
        """Images of the widest classes with their labels, for a probe."""
        return RenderedWorld.labelled(widest_world(self, margin), purpose, count, margin)

    def recipe(self, margin: float) -> dict[str, Any]:
        """What determines the images of :meth:`labelled`."""
        return {
            "concepts": [asdict(widest(c, margin)) for c in self.space.concepts],
            "resolution": self.resolution,
            "position_range": self.position_range,
            "edge_blur": self.edge_blur,
            "pixel_noise": self.pixel_noise,
        }

    def sample(
        self, concept_class: str, count: int, generator: torch.Generator
    ) -> Float[Tensor, "count 11"]:
        """Concept vectors of a class, with random nuisances."""
        z = torch.zeros(count, VARIABLES)
        uniform = torch.rand(count, VARIABLES, generator=generator)
        z[:, COLUMNS["shape"].start] = 1.0
        for axis in ("x", "y"):
            z[:, COLUMNS[axis]] = (uniform[:, COLUMNS[axis]] * 2 - 1) * self.position_range
        z[:, COLUMNS["color"]] = 0.5
        z[:, COLUMNS["size"]] = MEAN_SIZE
        z[:, COLUMNS["background"]] = 0.8 + 0.2 * uniform[:, COLUMNS["background"]]
        values = ConceptClass(concept_class).values
        for concept, value in zip(self.space.concepts, values, strict=True):
            z[:, COLUMNS[concept.name]] = concept.sample(value, count, generator)
        return z

    def class_mean(self, concept_class: str) -> Float[Tensor, " 11"]:
        """The concept vector in the middle of a class; nuisances are at their means."""
        z = torch.zeros(VARIABLES)
        z[COLUMNS["shape"].start] = 1.0
        z[COLUMNS["color"]] = 0.5
        z[COLUMNS["size"]] = MEAN_SIZE
        z[COLUMNS["background"]] = 0.9
        return self.with_class(z, concept_class)

    def with_class(self, z: Float[Tensor, "*batch 11"], concept_class: str) -> Tensor:
        """The same vectors with the concepts at the means of a class, nuisances untouched."""
        z = z.clone()
        values = ConceptClass(concept_class).values
        for concept, value in zip(self.space.concepts, values, strict=True):
            z[..., COLUMNS[concept.name]] = concept.mean(value).to(z)
        return z

    def render(
        self, z: Float[Tensor, "batch 11"], generator: torch.Generator | None = None
    ) -> Float[Tensor, "batch 3 height width"]:
        """Images in [0, 1] of concept vectors, on the device of ``z``.

        Pixel noise is added when a generator (of that device) is given.
        """
        alpha = self.mask(z)[:, None]
        back = z[:, COLUMNS["background"], None, None]
        image = torch.addcmul(back, alpha, z[:, COLUMNS["color"], None, None] - back)
        if generator is not None and self.pixel_noise > 0:
            noise = torch.empty_like(image).normal_(0, self.pixel_noise, generator=generator)
            image += noise
        return image.clamp_(0, 1)

    def reach(self, z: Float[Tensor, "batch 11"]) -> Float[Tensor, "batch height width"]:
        """The size at which an object at this place begins to cover each pixel."""
        grid = torch.linspace(-1, 1, self.resolution, device=z.device, dtype=z.dtype)
        dx = (grid[None, :] - z[:, COLUMNS["x"]])[:, None, :]
        dy = (grid[None, :] - z[:, COLUMNS["y"]])[:, :, None]
        triangular = z[:, COLUMNS["shape"].start + 1] > z[:, COLUMNS["shape"].start]
        side = torch.maximum(-dy / TRIANGLE_BASE, (dy + 2 * dx.abs()) / (1 - TRIANGLE_BASE))
        circle = (dx.square() + dy.square()).sqrt()
        return torch.where(triangular[:, None, None], side / TRIANGLE_SIDE, circle)

    def mask(self, z: Float[Tensor, "batch 11"]) -> Float[Tensor, "batch height width"]:
        """The share of the object in each pixel: a 0/1 mask with a Gaussian-blurred edge."""
        grid = torch.linspace(-1, 1, self.resolution, device=z.device, dtype=z.dtype)
        dx = grid[None, :] - z[:, COLUMNS["x"]]
        dy = grid[None, :] - z[:, COLUMNS["y"]]
        radius = z[:, COLUMNS["size"]]
        triangular = z[:, COLUMNS["shape"].start + 1] > z[:, COLUMNS["shape"].start]
        # A circle in row dy covers |dx| < sqrt(r² - dy²); a triangle |dx| < (tip - dy) / 2.
        half = (radius.square() - dy.square()).clamp_(min=0).sqrt_()
        if bool(triangular.any()):
            side = radius * TRIANGLE_SIDE
            half_width = ((1 - TRIANGLE_BASE) * side - dy) / 2 * (dy > -TRIANGLE_BASE * side)
            half = torch.where(triangular[:, None], half_width, half)
        inside = (dx.abs()[:, None, :] < half[:, :, None]).to(z.dtype)
        blur = blur_matrix(self.resolution, self.edge_blur * self.resolution / 32).to(z)
        return blur @ inside @ blur.T


def widest(concept: Concept, margin: float) -> Concept:
    """The concept with classes as wide as they can be without touching.

    Together the two classes fill a range of values around the middle of the concept's means, as far
    as its limits let them on both sides, but for a gap of ``margin`` of it in the middle: [0, 1]
    for the channels of color (but for green, which is low in both) and background, [0.1, 0.8] for
    size. An object at x or y goes no further than :data:`FARTHEST` from the middle. The result
    does not depend on the separation of the built-in concepts, so one probe serves a whole sweep.

    Of a range of length R, each class takes R (1 - margin) / 2, and their middles are
    R (1 + margin) / 2 apart. Numbers with ranges of different lengths share the width of the
    shortest one, and stay near the concept's own means within theirs. A number that both means
    share goes to its side of the center. A concept of more than two values stays as it is.
    """
    if concept.categorical or len(concept.means) > 2:
        return concept
    differing = {k: pair for k, pair in enumerate(zip(*concept.means, strict=True)) if _apart(pair)}
    middles = {k: _middle(concept, pair) for k, pair in differing.items()}
    reaches = {k: _reach(concept, middles[k], pair) for k, pair in differing.items()}
    reach = min(reaches.values())
    separation = (1 + margin) / 2
    spread = (1 - margin) / 4 / separation
    distance = 2 * reach * separation
    means = []
    for mean in concept.means:
        numbers = []
        for k, value in enumerate(mean):
            middle, away = middles.get(k, concept.center), distance / 2
            if k in differing:
                away += min(max(abs(value - middle) - away, 0), reaches[k] - reach)
            side = (value > middle) - (value < middle)
            numbers.append(middle + side * away)
        means.append(tuple(numbers))
    return replace(concept, means=tuple(means), spread=spread * distance)


def _apart(pair: tuple[float, float]) -> bool:
    return abs(pair[0] - pair[1]) > 1e-9


def _middle(concept: Concept, pair: tuple[float, float]) -> float:
    """Half-way between two means: the concept's center, but for rounding, or another value."""
    middle = (pair[0] + pair[1]) / 2
    return concept.center if math.isclose(middle, concept.center, abs_tol=1e-9) else middle


def _reach(concept: Concept, middle: float, pair: tuple[float, float]) -> float:
    """How far the widest classes may go from the middle on both sides."""
    low, high = concept.limits
    reach = min(middle - low, high - middle)
    if concept.name in ("x", "y"):
        reach = min(reach, max(FARTHEST, abs(pair[0] - pair[1]) / 2))
    return reach


def widest_world(world: ShapesWorld, margin: float) -> ShapesWorld:
    """The same images with the widest classes, all of which are training classes."""
    concepts = tuple(widest(concept, margin) for concept in world.space.concepts)
    space = ConceptSpace(concepts, all_classes(world.space.sizes), ())
    return ShapesWorld(
        space, world.resolution, world.position_range, world.edge_blur, world.pixel_noise
    )


def blur_matrix(resolution: int, sigma: float) -> Float[Tensor, "resolution resolution"]:
    """A matrix that blurs a column of pixels with a Gaussian of ``sigma`` pixels.

    Its rows sum to 1; beyond the border the image is mirrored. ``sigma`` 0 is the identity.
    """
    if sigma <= 0:
        return torch.eye(resolution)
    reach = math.ceil(4 * sigma)
    offsets = torch.arange(-reach, reach + 1)
    weights = torch.exp(-offsets.square() / (2 * sigma**2))
    weights = weights / weights.sum()
    rows = torch.arange(resolution)[:, None].expand(-1, len(offsets))
    columns = (rows + offsets) % (2 * resolution)
    columns = torch.minimum(columns, 2 * resolution - 1 - columns)
    matrix = torch.zeros(resolution, resolution)
    return matrix.index_put_((rows, columns), weights.expand(resolution, -1), accumulate=True)
