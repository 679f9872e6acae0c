"""Drawn faces in the layout of CelebA: two attributes of unequal effect on pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from conceptspace.worlds.faces.celeba import IMAGES, LIST
from conceptspace.worlds.faces.drawing import draw_face

NAMES = ("Eyeglasses", "Male", "Smiling", "Young")
WIDTH, HEIGHT = 45, 55


def face(male: bool, smiling: bool, rng: np.random.Generator) -> np.ndarray:
    """An image, shape (HEIGHT, WIDTH, 3), bytes."""
    has = [name for name, given in (("Male", male), ("Smiling", smiling)) if given]
    return draw_face(has, rng, WIDTH, HEIGHT)


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
