"""The accuracies of a table, each of which may emerge and be hidden on its own."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from conceptspace.analysis.roles import ROLE, roles
from conceptspace.analysis.trajectories import concepts_of
from conceptspace.errors import UserError
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

    A setting has the role of its way of asking, whatever it is called. The only setting of the
    plain way is the plain way.

    Raises:
        UserError: the plain way has several settings, and each is one.
    """
    table = _plain_alone(table)
    pairs = table[["protocol", "setting"]].drop_duplicates()
    short = {(p, x): f"{p} {x}".strip() for p, x in pairs.itertuples(index=False)}
    shared = {name for name in short.values() if list(short.values()).count(name) > 1}
    names = {
        (p, x): f'{p}, setting "{x}"' if x and name in shared else name
        for (p, x), name in short.items()
    }
    named = [names[pair] for pair in zip(table["protocol"], table["setting"], strict=True)]
    return table.assign(protocol=named, setting="", **{ROLE: roles(table)})


def _plain_alone(table: pd.DataFrame) -> pd.DataFrame:
    """The table in which the plain way of asking has no setting, where it has but one.

    Raises:
        UserError: it has several, and each is one.
    """
    naive = table["protocol"] == NAIVE
    settings = [str(value) for value in table.loc[naive, "setting"].unique()]
    if len(settings) > 1 and "" not in settings:
        raise UserError(
            f"the plain way of asking has the settings {', '.join(settings)}: keep the one that is "
            "plain, or give the others a way of asking of their own"
        )
    if len(settings) == 1:
        return table.assign(setting=table["setting"].mask(naive, ""))
    return table


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
