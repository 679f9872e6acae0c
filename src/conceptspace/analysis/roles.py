"""What each way of asking in a table is: another way, a control, or neither.

What the user says decides. Of a way of which nothing is said the name does, as it does in runs: one
with the word "control", in capitals or not, is a control, and this project's protocols that show
the model the class itself, or a later checkpoint, are no way of asking the checkpoint. A setting is
no part of the name.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd

from conceptspace.analysis.elicitation import is_control, teaches
from conceptspace.analysis.verdict import SCALING
from conceptspace.tables import NAIVE, PATCHING

ROLE = "counts as"
"""A column of tables: one of the roles below; missing where nothing was said."""

OTHER = "another way"
CONTROL = "a control"
CONTROL_BY_NAME = "a control by its name"
ASIDE_BY_NAME = "no other way by its name"


@dataclass(frozen=True)
class Ways:
    """The ways of asking of a table but for the plain one, in its order.

    Attributes:
        others: those that may find what is hidden.
        controls: those that have to stay idle.
        aside: those that are neither, by their names.
        by_name: controls of which only their name says that they are.
    """

    others: tuple[str, ...]
    controls: tuple[str, ...]
    aside: tuple[str, ...]
    by_name: tuple[str, ...]

    def among(self, names: Iterable[str]) -> tuple[list[str], list[str]]:
        """The other ways and the controls of these names."""
        there = list(names)
        return [n for n in there if n in self.others], [n for n in there if n in self.controls]


def ways_of(table: pd.DataFrame) -> Ways:
    """The ways of asking of a table."""
    of = table.assign(**{ROLE: roles(table)})[["protocol", ROLE]].drop_duplicates("protocol")
    found = {str(name): role for name, role in of.itertuples(index=False) if name != NAIVE}

    def those(*wanted: str) -> tuple[str, ...]:
        return tuple(name for name, role in found.items() if role in wanted)

    return Ways(
        those(OTHER), those(CONTROL, CONTROL_BY_NAME), those(ASIDE_BY_NAME), those(CONTROL_BY_NAME)
    )


def roles(table: pd.DataFrame) -> pd.Series:
    """The role of the way of asking of each row."""
    named = table["protocol"].map(_by_name)
    return table[ROLE].fillna(named) if ROLE in table else named


def _by_name(protocol: str) -> str:
    if teaches(protocol) or protocol in (PATCHING, SCALING):
        return ASIDE_BY_NAME
    return CONTROL_BY_NAME if is_control(protocol) else OTHER
