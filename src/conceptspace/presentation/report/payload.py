"""The data behind the interactive trajectory: plain numbers, strings and PNGs, no markup."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from numpy.typing import ArrayLike
from PIL import Image

from conceptspace.data.concepts import ConceptSpace
from conceptspace.presentation.report.images import Cut, Stored, fit, png, uri
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
        image_budget: most bytes of PNG for all contact sheets; where they are larger, see
            :func:`~conceptspace.presentation.report.images.fit`.
    """
    tables = [(run, _protocols(run.trajectory(), space)) for run in runs]
    pairs = [(run, protocol) for run, protocols in tables for protocol in protocols]
    sheets = [run.sheets(protocol["name"]) for run, protocol in pairs]
    stored = [_stored(of, p) for of, (_, p) in zip(sheets, pairs, strict=True)]
    cut, kept = fit(stored, image_budget)
    images: list[str] = []
    for of, items, pngs, (_, protocol) in zip(sheets, stored, kept, pairs, strict=True):
        index: Tree = {}
        for step, item, content in zip(of, items, pngs, strict=True):
            if content is not None:
                index[str(step)] = _sheet(item, cut, len(images))
                images.append(uri(content))
        protocol["sheets"] = [index.get(str(step)) for step in protocol["steps"]]
    generated = max((sheet.columns for of in sheets for sheet in of.values()), default=0)
    return {
        "concepts": [{"name": c.name, "labels": list(c.labels)} for c in space.concepts],
        "classes": [_class(space, name, class_images.get(name)) for name in space.classes],
        "runs": [
            {"name": run.name, "seed": run.config.seed, "protocols": protocols}
            for run, protocols in tables
        ],
        "images": images,
        "images_shown": min(cut.columns, generated),
        "images_generated": generated,
    }


def _class(space: ConceptSpace, name: str, image: ArrayLike | None) -> Tree:
    return {
        "name": str(name),
        "words": space.describe(name),
        "ood": name in space.ood_classes,
        "image": None if image is None else uri(png(Image.fromarray(pixels(image)))),
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


def _stored(sheets: Mapping[int, Sheet], protocol: Tree) -> list[Stored]:
    """The sheets of a protocol with the rows of each step's best settings."""
    found = []
    for step, sheet in sheets.items():
        at = protocol["steps"].index(step) if step in protocol["steps"] else 0
        best = {(c, protocol["settings"][which[at]]) for c, which in protocol["best"].items()}
        rows = [
            number
            for number, row in enumerate(sheet.rows)
            if (row["concept_class"], row["setting"]) in best
        ]
        found.append(Stored(sheet, rows or [0]))
    return found


def _sheet(stored: Stored, cut: Cut, number: int) -> Tree:
    sheet = stored.sheet
    rows = [sheet.rows[row] for row in cut.rows(stored)]
    return {
        "image": number,
        "tile": sheet.tile,
        "columns": min(cut.columns, sheet.columns),
        "rows": [[row["setting"], row["concept_class"]] for row in rows],
    }
