"""The data behind the interactive trajectory: plain numbers, strings and PNGs, no markup."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from numpy.typing import ArrayLike
from PIL import Image

from conceptspace.data.concepts import ConceptSpace
from conceptspace.presentation.series import best_settings
from conceptspace.presentation.style import pixels
from conceptspace.store import Run, Sheet
from conceptspace.tables import JOINT, NAIVE

DIGITS = 4
IMAGE_BUDGET = 3_500_000

Tree = dict[str, Any]


def payload(
    runs: Sequence[Run],
    space: ConceptSpace,
    class_images: Mapping[str, ArrayLike],
    *,
    image_budget: int = IMAGE_BUDGET,
) -> Tree:
    """Everything that the page's script draws, ready for JSON.

    ::

        {"concepts": [{"name": "color", "labels": ["red", "blue"]}, ...],
         "classes": [{"name": "00", "words": "red large", "ood": false, "image": PNG or null}, ...],
         "runs": [{"name": ..., "seed": ..., "protocols": [
             {"name": "naive", "settings": [""], "steps": [400, ...],
              "best": {"11": [index of the setting at each step, ...]},
              "points": {"11": [for each setting [for each step null or
                  [samples, joint accuracy, [accuracy of each concept], [coordinate ...]]]]},
              "sheets": [for each step null or {"image": index, "tile": 16, "columns": 32,
                         "rows": [[setting, class], ...]}]}]}],
         "images": [PNG, ...],
         "images_shown": 32, "images_generated": 32}

    PNGs are data URIs.

    Args:
        runs: their trajectories and contact sheets are read.
        space: the concepts, and which classes train.
        class_images: an image of each class, shape (3, H, W) or (H, W, 3).
        image_budget: most bytes of PNG for all contact sheets; where they are larger, only the
            first images of each row are kept.
    """
    protocols = [(run, _protocols(run.trajectory(), space)) for run in runs]
    found = [run.sheets(p["name"]) for run, tables in protocols for p in tables]
    shown, images = _fitting([s for sheets in found for s in sheets.values()], image_budget)
    generated = max((s.columns for sheets in found for s in sheets.values()), default=0)
    numbers = iter(range(len(images)))
    position = iter(found)
    entries = []
    for run, tables in protocols:
        for protocol in tables:
            sheets = next(position)
            index = {step: _sheet(sheet, next(numbers), shown) for step, sheet in sheets.items()}
            protocol["sheets"] = [index.get(step) for step in protocol["steps"]]
        entries.append({"name": run.name, "seed": run.config.seed, "protocols": tables})
    return {
        "concepts": [{"name": c.name, "labels": list(c.labels)} for c in space.concepts],
        "classes": [_class(space, name, class_images.get(name)) for name in space.classes],
        "runs": entries,
        "images": [_uri(image) for image in images],
        "images_shown": shown,
        "images_generated": generated,
    }


def _class(space: ConceptSpace, name: str, image: ArrayLike | None) -> Tree:
    return {
        "name": str(name),
        "words": space.describe(name),
        "ood": name in space.ood_classes,
        "image": None if image is None else _uri(_png(Image.fromarray(pixels(image)))),
    }


def _protocols(table: pd.DataFrame, space: ConceptSpace) -> list[Tree]:
    """The trajectory as one entry per protocol, naive first, still without sheets."""
    names = sorted(table["protocol"].unique(), key=lambda name: (name != NAIVE, name))
    return [_protocol(table[table["protocol"] == name], str(name), space) for name in names]


def _protocol(table: pd.DataFrame, name: str, space: ConceptSpace) -> Tree:
    steps = [int(step) for step in sorted(table["step"].unique())]
    settings = [str(setting) for setting in table["setting"].unique()]
    keys = ["concept_class", "setting", "step", "concept"]
    rows = table.set_index(keys)[["accuracy", "coordinate", "samples"]].to_dict("index")
    winners = best_settings(table)
    winners = winners[winners["concept"] == JOINT]
    best = winners.set_index(["concept_class", "step"])["setting"].to_dict()
    return {
        "name": name,
        "settings": settings,
        "steps": steps,
        "best": {
            str(c): [settings.index(best[c, s]) if (c, s) in best else 0 for s in steps]
            for c in space.classes
        },
        "points": {
            str(c): [[_point(rows, c, setting, s, space) for s in steps] for setting in settings]
            for c in space.classes
        },
    }


def _point(
    rows: Mapping[Any, Mapping[Any, float]],
    concept_class: str,
    setting: str,
    step: int,
    space: ConceptSpace,
) -> list[Any] | None:
    """``[samples, joint, accuracies, coordinates]``, or None where it was not measured."""
    joint = rows.get((concept_class, setting, step, JOINT))
    each = [rows.get((concept_class, setting, step, name)) for name in space.names]
    if joint is None or None in each:
        return None
    known = [row for row in each if row is not None]
    return [
        int(joint["samples"]),
        _rounded(joint["accuracy"]),
        [_rounded(row["accuracy"]) for row in known],
        [_rounded(row["coordinate"]) for row in known],
    ]


def _rounded(value: float) -> float | None:
    return round(float(value), DIGITS) if math.isfinite(value) else None


def _sheet(sheet: Sheet, number: int, shown: int) -> Tree:
    return {
        "image": number,
        "tile": sheet.tile,
        "columns": min(shown, sheet.columns),
        "rows": [[row["setting"], row["concept_class"]] for row in sheet.rows],
    }


def _fitting(sheets: Sequence[Sheet], budget: int) -> tuple[int, list[bytes]]:
    """How many images of each row fit into the budget (halving), and the sheets cut to that."""
    shown = max((sheet.columns for sheet in sheets), default=0)
    expected = sum(sheet.path.stat().st_size for sheet in sheets)
    while shown > 1 and expected > 2 * budget:
        shown, expected = shown // 2, expected // 2
    while True:
        images = [_cut(sheet, shown) for sheet in sheets]
        if shown <= 1 or sum(map(len, images)) <= budget:
            return shown, images
        shown //= 2


def _cut(sheet: Sheet, columns: int) -> bytes:
    """The first columns of a sheet as PNG."""
    if columns >= sheet.columns:
        return sheet.path.read_bytes()
    with Image.open(sheet.path) as image:
        width = min(columns, sheet.columns) * sheet.tile
        return _png(image.convert("RGB").crop((0, 0, width, image.height)))


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


def _uri(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode()
