"""The judge: which value each concept of an image has, and whether it shows a valid object at all.

A classifier that is trained on rendered images says something of every image, of a blank one or of
specks as well. The judge of the shapes world does not classify: it asks which concept vector
explains the image, and how much it leaves unexplained.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from conceptspace.data.shapes import COLUMNS, ShapesWorld
from conceptspace.measurement.readout import AnalyticReadout, Fit

SHARPNESS = 12.0
"""Slope of the probability on the way from mean 0 to mean 1: .998 at a mean, .5 half-way."""

LARGEST_RESIDUAL = 0.5
"""Largest unexplained share of an object's image; see :attr:`Quality.residual`."""

LEAST_CONTRAST = 0.1
"""Least difference of an object's color from its background, root mean square over channels."""


@dataclass(frozen=True)
class Judgement:
    """What a judge says of images.

    Attributes:
        coordinates: probability of bit 1 of every concept, shape (batch, concepts).
        valid: whether there is one object, shape (batch,).
    """

    coordinates: Float[Tensor, "batch concepts"]
    valid: Bool[Tensor, " batch"]


Judge = Callable[[Tensor], Judgement]
"""Images in [0, 1], (batch, channels, height, width) -> their judgement."""


@dataclass(frozen=True)
class Quality:
    """How well a fitted object explains its image.

    Attributes:
        residual: root mean squared pixel error of the fit, divided by the root mean square of what
            the object adds to its background; shape (batch,).
        contrast: difference of the two fitted colors, root mean square over channels, (batch,).
    """

    residual: Float[Tensor, " batch"]
    contrast: Float[Tensor, " batch"]

    @property
    def valid(self) -> Bool[Tensor, " batch"]:
        """Whether there is one object: it stands out, and little is left unexplained."""
        return (self.contrast >= LEAST_CONTRAST) & (self.residual <= LARGEST_RESIDUAL)


class ShapesJudge:
    """Judges images of a shapes world by the concept vector that explains them best.

    The probability of bit 1 is sigmoid(:data:`SHARPNESS` (c - 1/2)), where c is the fitted value on
    the axis from mean 0 to mean 1 of the run's own classes; so it is one half half-way, whatever
    their separation. An image is valid if the fitted object stands out from its background and
    explains the image: nothing, specks, several objects, two colors in one object and noise do not
    fit.

    Args:
        world: whose classes are judged.
    """

    def __init__(self, world: ShapesWorld) -> None:
        self.world = world
        self.readout = AnalyticReadout(world)

    def __call__(self, images: Float[Tensor, "batch 3 height width"]) -> Judgement:
        """Judge every image."""
        fit = self.readout(images)
        position = torch.stack(
            [c.coordinate(fit.z[:, COLUMNS[c.name]]) for c in self.world.space.concepts], dim=1
        )
        coordinates = torch.sigmoid(SHARPNESS * (position - 0.5))
        return Judgement(coordinates, self.quality(fit).valid)

    def quality(self, fit: Fit) -> Quality:
        """How well fitted objects explain their images."""
        difference = fit.z[:, COLUMNS["color"]] - fit.z[:, COLUMNS["background"]]
        contrast = difference.square().mean(1).sqrt()
        share = self.world.mask(fit.z).square().mean((1, 2)).sqrt()
        return Quality(fit.error / (contrast * share).clamp(min=1e-6), contrast)
