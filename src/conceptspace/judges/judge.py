"""The judge: which value each concept of an image has, and whether it shows a valid object at all.

A classifier that is trained on rendered images says something of every image, of a blank one or of
specks as well. The judge of the shapes world does not classify: it asks which concept vector
explains the image, and how much it leaves unexplained.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from conceptspace.errors import UserError
from conceptspace.worlds.shapes.readout import AnalyticReadout, Fit
from conceptspace.worlds.shapes.world import COLUMNS, ShapesWorld

SHARPNESS = 12.0
"""Slope of the probability on the way from mean 0 to mean 1: .998 at a mean, .5 half-way."""

LARGEST_RESIDUAL = 0.55
"""Largest unexplained share of an object's image; see :attr:`Quality.residual`."""

LEAST_CONTRAST = 0.1
"""Least difference of an object's color from its background, root mean square over channels."""

UNEVEN, LEAST_UNEVEN = 0.12, 0.04
"""Largest spread of color within an object: a share of the distance of the two color means, and the
least that stands out from noise; see :attr:`Quality.unevenness`."""

OBJECT = 0.7
"""Share of the object's color from which a pixel counts as the object's own."""

APART = 8
"""A pixel lies apart from an object from this fraction of the image width on: 2 pixels of 16."""


@dataclass(frozen=True)
class Judgement:
    """What a judge says about images.

    Attributes:
        probabilities: of the values of every concept, shape (batch, concepts, values); 0 beyond
            the values that a concept has.
        valid: whether there is one object, shape (batch,); None if that is not judged.
        agreed: whether a second judge finds the same value, shape (batch, concepts); None if there
            is none.
    """

    probabilities: Float[Tensor, "batch concepts values"]
    valid: Bool[Tensor, " batch"] | None = None
    agreed: Bool[Tensor, "batch concepts"] | None = None

    @property
    def coordinates(self) -> Float[Tensor, "batch concepts"]:
        """Probability of value 1 of every concept."""
        return self.probabilities[..., 1]


Judge = Callable[[Tensor], Judgement]
"""Images in [0, 1], (batch, channels, height, width) -> their judgement."""


@dataclass(frozen=True)
class Quality:
    """How well a fitted object explains its image.

    Attributes:
        residual: root mean squared pixel error of the fit, divided by the root mean square of what
            the object adds to its background; shape (batch,).
        contrast: difference of the two fitted colors, root mean square over channels, (batch,).
        unevenness: standard deviation along the axis between the concept's two colors (blue less
            red, divided by the square root of 2) over the object's own pixels, (batch,).
        stray: pixels of the object's color that lie apart from it, (batch,).
    """

    residual: Float[Tensor, " batch"]
    contrast: Float[Tensor, " batch"]
    unevenness: Float[Tensor, " batch"]
    stray: Float[Tensor, " batch"]


class ShapesJudge:
    """Judges images of a shapes world by the concept vector that explains them best.

    The probability of value 1 is sigmoid(:data:`SHARPNESS` (c - 1/2)), where c is the fitted value
    on the axis from mean 0 to mean 1 of the run's own classes; so it is one half half-way, whatever
    their separation. An image is valid if the fitted object stands out from its background and
    explains the image: nothing, specks, several objects, two colors in one object and noise do not
    fit.

    Args:
        world: whose classes are judged.

    Raises:
        UserError: a concept has more than two values.
    """

    def __init__(self, world: ShapesWorld) -> None:
        for concept in world.space.concepts:
            if len(concept.labels) > 2:
                raise UserError(
                    f"the judge of shapes tells two values apart, and {concept.name} has "
                    f"{len(concept.labels)}; leave the judge out, and the probe scores alone"
                )
        self.world = world
        self.readout = AnalyticReadout(world)
        self.color_distance, self.color_axis = 0.0, torch.tensor([-1.0, 0.0, 1.0])
        for concept in world.space.concepts:
            if concept.name == "color":
                difference = concept.mean(1) - concept.mean(0)
                self.color_distance = torch.dist(concept.mean(0), concept.mean(1)).item()
                self.color_axis = difference / difference.abs().max()

    def __call__(self, images: Float[Tensor, "batch 3 height width"]) -> Judgement:
        """Judge every image."""
        fit = self.readout(images)
        position = torch.stack(
            [c.coordinate(fit.z[:, COLUMNS[c.name]]) for c in self.world.space.concepts], dim=1
        )
        coordinates = torch.sigmoid(SHARPNESS * (position - 0.5))
        probabilities = torch.stack([1 - coordinates, coordinates], dim=2)
        return Judgement(probabilities, self.valid(self.quality(fit, images)))

    def valid(self, quality: Quality) -> Bool[Tensor, " batch"]:
        """Whether there is one object: it stands out, explains the image and has one color."""
        return (
            (quality.contrast >= LEAST_CONTRAST)
            & (quality.residual <= LARGEST_RESIDUAL)
            & (quality.unevenness <= max(UNEVEN * self.color_distance, LEAST_UNEVEN))
            & (quality.stray == 0)
        )

    def quality(self, fit: Fit, images: Float[Tensor, "batch 3 height width"]) -> Quality:
        """How well fitted objects explain their images."""
        images = images.float().cpu()
        background = fit.z[:, COLUMNS["background"], None, None]
        difference = fit.z[:, COLUMNS["color"], None, None] - background
        contrast = difference.square().mean((1, 2, 3)).sqrt()
        mask = self.world.mask(fit.z)
        share = mask.square().mean((1, 2)).sqrt()
        residual = fit.error / (contrast * share).clamp(min=1e-6)
        square = difference.square().sum(1).clamp(min=1e-6)
        likeness = ((images - background) * difference).sum(1) / square
        reach = max(1, self.world.resolution // APART)
        near = F.max_pool2d((mask > 0.3).float()[:, None], 2 * reach + 1, 1, reach)[:, 0]
        stray = ((likeness > 0.5) & (near == 0)).float().sum((1, 2))
        own = (likeness > OBJECT).float()
        axis = self.color_axis
        along = (images * axis[:, None, None]).sum(1) / math.sqrt(axis.square().sum().item())
        pixels = own.sum((1, 2)).clamp(min=1)
        mean = (along * own).sum((1, 2)) / pixels
        spread = (along - mean[:, None, None]).square() * own
        unevenness = (spread.sum((1, 2)) / pixels).sqrt()
        return Quality(residual, contrast, unevenness, stray)
