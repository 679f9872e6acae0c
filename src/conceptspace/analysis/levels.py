"""From which accuracy on something counts as there, and up to which as not there."""

from __future__ import annotations

from dataclasses import dataclass

from conceptspace.analysis.emergence import THRESHOLD
from conceptspace.analysis.verdict import FAILS, IDLE
from conceptspace.errors import UserError


@dataclass(frozen=True)
class Levels:
    """The accuracies that decide what the findings of a table say.

    Attributes:
        reached: what emerges reaches this, and another way of asking in a hidden window.
        fails: the plain way of asking stays at this or below in a hidden window.
        idle: a control stays at this or below in it.

    Raises:
        UserError: they are no accuracies, or not below the first.
    """

    reached: float = THRESHOLD
    fails: float = FAILS
    idle: float = IDLE

    def __post_init__(self) -> None:
        if not 0 < self.reached <= 1:
            raise UserError(f"--threshold is an accuracy above 0, up to 1, not {self.reached:g}")
        for flag, value in (("fails", self.fails), ("idle", self.idle)):
            if not 0 <= value < self.reached:
                raise UserError(
                    f"--{flag} is an accuracy from 0 on and below --threshold {self.reached:g}, "
                    f"not {value:g}"
                )

    @property
    def changed(self) -> dict[str, str]:
        """Those that differ from the defaults, in words, by what they decide."""
        every = {
            "counts as there": (self.reached, THRESHOLD, f"from {self.reached:g} on"),
            "the plain way fails": (self.fails, FAILS, f"up to {self.fails:g}"),
            "a control is idle": (self.idle, IDLE, f"up to {self.idle:g}"),
        }
        return {what: text for what, (level, usual, text) in every.items() if level != usual}


LEVELS = Levels()
"""The levels of the verdict on runs; the default for tables."""
