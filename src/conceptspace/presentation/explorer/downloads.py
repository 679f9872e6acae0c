"""Trajectory tables to take away."""

from __future__ import annotations

import io
from collections.abc import Sequence

import pandas as pd

from conceptspace.store import Run


def joined(runs: Sequence[Run]) -> pd.DataFrame:
    """The trajectories of runs in one table, under the names that they have on the page.

    Raises:
        UserError: a run has not been evaluated, or its table is damaged.
    """
    return pd.concat([run.trajectory().assign(run=run.name) for run in runs], ignore_index=True)


def parquet(runs: Sequence[Run]) -> bytes:
    """The joined table as Parquet, compressed with Zstandard.

    Raises:
        UserError: see :func:`joined`.
    """
    buffer = io.BytesIO()
    joined(runs).to_parquet(buffer, index=False, compression="zstd")
    return buffer.getvalue()
