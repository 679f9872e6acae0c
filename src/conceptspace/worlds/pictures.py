"""Picture files as a viewer shows them: upright, without hidden colors, in eight bits."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

WHITE = (255, 255, 255, 255)

SIXTEEN_BITS = ("I;16", "I;16L", "I;16B", "I;16N")


def as_seen(content: bytes) -> Image.Image:
    """The picture in a file's bytes, as RGB.

    It is turned as its EXIF orientation says; what is transparent lets white through; 16 bits of
    grey become 8; of an animation the first picture counts. Colors of other spaces (CMYK, greys,
    palettes) are converted without color profiles.

    Raises:
        ValueError: the bytes hold no picture, a part of one, or one whose values have no range.
    """
    try:
        with Image.open(io.BytesIO(content)) as opened:
            opened.load()
            picture = in_eight_bits(ImageOps.exif_transpose(opened))
            if picture.has_transparency_data:
                above = picture.convert("RGBA")
                picture = Image.alpha_composite(Image.new("RGBA", above.size, WHITE), above)
            return picture.convert("RGB")
    except UnidentifiedImageError:
        raise ValueError("it is of no known format") from None
    except (OSError, SyntaxError, EOFError, IndexError, Image.DecompressionBombError) as error:
        raise ValueError(str(error).splitlines()[0] if str(error) else "it is damaged") from None


def in_eight_bits(picture: Image.Image) -> Image.Image:
    """A picture whose greys of 16 bits are 8; another as it is.

    Raises:
        ValueError: its values have no range, as integers of 32 bits and floating-point numbers.
    """
    if picture.mode in SIXTEEN_BITS:
        return Image.fromarray((np.asarray(picture).astype(float) / 257).round().astype("u1"))
    if picture.mode in ("I", "F"):
        raise ValueError(f"its values have no known range (mode {picture.mode})")
    return picture
