"""A file in the format of dSprites: three shapes in two sizes at random places, bytes 0 and 1."""

from __future__ import annotations

from pathlib import Path

import numpy as np

SIDE = 16
NAMES = ("color", "shape", "scale")


def sprite(shape: int, radius: float, x: float, y: float) -> np.ndarray:
    """A square (1), an ellipse (2) or a cross (3), (SIDE, SIDE)."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    u, v = np.abs(columns - x), np.abs(rows - y)
    inside = {
        1: np.maximum(u, v) < radius,
        2: (u / radius) ** 2 + (v / (0.6 * radius)) ** 2 < 1,
        3: (np.minimum(u, v) < 0.35 * radius) & (np.maximum(u, v) < radius),
    }
    return inside[shape].astype(np.uint8)


def write_sprites(path: Path, per_class: int = 24, seed: int = 0, named: bool = True) -> Path:
    """``imgs`` and ``latents_classes`` with classes from 0 on, in random order."""
    rng = np.random.default_rng(seed)
    latents = [(0, s, k) for s in range(3) for k in range(2) for _ in range(per_class)]
    latents = np.array(latents)[rng.permutation(len(latents))]
    places = rng.uniform(6, 10, (len(latents), 2))
    images = np.stack(
        [sprite(s + 1, 5 - 2 * k, *at) for (_, s, k), at in zip(latents, places, strict=True)]
    )
    names = {"latents_names": np.array(NAMES)} if named else {}
    np.savez(path, imgs=images, latents_classes=latents, **names)
    return path
