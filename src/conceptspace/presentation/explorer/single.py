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
    found: list[Tree | None] = []
    by_row = dict(list(scores.groupby(["setting", "concept_class"], sort=False)))
    for row in rows:
        own = by_row.get((row["setting"], row["concept_class"]))
        if own is None:
            found.append(None)
            continue
        wide = own.pivot_table(index="concept", columns="sample", values="accuracy")
        accuracy = wide.reindex(index=list(concepts), columns=range(columns)).to_numpy(np.float64)
        each: Tree = {
            "joint": _rounded(accuracy.prod(axis=0)),
            "accuracy": [_rounded(of_concept) for of_concept in accuracy],
        }
        if VALID in own and own[VALID].notna().any():
            valid = own.groupby("sample")[VALID].min().reindex(range(columns))
            each["valid"] = _rounded(valid.to_numpy(np.float64))
        found.append(each)
    return found


def _rounded(values: NDArray[np.float64]) -> list[float | None]:
    rounded = np.round(values, DIGITS).tolist()
    return [value if np.isfinite(value) else None for value in rounded]
