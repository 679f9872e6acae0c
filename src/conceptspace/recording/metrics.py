"""The training log of a recorded run: the numbers that come with its checkpoints."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from torch import Tensor

from conceptspace.errors import Diverged, UserError
from conceptspace.files import read_table, write_table


class Metrics:
    """Numbers by step, kept in ``training.parquet``; ``loss`` is always among them.

    Args:
        path: of the file.

    Raises:
        UserError: it is there and damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        remedy = "delete it: the checkpoints go on without their loss"
        self.rows = read_table(path, remedy) if path.exists() else pd.DataFrame()

    def add(self, step: int, numbers: Mapping[str, float]) -> None:
        """Write the numbers of a step, in place of those that it had.

        Args:
            step: of training.
            numbers: by name, see :func:`checked`; none adds nothing.
        """
        if not numbers:
            return
        others = self.rows[self.rows["step"] != step] if len(self.rows) else self.rows
        row = pd.DataFrame([{"step": step, **numbers}])
        rows = pd.concat([others, row], ignore_index=True)
        self.rows = rows.sort_values("step", ignore_index=True)
        write_table(self.path, self.rows)


def checked(step: int, numbers: Mapping[str, object]) -> dict[str, float]:
    """The numbers of a step as floats.

    Args:
        step: of training.
        numbers: by name; there may be none.

    Raises:
        UserError: there is no loss among them, or one is no number.
        Diverged: one is not finite.
    """
    if numbers and "loss" not in numbers:
        raise UserError(
            f"the metrics {', '.join(numbers)} of step {step} need a loss beside them, under the "
            "name loss"
        )
    return {name: _number(value, name, step) for name, value in numbers.items()}


def _number(value: Any, name: str, step: int) -> float:
    try:
        number = float(value.detach() if isinstance(value, Tensor) else value)
    except (TypeError, ValueError, RuntimeError):
        raise UserError(f"{name} of step {step} is {value!r}, not a number") from None
    if not math.isfinite(number):
        raise Diverged(f"{name} of step {step} is {number}; training has diverged")
    return number
