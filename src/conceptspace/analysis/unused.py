"""Columns of a table that nothing uses, though they may tell several trajectories apart."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from conceptspace.analysis.roles import ROLE
from conceptspace.tables import KEYS, PROBE, VALID
from conceptspace.values import COLUMNS

USED = frozenset(
    (*KEYS, "concept", "accuracy", "coordinate", "samples", VALID, PROBE, ROLE, *COLUMNS)
)
TRAJECTORY = ["run", "seed", "protocol", "setting", "concept_class", "concept"]
"""Columns that tell trajectories apart."""

ENOUGH = 3
"""Checkpoints that a number has to hold to be a setting rather than a measurement."""


def taking_turns(table: pd.DataFrame) -> list[str]:
    """Unused columns whose texts come back within a trajectory after others: it is several.

    Args:
        table: with the columns :data:`TRAJECTORY`, and steps that are numbers.
    """
    return [
        name
        for name, rows in _varying(table)
        if not _numeric(table[name]) and any(_returns(values) for values in rows)
    ]


def changing(table: pd.DataFrame) -> list[str]:
    """Further ones that may hold several conditions, or the phases of one training.

    Texts of which some hold at several checkpoints, and numbers that come back after others and
    hold at :data:`ENOUGH` each.

    Args:
        table: see :func:`taking_turns`.
    """
    return [
        name
        for name, rows in _varying(table)
        if (
            any(_returns(v) and v.value_counts().min() >= ENOUGH for v in rows)
            if _numeric(table[name])
            else any(v.duplicated().any() for v in rows)
        )
    ]


def _varying(table: pd.DataFrame) -> Iterator[tuple[str, list[pd.Series]]]:
    """Unused columns with their values of each trajectory in which they vary, in order of steps."""
    unused = [c for c in table.columns if c not in USED and table[c].map(str).nunique() > 1]
    if not unused:
        return
    ordered = table.assign(step=pd.to_numeric(table["step"])).sort_values("step", kind="stable")
    parts = [rows for _, rows in ordered.groupby(TRAJECTORY, sort=False)]
    for name in unused:
        rows = [part[name].dropna().map(str) for part in parts]
        varying = [values for values in rows if values.nunique() > 1]
        if varying:
            yield str(name), varying


def _returns(values: pd.Series) -> bool:
    """Whether some value comes back after another one."""
    there = values.to_numpy(dtype=object)
    return 1 + int(np.sum(there[1:] != there[:-1])) > values.nunique()


def _numeric(column: pd.Series) -> bool:
    """Whether a column holds numbers or truth values."""
    known = column.dropna().map(str)
    known = known[~known.isin(("True", "False", "true", "false"))]
    return bool(pd.to_numeric(known, errors="coerce").notna().all())
