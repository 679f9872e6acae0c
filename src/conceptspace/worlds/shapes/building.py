"""From the settings of shapes to their world."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conceptspace.errors import UserError
from conceptspace.space import Concept, asked_split
from conceptspace.worlds.shapes import world as shapes
from conceptspace.worlds.shapes.world import ShapesWorld

if TYPE_CHECKING:
    from conceptspace.worlds.shapes.config import ShapesData


def concept(name: str, data: ShapesData) -> Concept:
    """One of the six concepts with the settings' separation and spread."""
    match name:
        case "shape":
            return shapes.shape()
        case "color":
            return shapes.color(data.color_separation, data.color_spread)
        case "size":
            return shapes.size(data.size_separation, data.size_spread)
        case "background":
            return shapes.background(data.background_separation, data.background_spread)
        case _:
            return shapes.position(name, data.position_separation, data.position_spread)


def shapes_world(data: ShapesData) -> ShapesWorld:
    """The data-generating process of shapes.

    Raises:
        UserError: classes overlap, leave their limits or have the wrong number of digits; or the
            masked class is not trained.
    """
    concepts = tuple(concept(name, data) for name in data.concepts)
    space = asked_split(concepts, data.train_classes, data.ood_classes)
    if data.masked_class and data.masked_class not in space.train_classes:
        raise UserError(
            f"data.masked_class = {data.masked_class!r} is not a training class; "
            f"they are {', '.join(space.train_classes)}"
        )
    if data.masked_share > 0 and not data.masked_class:
        raise UserError("data.masked_share needs data.masked_class, e.g. 01")
    return ShapesWorld(
        space, data.resolution, data.position_range, data.edge_blur, data.pixel_noise
    )
