"""Faces of a few curves, with attributes as in CelebA and of unequal effect on pixels.

They imitate what matters of both pairs of Fig. 14, and no photograph: ``Male`` decides about long
hair beside the face (many pixels), ``Wearing_Hat`` about a hat above it (many pixels), ``Smiling``
about the mouth (few). Position, skin, hair, hat and background vary.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

SHARES = {"Male": 0.5, "Smiling": 0.5, "Wearing_Hat": 0.05}
"""The attributes that can be drawn, and how often each is where nobody asks for it."""

FINER = 4
"""Pixels are means of this many by as many points."""


def draw_face(
    attributes: Collection[str], rng: np.random.Generator, width: int, height: int
) -> NDArray[np.uint8]:
    """A face as bytes, shape (height, width, 3).

    Args:
        attributes: those that it has, of :data:`SHARES`.
        rng: of everything else.
        width: pixels.
        height: pixels; the image shows 1.2 times as much in height as in width.
    """
    x, y = np.meshgrid(_points(width, 1.0), _points(height, 1.2))
    x, y = x - rng.uniform(-0.06, 0.06), y - rng.uniform(-0.06, 0.06)
    image = np.broadcast_to(rng.uniform(0.75, 0.95, 3), (*x.shape, 3)).copy()
    skin = np.array([0.95, 0.75, 0.62]) * rng.uniform(0.85, 1.05)
    hair = np.array([0.35, 0.22, 0.12]) * rng.uniform(0.5, 1.6)
    cloth = np.array([0.15, 0.35, 0.65]) * rng.uniform(0.6, 1.4)
    head = _ellipse(x, y, 0.58, 0.78)
    image[_short_hair(x, y) if "Male" in attributes else _long_hair(x, y)] = hair
    image[head] = skin
    image[head & (y < -0.5)] = hair
    if "Wearing_Hat" in attributes:
        crown = (np.abs(x) < 0.62) & (y < -0.45) & (y > -1.1)
        image[crown | _ellipse(x, y + 0.45, 0.95, 0.13)] = cloth
    for side in (-1, 1):
        image[_ellipse(x - side * 0.24, y + 0.12, 0.075, 0.075)] = 0.1
    _draw_mouth(image, x, y, "Smiling" in attributes)
    fine = np.clip(image, 0, 1).reshape(height, FINER, width, FINER, 3).mean((1, 3))
    return (255 * fine).round().astype(np.uint8)


def _points(count: int, half: float) -> NDArray[np.float64]:
    """The middles of the points of ``count`` pixels on both sides of 0."""
    ends = np.linspace(-half, half, FINER * count + 1)
    return (ends[1:] + ends[:-1]) / 2


def _ellipse(
    x: NDArray[np.float64], y: NDArray[np.float64], width: float, height: float
) -> NDArray[np.bool_]:
    return (x / width) ** 2 + (y / height) ** 2 < 1


def _long_hair(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.bool_]:
    beside = (np.abs(x) < 0.8) & (y > 0) & (y < 1)
    return _ellipse(x, y + 0.1, 0.85, 1.0) | beside


def _short_hair(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.bool_]:
    return _ellipse(x, y + 0.15, 0.64, 0.85) & (y < -0.25)


def _draw_mouth(
    image: NDArray[np.float64], x: NDArray[np.float64], y: NDArray[np.float64], smiling: bool
) -> None:
    opened = _ellipse(x, y - 0.26, 0.42, 0.4) & (y > 0.26)
    closed = (np.abs(y - 0.42) < 0.05) & (np.abs(x) < 0.2)
    image[opened if smiling else closed] = (0.6, 0.05, 0.12)
    if smiling:
        image[opened & (y < 0.4)] = 1.0
