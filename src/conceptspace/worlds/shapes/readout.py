"""An analytic read-out of the shapes world: which concept vector explains an image best?

It fits the renderer itself, so it needs no training and checks the probe independently. For given
shape, position and size the image is linear in the two colors, so those follow in closed form by
least squares; shape, position and size are searched on a grid that is refined around the best fit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product

import torch
from jaxtyping import Float
from torch import Tensor

from conceptspace.worlds.shapes.world import (
    COLUMNS,
    SMALLEST_SIZE,
    TRIANGLE_SIDE,
    VARIABLES,
    ShapesWorld,
)

LARGEST_SIZE = 0.8
REFINEMENTS = 3
CHUNK = 64
SIZES = 15


@dataclass(frozen=True)
class Fit:
    """The best concept vectors and how well they explain their images.

    Attributes:
        z: concept vectors, shape (batch, 11).
        error: root mean squared pixel error of each fit, shape (batch,).
    """

    z: Float[Tensor, "batch 11"]
    error: Float[Tensor, " batch"]


class AnalyticReadout:
    """Fits shape, position, size, color and background of images of a shapes world.

    Args:
        world: whose renderer is fitted; shape is searched only where it is a concept.
    """

    def __init__(self, world: ShapesWorld) -> None:
        self.world = world
        self.kinds = (0, 1) if "shape" in world.space.names else (0,)
        reach, count = places(world)
        positions = torch.linspace(-reach, reach, count)
        self.sizes = sizes_of(world)
        sizes = torch.linspace(*self.sizes, SIZES)
        self.spacing = torch.stack([positions[1] - positions[0]] * 2 + [sizes[1] - sizes[0]])
        geometry = torch.cartesian_prod(positions, positions, sizes)
        self.grid = torch.cat([self._geometry(geometry, kind) for kind in self.kinds])
        self.templates = _Templates(self.world.mask(self.grid).flatten(1))

    def __call__(self, images: Float[Tensor, "batch 3 height width"]) -> Fit:
        """Fit every image."""
        parts = [self._fit(chunk) for chunk in images.float().cpu().split(CHUNK)]
        return Fit(torch.cat([p.z for p in parts]), torch.cat([p.error for p in parts]))

    def accuracy(
        self, images: Float[Tensor, "batch 3 height width"], target: str
    ) -> Float[Tensor, "batch concepts"]:
        """1 where a fitted concept is nearer to the target class's mean, else 0."""
        bits = (self.coordinates(images) > 0.5).long()
        return (bits == torch.tensor([int(bit) for bit in target])).float()

    def coordinates(
        self, images: Float[Tensor, "batch 3 height width"]
    ) -> Float[Tensor, "batch concepts"]:
        """Each fitted concept on the axis between its class means: 0 at bit 0, 1 at bit 1."""
        z = self(images).z
        space = self.world.space
        return torch.stack([c.coordinate(z[:, COLUMNS[c.name]]) for c in space.concepts], dim=1)

    def _geometry(self, geometry: Float[Tensor, "n 3"], kind: int) -> Float[Tensor, "n 11"]:
        z = torch.zeros(len(geometry), VARIABLES)
        z[:, kind] = 1.0
        z[:, 2:4] = geometry[:, :2]
        z[:, COLUMNS["size"]] = geometry[:, 2:]
        return z

    def _size(self, z: Float[Tensor, "n 11"]) -> Float[Tensor, " n"]:
        """The size of objects from the number of pixels that they cover.

        Many sizes cover the same pixels and have the same image. The area of the pixels is that of
        the object on average over positions; an object that leaves the image keeps its fitted size.
        """
        size = z[:, COLUMNS["size"].start]
        reach = self.world.reach(z)
        pixel = (2 / (self.world.resolution - 1)) ** 2
        covered = (reach < size[:, None, None]).sum((1, 2)) * pixel
        triangular = z[:, 1] > z[:, 0]
        found = (covered / torch.where(triangular, TRIANGLE_SIDE**2 / 2, math.pi)).sqrt()
        border = reach.clone()
        border[:, 1:-1, 1:-1] = torch.inf
        inside = size <= border.amin((1, 2))
        return torch.where(inside & (covered > 0), found, size)

    def _fit(self, images: Tensor) -> Fit:
        pixels = images.flatten(2)
        z = self.grid[self.templates.errors(pixels).argmin(1)]
        spacing = self.spacing
        offsets = torch.tensor(list(product((-1.0, 0.0, 1.0), repeat=3)))
        for _ in range(REFINEMENTS):
            spacing = spacing / 2
            near = z[:, None].expand(-1, len(offsets), -1).clone()
            near[..., 2:4] += offsets[:, :2] * spacing[:2]
            near[..., 7] = (near[..., 7] + offsets[:, 2] * spacing[2]).clamp(
                min(0.05, self.sizes[0]), max(1.0, self.sizes[1])
            )
            masks = self.world.mask(near.flatten(0, 1)).unflatten(0, near.shape[:2]).flatten(2)
            z = near[torch.arange(len(z)), _Templates(masks).errors(pixels).argmin(1)]
        best = _Templates(self.world.mask(z).flatten(1)[:, None])
        error, background, color = best.solve(pixels)
        z[:, COLUMNS["color"]] = color[:, 0]
        z[:, COLUMNS["background"]] = background[:, 0]
        z[:, COLUMNS["size"]] = self._size(z)[:, None]
        return Fit(z, (error[:, 0] / pixels[0].numel()).clamp(min=0).sqrt())


def places(world: ShapesWorld) -> tuple[float, int]:
    """How far from the middle objects are searched along x and y, and at how many places."""
    reach = world.position_range * 1.2
    if {"x", "y"} & set(world.space.names):
        reach = 1.0
    return reach, max(7, round(reach * world.resolution / 1.5))


def templates(world: ShapesWorld) -> int:
    """How many masks are kept, of resolution² numbers each."""
    return (1 + ("shape" in world.space.names)) * places(world)[1] ** 2 * SIZES


def templates_memory(world: ShapesWorld) -> int:
    """Bytes of the masks and of their errors."""
    return templates(world) * (2 * world.resolution**2 + 15 * CHUNK) * 4


def sizes_of(world: ShapesWorld) -> tuple[float, float]:
    """Smallest and largest size that is searched: those of the paper, and the world's own."""
    low, high = SMALLEST_SIZE, LARGEST_SIZE
    for concept in world.space.concepts:
        if concept.name == "size":
            values = [mean[0] for mean in concept.means]
            smallest, largest = min(values) - concept.spread, max(values) + concept.spread
            low = smallest if smallest < low - 1e-6 else low
            high = largest if largest > high + 1e-6 else high
    return low, high


class _Templates:
    """Least squares of pixels on (1 - mask, mask), for many masks at once.

    ``masks`` has shape (templates, pixels), or (batch, templates, pixels) with own masks for each
    image.
    """

    def __init__(self, masks: Tensor) -> None:
        self.masks = masks
        other = 1 - masks
        self.aa = other.square().sum(-1) + 1e-4
        self.ab = (other * masks).sum(-1)
        self.bb = masks.square().sum(-1) + 1e-4
        self.determinant = self.aa * self.bb - self.ab.square()

    def solve(self, pixels: Float[Tensor, "b c p"]) -> tuple[Tensor, Tensor, Tensor]:
        """Squared error (b, templates), then the two colors (b, templates, c)."""
        equation = "bcp,tp->btc" if self.masks.ndim == 2 else "bcp,btp->btc"
        b = torch.einsum(equation, pixels, self.masks)
        a = pixels.sum(-1)[:, None] - b
        aa, ab, bb = (v[..., None] for v in (self.aa, self.ab, self.bb))
        determinant = self.determinant[..., None]
        first = ((bb * a - ab * b) / determinant).clamp(0, 1)
        second = ((aa * b - ab * a) / determinant).clamp(0, 1)
        fitted = aa * first**2 + 2 * ab * first * second + bb * second**2
        error = (fitted - 2 * (first * a + second * b)).sum(-1)
        return error + pixels.square().sum((1, 2))[:, None], first, second

    def errors(self, pixels: Float[Tensor, "b c p"]) -> Float[Tensor, "b templates"]:
        """Squared error of each template after the best colors."""
        return self.solve(pixels)[0]
