"""Contact sheets: all generated images of a checkpoint in one PNG, with an index beside it."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from conceptspace.data.world import World
from conceptspace.files import write_atomically, write_json
from conceptspace.measurement.evaluate import Generated
from conceptspace.store import Run, damaged_sheet, read_sheet


def write_pictures(run: Run, world: World) -> None:
    """Keep an image of each class in the run, so that its pages can be made without its data."""
    for name in world.space.classes:
        pixels = world.picture(name).permute(1, 2, 0).numpy()
        buffer = io.BytesIO()
        Image.fromarray((pixels * 255).round().astype(np.uint8)).save(buffer, "PNG")
        write_atomically(run.pictures / f"{name}.png", buffer.getvalue())


def write_sheet(path: Path, step: int, generated: Sequence[Generated]) -> None:
    """Write a PNG with one row per setting and class and one tile per image, and its JSON.

    Rows are added to a sheet that is there already; those of the same setting and class replaced.

    Args:
        path: of the PNG; the JSON has the same name with another suffix.
        step: of the checkpoint.
        generated: rows from the top.

    Raises:
        UserError: the sheet that is there is damaged.
    """
    rows = torch.stack([g.images for g in generated])
    settings, samples, _, height, width = rows.shape
    pixels = rows.permute(0, 3, 1, 4, 2).reshape(settings * height, samples * width, 3)
    sheet = (pixels.numpy() * 255).round().astype(np.uint8)
    names = [{"setting": g.setting, "concept_class": str(g.concept_class)} for g in generated]
    if path.with_suffix(".json").exists():
        before = read_sheet(path.with_suffix(".json"))[1].rows
        kept = [i for i, name in enumerate(before) if name not in names]
        try:
            with Image.open(path) as image:
                old = np.asarray(image)
        except (OSError, SyntaxError):
            raise damaged_sheet(path) from None
        sheet = np.concatenate([*(old[i * height : (i + 1) * height] for i in kept), sheet])
        names = [before[i] for i in kept] + names
    buffer = io.BytesIO()
    Image.fromarray(sheet).save(buffer, "PNG")
    write_atomically(path, buffer.getvalue())
    index = {
        "step": step,
        "tile": height,
        "columns": samples,
        "rows": names,
    }
    write_json(path.with_suffix(".json"), index)
