"""Concept spaces as plain data: axes, classes and an image of each class."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from typing import Any

from numpy.typing import ArrayLike
from PIL import Image

from conceptspace.presentation.style import pixels
from conceptspace.space import ConceptSpace

Tree = dict[str, Any]


def space_tree(space: ConceptSpace, images: Mapping[str, ArrayLike]) -> Tree:
    """A concept space for the page.

    ::

        {"concepts": [{"name": "color", "labels": ["red", "blue"], "axis": [0, 1]}, ...],
         "classes": [{"name": "00", "words": "red large", "ood": false, "image": PNG or null}, ...]}

    ``axis`` holds the two values between which a concept's coordinate runs.

    Args:
        space: the concepts, and which classes train.
        images: of each class, shape (3, H, W) or (H, W, 3); a PNG is a data URI.
    """
    return {
        "concepts": [
            {"name": c.name, "labels": list(c.labels), "axis": list(space.axes()[c.name])}
            for c in space.concepts
        ],
        "classes": [
            {
                "name": str(name),
                "words": space.describe(name),
                "ood": name in space.ood_classes,
                "image": uri(png(Image.fromarray(pixels(images[str(name)]))))
                if str(name) in images
                else None,
            }
            for name in space.classes
        ],
    }


def key(space: ConceptSpace) -> str:
    """A text that is equal for runs that can be drawn in one picture."""
    tree = space_tree(space, {})
    return repr(tree)


def png(image: Image.Image) -> bytes:
    """An image as PNG."""
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", compress_level=7)
    return buffer.getvalue()


def uri(content: bytes, media: str = "image/png") -> str:
    """The content of a file as data URI."""
    return f"data:{media};base64,{base64.b64encode(content).decode()}"
