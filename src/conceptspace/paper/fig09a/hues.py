"""The color of generated objects, measured in the pixels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from conceptspace.worlds.shapes.world import ShapesWorld

OBJECT = 0.1
"""Share of an image's pixels that surely belong to the object: those least like the background."""

ASIDE = 3
"""How many spreads of the color concept an object's color may lie aside of the line from red to
blue; rendered images lie up to 2.4 aside."""

CONTRAST = 0.3
"""Smallest distance of an object's color from the background's; of rendered images it is 0.65."""


def blueness(images: NDArray[np.uint8], shapes: ShapesWorld) -> NDArray[np.float64]:
    """Where the objects' colors lie between the two class means: 0 red, 1 blue.

    The background is bright (0.8 to 1 in every channel) and the object is not, so the object's
    pixels are the darkest ones, by the smaller of the red and the blue channel. An image whose
    darkest pixels are of another hue (:data:`ASIDE`), or hardly differ from the background
    (:data:`CONTRAST`), shows no object with such a color.

    Args:
        images: shape (count, height, width, 3), bytes.
        shapes: whose color concept gives the two means.

    Returns:
        Shape (count,); values may lie outside [0, 1], and are NaN where there is no such object.
    """
    concept = shapes.space.concepts[shapes.space.names.index("color")]
    pixels = images.reshape(len(images), -1, 3).astype(np.float64) / 255
    count = max(1, round(OBJECT * pixels.shape[1]))
    order = pixels[..., [0, 2]].min(-1).argsort(1)[:, :count]
    color = np.take_along_axis(pixels, order[..., None], axis=1).mean(1)
    red, blue = (np.array(mean, dtype=np.float64) for mean in concept.means)
    axis = blue - red
    along = np.asarray((color - red) @ axis / (axis @ axis), dtype=np.float64)
    aside = np.linalg.norm(color - red - along[:, None] * axis, axis=1)
    contrast = np.linalg.norm(np.median(pixels, axis=1) - color, axis=1)
    shown = (aside <= ASIDE * concept.spread) & (contrast >= CONTRAST)
    return np.where(shown, along, np.nan)
