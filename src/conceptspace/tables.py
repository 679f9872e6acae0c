"""The one contract between measurement and everything after it: the trajectory table.

A tidy table with one row per checkpoint, protocol, setting, class and concept. ``accuracy`` is the
mean probability of the target's bit, ``coordinate`` the mean probability of bit 1, both over
``samples`` images and by the judge: an image without a valid object has accuracy 0 and coordinate
1/2. The rows of concept :data:`JOINT` hold the joint accuracy, the mean over images of the product
over concepts; their coordinate is missing. Two more columns may be there: :data:`VALID` and
:data:`PROBE`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from conceptspace.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

KEYS = ["run", "seed", "step", "protocol", "setting", "concept_class"]
"""Columns that identify a group of generated images."""

TRAJECTORY_COLUMNS = [*KEYS, "concept", "accuracy", "coordinate", "samples"]
"""Columns of ``trajectory.parquet``."""

SCORE_COLUMNS = [*KEYS, "sample", "concept", "accuracy", "coordinate"]
"""Columns of the scores of single images."""

VALID = "valid"
"""Share of the images that show a valid object, by the judge; missing without a judge."""

PROBE = "probe"
"""As accuracy, by the plain probe, which says something of every image (the paper's own score)."""

AGREED = "agreed"
"""In the scores of single images, whether a second judge finds the same value of the concept."""

JOINT = "joint"
"""The concept of the rows that hold the joint accuracy."""

PATCHING = "patching"
"""The protocol that borrows the condition embeddings of the run's last checkpoint."""

FINE_TUNING = "fine-tuning"
"""How the names of protocols begin that train a copy of the model further."""

TEACHING = "fine-tuning-held-out"
"""Of those, the ones that show the model what it is asked for: they teach and do not elicit."""

LARGEST = 10**15
"""The largest step, seed or number of samples: whole in every column of numbers."""

NAIVE = "naive"
"""The protocol that prompts the model as it was trained; its only setting is ``""``."""


def require_keys(table: pd.DataFrame, keys: Iterable[str], name: str = "the table") -> None:
    """Refuse a table with a missing key, whose rows pandas leaves out of groups in silence.

    Raises:
        UserError: names the column and how many rows lack it.
    """
    for key in keys:
        missing = int(table[key].isna().sum())
        if missing:
            raise UserError(f"{name}: {missing} of {len(table)} rows have no {key}")
