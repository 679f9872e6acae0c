"""What the judge said of single images, in the order in which a contact sheet shows them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from conceptspace.presentation.explorer.guarded import bound_of, require_plain
from conceptspace.store import Run, read_scores
from conceptspace.tables import VALID

DIGITS = 2

ROW = ["setting", "concept_class"]
"""What a row of a sheet is of."""

Tree = dict[str, Any]


def scores_of(run: Run, protocol: str, step: int) -> pd.DataFrame | None:
    """The scores of the images of a protocol at a step; None if they are not kept.

    Raises:
        UserError: the file is damaged, or may not be read.
    """
    path: Path = run.folder.scores(protocol, step)
    require_plain(path, bound_of(run))
    return read_scores(path) if path.exists() else None


def scored(
    scores: pd.DataFrame,
    rows: Sequence[Mapping[str, str]],
    columns: int,
    concepts: Sequence[str],
) -> list[Tree | None]:
    """The scores of a sheet's images, a tree for each of its rows; None where there are none.

    ``{"joint": [0.98, ...], "accuracy": [one list for each concept], "valid": [1.0, ...]}``, each
    as long as the row is wide. The joint accuracy of an image is the product over its concepts;
    "valid" says whether there is one valid object, and is missing where no judge said so. Unknown
    values are null.

    Args:
        scores: see :meth:`conceptspace.store.Run.scores`; of one protocol and step.
        rows: of the sheet, see :class:`conceptspace.contact_sheet.Sheet`.
        columns: images of a row.
        concepts: in the order of the bits of the classes.
    """
    asked = [(row["setting"], row["concept_class"]) for row in rows]
    there = {*zip(scores["setting"], scores["concept_class"], strict=True)}
    accuracies = (
        scores.pivot_table(index=[*ROW, "concept"], columns="sample", values="accuracy")
        .reindex(columns=range(columns))
        .reindex([(*row, concept) for row in asked for concept in concepts])
        .to_numpy(np.float64)
        .reshape(len(asked), len(concepts), columns)
    )
    valid = np.full((len(asked), columns), np.nan)
    if VALID in scores:
        least = scores.pivot_table(index=ROW, columns="sample", values=VALID, aggfunc="min")
        valid = least.reindex(columns=range(columns)).reindex(asked).to_numpy(np.float64)
    found: list[Tree | None] = []
    for row, accuracy, of_row in zip(asked, accuracies, valid, strict=True):
        each: Tree = {
            "joint": _rounded(accuracy.prod(axis=0)),
            "accuracy": [_rounded(of_concept) for of_concept in accuracy],
        }
        if np.isfinite(of_row).any():
            each["valid"] = _rounded(of_row)
        found.append(each if row in there else None)
    return found


def _rounded(values: NDArray[np.float64]) -> list[float | None]:
    rounded = np.round(values, DIGITS).tolist()
    return [value if np.isfinite(value) else None for value in rounded]
