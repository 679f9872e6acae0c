"""The accuracies of a table, each of which may emerge and be hidden on its own."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from conceptspace.analysis.roles import ROLE, roles
from conceptspace.analysis.trajectories import concepts_of
from conceptspace.tables import JOINT, NAIVE


@dataclass(frozen=True)
class Quantity:
    """One accuracy over training.

    Attributes:
        concept_class: the class that is asked for.
        concept: whose accuracy; joint for that of all concepts at once.
        name: in words, e.g. ``"reverse"`` with its quotes, or "the joint accuracy".
    """

    concept_class: str
    concept: str
    name: str


def each_setting(table: pd.DataFrame) -> pd.DataFrame:
    """Every setting as a way of asking of its own, so that none is chosen by its result.

    A setting has the role of its way of asking, whatever it is called.
    """
    named = [
        f"{protocol} {setting}".strip()
        for protocol, setting in zip(table["protocol"], table["setting"], strict=True)
    ]
    return table.assign(protocol=named, setting="", **{ROLE: roles(table)})


def classes_of(table: pd.DataFrame) -> list[str]:
    """The classes, in order."""
    return sorted(str(name) for name in table["concept_class"].unique())


def quantities(table: pd.DataFrame) -> list[Quantity]:
    """Every accuracy that the plain way of asking has, class by class, the joint one first."""
    naive = table[table["protocol"] == NAIVE]
    found = []
    for name in classes_of(naive):
        rows = naive[naive["concept_class"] == name]
        of = f" of {name}" if len(classes_of(table)) > 1 else ""
        concepts = concepts_of(rows)
        if (rows["concept"] == JOINT).any() and not _copied(rows):
            found.append(Quantity(name, JOINT, f"the joint accuracy{of}"))
        found += [Quantity(name, concept, f'"{concept}"{of}') for concept in concepts]
    return found


def _copied(rows: pd.DataFrame) -> bool:
    """Whether the joint accuracy is that of the only concept."""
    wide = rows.pivot(index=["seed", "step"], columns="concept", values="accuracy")
    return wide.shape[1] == 2 and bool((wide.nunique(axis=1) == 1).all())


def main_quantities(table: pd.DataFrame) -> list[Quantity]:
    """Those that are searched for a hidden window: joint accuracies; without them, all."""
    found = quantities(table)
    return [q for q in found if q.concept == JOINT] or found


def by_protocol(table: pd.DataFrame, quantity: Quantity) -> pd.DataFrame:
    """A quantity, index seed and step, one column for each way of asking; NaN where not asked."""
    rows = table[
        (table["concept_class"] == quantity.concept_class) & (table["concept"] == quantity.concept)
    ]
    return rows.pivot(index=["seed", "step"], columns="protocol", values="accuracy")
