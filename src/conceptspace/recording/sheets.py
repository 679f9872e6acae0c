"""Contact sheets, written: all generated images of a checkpoint in one PNG, with its index."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from torch import Tensor

from conceptspace.contact_sheet import KEYWORD, damaged_sheet, read_sheet
from conceptspace.errors import UserError
from conceptspace.files import write_atomically
from conceptspace.recording.evaluate import Generated
from conceptspace.store import Run
from conceptspace.worlds import border
from conceptspace.worlds.world import Prompting, World


def pictures_of(world: World) -> dict[str, Tensor]:
    """The images that stand for classes, of those classes that have one."""
    found = {str(name): border.picture(world, name) for name in world.space.classes}
    return {name: picture for name, picture in found.items() if picture is not None}


def own_pictures(world: Prompting, pictures: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Images of one's own that stand for classes, each (channels, height, width) in [0, 1].

    Raises:
        UserError: one is of no class of the world, or is no image.
    """
    found = {}
    for name, picture in pictures.items():
        if name not in world.space.classes:
            raise UserError(f"there is a picture of class {name}, which the space does not have")
        what = f"the picture of class {name}"
        found[str(name)] = border.generated(torch.as_tensor(picture)[None], what, 1)[0]
    return found


def write_pictures(run: Run, pictures: Mapping[str, Tensor]) -> None:
    """Keep an image of each class in the run, so that its pages can be made without its data.

    Args:
        run: the folder.
        pictures: of each class, shape (channels, height, width) in [0, 1].
    """
    for name, picture in pictures.items():
        pixels = as_tiles(picture[None])[0].permute(1, 2, 0).numpy()
        buffer = io.BytesIO()
        Image.fromarray((pixels * 255).round().astype(np.uint8)).save(buffer, "PNG")
        write_atomically(run.pictures / f"{name}.png", buffer.getvalue())


def as_tiles(
    images: Float[Tensor, "batch channels height width"],
) -> Float[Tensor, "batch 3 side side"]:
    """Images in the form that is stored: square and in RGB.

    Grey becomes three equal channels, a fourth channel is opacity on white, and what is not square
    is centered on white.
    """
    if images.shape[1] == 1:
        images = images.expand(-1, 3, -1, -1)
    if images.shape[1] == 4:
        opacity = images[:, 3:]
        images = images[:, :3] * opacity + (1 - opacity)
    height, width = images.shape[2:]
    side = max(height, width)
    top, left = (side - height) // 2, (side - width) // 2
    padding = (left, side - width - left, top, side - height - top)
    return images if height == width else F.pad(images, padding, value=1.0)


def write_sheet(path: Path, step: int, generated: Sequence[Generated]) -> None:
    """Write a PNG with one row per setting and class and one tile per image, and their index.

    Rows are added to a sheet that is there already; those of the same setting and class replaced.

    Args:
        path: of the PNG.
        step: of the checkpoint.
        generated: rows from the top.

    Raises:
        UserError: classes, or the sheet that is there, differ in the size of images; or that sheet
            is damaged.
    """
    tiles = [as_tiles(g.images) for g in generated]
    _require_one_size(tiles, generated)
    rows = torch.stack(tiles)
    settings, samples, _, height, width = rows.shape
    pixels = rows.permute(0, 3, 1, 4, 2).reshape(settings * height, samples * width, 3)
    sheet = (pixels.numpy() * 255).round().astype(np.uint8)
    names = [{"setting": g.setting, "concept_class": str(g.concept_class)} for g in generated]
    if path.exists():
        stored = read_sheet(path)[1]
        if stored.tile != height:
            raise UserError(
                f"the images of class {generated[0].concept_class} are {height} pixels wide or "
                f"high, and those in {path} {stored.tile}; all images of a checkpoint have one size"
            )
        before = stored.rows
        kept = [i for i, name in enumerate(before) if name not in names]
        try:
            with Image.open(io.BytesIO(stored.content())) as image:
                old = np.asarray(image)
        except (OSError, SyntaxError):
            raise damaged_sheet(path) from None
        sheet = np.concatenate([*(old[i * height : (i + 1) * height] for i in kept), sheet])
        names = [before[i] for i in kept] + names
    index = {"step": step, "tile": height, "columns": samples, "rows": names}
    write_atomically(path, encoded(sheet, index))


def _require_one_size(tiles: Sequence[Tensor], generated: Sequence[Generated]) -> None:
    for tile, made in zip(tiles, generated, strict=True):
        if tile.shape[2] != tiles[0].shape[2]:
            raise UserError(
                f"the images of class {generated[0].concept_class} are of "
                f"{_size_in_words(generated[0])} and those of class {made.concept_class} of "
                f"{_size_in_words(made)}; all images of a checkpoint have one size"
            )


def _size_in_words(made: Generated) -> str:
    height, width = made.images.shape[2:]
    return f"{height} × {width} pixels"


def encoded(pixels: NDArray[np.uint8], index: Mapping[str, Any]) -> bytes:
    """The PNG of a contact sheet.

    Args:
        pixels: shape (rows * tile, columns * tile, 3).
        index: step, tile, columns and rows, see :class:`conceptspace.contact_sheet.Sheet`.
    """
    text = PngInfo()
    text.add_text(KEYWORD, json.dumps(index, sort_keys=True))
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", pnginfo=text)
    return buffer.getvalue()
