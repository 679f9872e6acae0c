"""Trajectory tables to take away."""

from __future__ import annotations

import io
from collections.abc import Sequence

import pandas as pd

from conceptspace.store import Run

PARQUET = "application/vnd.apache.parquet"
"""Media type of Parquet."""


def joined(runs: Sequence[Run]) -> pd.DataFrame:
    """The trajectories of runs in one table, under the names that they have on the page.

    Raises:
        UserError: a run has not been evaluated, or its table is damaged.
    """
    return pd.concat([run.trajectory() for run in runs], ignore_index=True)


def parquet(table: pd.DataFrame) -> bytes:
    """A table as Parquet, compressed with Zstandard."""
    buffer = io.BytesIO()
    table.to_parquet(buffer, index=False, compression="zstd")
    return buffer.getvalue()
