"""Pictures of every kind come in as a viewer shows them."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from test_celeba import world_of

from conceptspace.errors import UserError
from conceptspace.worlds.faces.celeba import IMAGES, LIST
from conceptspace.worlds.pictures import as_seen

SIDE = 12
LEFT, RIGHT = (slice(None), slice(0, SIDE // 2)), (slice(None), slice(SIDE // 2, None))


def saved(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def halves(left: object, right: object, channels: int = 3) -> np.ndarray:
    pixels = np.zeros((SIDE, SIDE, channels), np.uint8)
    pixels[LEFT], pixels[RIGHT] = left, right
    return pixels


def seen(content: bytes) -> np.ndarray:
    found = as_seen(content)
    assert found.mode == "RGB"
    return np.asarray(found)


def test_a_transparent_half_shows_white_and_not_the_hidden_color():
    pixels = seen(saved(Image.fromarray(halves((255, 0, 0, 0), (0, 0, 255, 255), 4))))
    assert (pixels[LEFT] == 255).all()
    assert (pixels[RIGHT] == (0, 0, 255)).all()


def test_half_transparent_is_half_white():
    pixels = seen(saved(Image.fromarray(halves((0, 0, 0, 128), (0, 0, 0, 255), 4))))
    assert np.abs(pixels[LEFT].astype(int) - 127).max() <= 1


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_a_transparent_color_of_a_palette(kind):
    image = Image.fromarray(halves((255, 0, 0), (0, 0, 255))).quantize(2)
    hidden = image.getpixel((0, 0))
    pixels = seen(saved(image, kind, transparency=hidden))
    assert (pixels[LEFT] == 255).all()
    assert (pixels[RIGHT] == (0, 0, 255)).all()


def test_a_palette_whose_colors_are_partly_transparent():
    image = Image.fromarray(halves((255, 0, 0), (0, 0, 255))).quantize(2)
    alpha = bytes(0 if i == image.getpixel((0, 0)) else 255 for i in range(2))
    pixels = seen(saved(image, transparency=alpha))
    assert (pixels[LEFT] == 255).all()


def test_a_transparent_color_without_a_palette():
    pixels = seen(
        saved(Image.fromarray(halves((255, 0, 0), (0, 0, 255))), transparency=(255, 0, 0))
    )
    assert (pixels[LEFT] == 255).all()


def test_grey_and_its_transparency():
    grey = Image.fromarray(halves(30, 200, 1)[..., 0])
    assert (seen(saved(grey))[RIGHT] == 200).all()
    with_alpha = Image.merge("LA", (grey, Image.fromarray(halves(0, 255, 1)[..., 0])))
    pixels = seen(saved(with_alpha))
    assert (pixels[LEFT] == 255).all()
    assert (pixels[RIGHT] == 200).all()


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bits_of_grey_are_not_cut(kind):
    deep = halves(0, 0, 1)[..., 0].astype(np.uint16)
    deep[LEFT], deep[RIGHT] = 0x4040, 0xC0C0
    pixels = seen(saved(Image.fromarray(deep), kind))
    assert (pixels[LEFT] == 0x40).all()
    assert (pixels[RIGHT] == 0xC0).all()


def deep_png(pixels: np.ndarray) -> bytes:
    """A PNG of 16 bits a channel, which Pillow reads and does not write."""
    height, width, channels = pixels.shape

    def chunk(kind: bytes, content: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + check

    kind = {2: 4, 3: 2, 4: 6}[channels]
    head = struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    parts = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def test_sixteen_bits_of_color_are_not_cut():
    deep = halves(0, 0).astype(np.uint16)
    deep[LEFT], deep[RIGHT] = (0x8080, 0, 0xFFFF), (0x1010, 0xC0C0, 0)
    pixels = seen(deep_png(deep))
    assert (pixels[LEFT] == (0x80, 0, 0xFF)).all()
    assert (pixels[RIGHT] == (0x10, 0xC0, 0)).all()


@pytest.mark.parametrize("channels", [2, 4])
def test_sixteen_bits_with_transparency(channels):
    deep = np.full((SIDE, SIDE, channels), 0x4040, np.uint16)
    deep[LEFT][..., -1], deep[RIGHT][..., -1] = 0, 0xFFFF
    pixels = seen(deep_png(deep))
    assert (pixels[LEFT] == 255).all()
    assert (pixels[RIGHT] == 0x40).all()


def test_black_and_white():
    assert (
        seen(saved(Image.fromarray(halves(0, 255, 1)[..., 0]).convert("1")))[RIGHT] == 255
    ).all()


def test_printing_colors():
    cmyk = Image.fromarray(halves((255, 0, 0), (0, 0, 255))).convert("CMYK")
    pixels = seen(saved(cmyk, "JPEG", quality=100)).astype(int)
    assert np.abs(pixels[2:-2, 1:4] - (255, 0, 0)).max() < 20
    assert np.abs(pixels[2:-2, -4:-1] - (0, 0, 255)).max() < 20


@pytest.mark.parametrize(
    ("orientation", "where"),
    [(1, "left"), (2, "right"), (3, "right"), (6, "top"), (8, "bottom")],
)
def test_turned_pictures_stand_upright(orientation, where):
    image = Image.fromarray(halves((255, 255, 255), (0, 0, 0)))
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = seen(saved(image, "JPEG", exif=exif, quality=100)).astype(float).mean(2)
    sides = {
        "left": pixels[:, :4],
        "right": pixels[:, -4:],
        "top": pixels[:4],
        "bottom": pixels[-4:],
    }
    assert max(sides, key=lambda side: sides[side].mean()) == where


def test_an_animation_counts_as_its_first_picture():
    frames = [Image.fromarray(halves(color, color)) for color in ((255, 0, 0), (0, 0, 255))]
    pixels = seen(saved(frames[0], "GIF", save_all=True, append_images=frames[1:]))
    assert (pixels == (255, 0, 0)).all()


def test_plain_pictures_keep_their_bytes():
    content = saved(Image.fromarray(halves((250, 10, 90), (5, 160, 255))), "JPEG")
    with Image.open(io.BytesIO(content)) as image:
        assert (seen(content) == np.asarray(image.convert("RGB"))).all()


BROKEN = {
    "half a JPEG": lambda noise: saved(noise, "JPEG")[: len(saved(noise, "JPEG")) // 2],
    "half a PNG": lambda noise: saved(noise)[: len(saved(noise)) // 2],
    "half a GIF": lambda noise: saved(noise, "GIF")[: len(saved(noise, "GIF")) // 2],
    "text": lambda noise: b"no picture",
    "nothing": lambda noise: b"",
    "no range": lambda noise: saved(noise.convert("F"), "TIFF"),
}


@pytest.mark.parametrize("make", BROKEN.values(), ids=BROKEN)
def test_what_cannot_be_read_is_named_in_one_sentence(tmp_path: Path, make):
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8))
    (tmp_path / IMAGES).mkdir()
    (tmp_path / IMAGES / "1.jpg").write_bytes(make(noise))
    (tmp_path / LIST).write_text("1\nMale Smiling\n1.jpg 1 -1\n")
    world = world_of(tmp_path, tmp_path / "cache")
    with pytest.raises(UserError, match=r"1\.jpg is not an image that can be read \(.+\)") as error:
        world._scaled("1.jpg")
    assert "\n" not in str(error.value)


def test_too_many_pixels_are_refused(monkeypatch):
    content = saved(Image.fromarray(halves(0, 0)))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    with pytest.raises(ValueError, match="exceeds limit"):
        as_seen(content)
