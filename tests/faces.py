"""Faces made of a few curves, in the layout of CelebA: two attributes of unequal effect on pixels.

``Male`` decides about long hair beside the face (many pixels), ``Smiling`` about the mouth (few).
Position, skin, hair color and background vary.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from conceptspace.worlds.faces.celeba import IMAGES, LIST

NAMES = ("Eyeglasses", "Male", "Smiling", "Young")
WIDTH, HEIGHT = 45, 55


def face(male: bool, smiling: bool, rng: np.random.Generator) -> np.ndarray:
    """An image, shape (HEIGHT, WIDTH, 3), bytes."""
    x, y = np.meshgrid(np.linspace(-1, 1, WIDTH), np.linspace(-1.2, 1.2, HEIGHT))
    x, y = x - rng.uniform(-0.06, 0.06), y - rng.uniform(-0.06, 0.06)
    image = np.broadcast_to(rng.uniform(0.75, 0.95, 3), (*x.shape, 3)).copy()
    skin = np.array([0.95, 0.75, 0.62]) * rng.uniform(0.85, 1.05)
    hair = np.array([0.35, 0.22, 0.12]) * rng.uniform(0.5, 1.6)
    head = (x / 0.58) ** 2 + (y / 0.78) ** 2 < 1
    long_hair = ((x / 0.85) ** 2 + ((y + 0.1) / 1.0) ** 2 < 1) | (
        (np.abs(x) < 0.8) & (y > 0) & (y < 1)
    )
    short_hair = ((x / 0.64) ** 2 + ((y + 0.15) / 0.85) ** 2 < 1) & (y < -0.25)
    image[short_hair if male else long_hair] = hair
    image[head] = skin
    image[head & (y < -0.5)] = hair
    for side in (-1, 1):
        image[(x - side * 0.24) ** 2 + (y + 0.12) ** 2 < 0.075**2] = 0.1
    open_mouth = ((x / 0.42) ** 2 + ((y - 0.26) / 0.4) ** 2 < 1) & (y > 0.26)
    closed_mouth = (np.abs(y - 0.42) < 0.05) & (np.abs(x) < 0.2)
    image[open_mouth if smiling else closed_mouth] = (0.6, 0.05, 0.12)
    if smiling:
        image[open_mouth & (y < 0.4)] = 1.0
    return (np.clip(image, 0, 1) * 255).round().astype(np.uint8)


def write_folder(root: Path, per_class: int, seed: int = 0) -> Path:
    """A folder as CelebA's, with the four classes in turn.

    Args:
        root: created.
        per_class: images of each combination of the two attributes.
        seed: of the faces.
    """
    rng = np.random.default_rng(seed)
    (root / IMAGES).mkdir(parents=True)
    lines = []
    for number in range(4 * per_class):
        male, smiling = number % 2 == 0, number // 2 % 2 == 0
        name = f"{number + 1:06d}.jpg"
        Image.fromarray(face(male, smiling, rng)).save(root / IMAGES / name, quality=95)
        values = (rng.random() < 0.5, male, smiling, rng.random() < 0.5)
        lines.append(f"{name} " + " ".join(f"{1 if value else -1:2d}" for value in values))
    header = [str(4 * per_class), " ".join(NAMES) + " "]
    (root / LIST).write_text("\n".join([*header, *lines]) + "\n")
    return root
