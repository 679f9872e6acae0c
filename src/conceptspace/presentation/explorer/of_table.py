"""The page of a table without a run folder: what the table holds, and nothing made up."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from conceptspace.analysis import points
from conceptspace.analysis.emergence import THRESHOLD
from conceptspace.analysis.findings import turn_of
from conceptspace.analysis.quantities import classes_of
from conceptspace.analysis.table_findings import turn_text
from conceptspace.analysis.trajectories import concepts_of
from conceptspace.presentation.explorer.downloads import PARQUET, parquet
from conceptspace.presentation.explorer.run_findings import turn_payload
from conceptspace.presentation.explorer.spaces import uri
from conceptspace.tables import NAIVE, TRAJECTORY_COLUMNS
from conceptspace.values import columns_of

Tree = dict[str, Any]

AT_FIRST = 6
"""Ways of asking that are drawn at first."""


@dataclass(frozen=True)
class TableAxes:
    """The concepts and classes that a table names.

    Attributes:
        names: the concepts, in the order of the table.
        classes: in order.
        many: how many values a concept with more than two has.
        complete: concepts of which the table holds the probability of every value.
    """

    names: tuple[str, ...]
    classes: tuple[str, ...]
    many: Mapping[str, int]
    complete: frozenset[str]

    @classmethod
    def of(cls, table: pd.DataFrame) -> TableAxes:
        """Those of a trajectory table."""
        names, classes = concepts_of(table), tuple(classes_of(table))
        single = columns_of(table)
        sizes, complete = {}, []
        for place, name in enumerate(names):
            own = table.loc[table["concept"] == name, single]
            there = [p for p in single if own[p].notna().all()]
            asked = max(int(digits[place]) for digits in classes) + 1
            if max(asked, len(there)) > 2:
                sizes[name] = max(asked, len(there))
                complete += [name] if len(there) == sizes[name] else []
        return cls(names, classes, sizes, frozenset(complete))


def table_payload(
    table: pd.DataFrame, title: str, source: Mapping[str, str], threshold: float = THRESHOLD
) -> Tree:
    """What the page of a table finds inside; see :func:`offline.payload` for its form.

    Rows of a run that differ in their seed are runs of their own.

    The index has two more entries: ``"of_table": true``, and ``"protocols"``, those drawn at first.

    Args:
        table: trajectory table of one setting a way of asking.
        title: of the page.
        source: where it comes from, as names and values, e.g. file and SHA-256.
        threshold: accuracy from which something counts as present.
    """
    table = _one_seed_a_run(table)
    axes = TableAxes.of(table)
    names = [str(name) for name in dict.fromkeys(table["run"])]
    runs = {name: table[table["run"] == name] for name in names}
    tokens = {name: hashlib.sha256(name.encode()).hexdigest()[:12] for name in names}
    trajectory, settings = {}, {}
    for name, rows in runs.items():
        dense = points.protocols(rows, axes)
        common = {"version": "1", "problems": []}
        trajectory[tokens[name]] = (
            common | points.trajectory(dense, axes, threshold) | {"notes": []}
        )
        settings[tokens[name]] = common | {"protocols": points.settings(dense, axes)}
    asked = sorted(map(str, table["protocol"].unique()), key=lambda name: (name != NAIVE, name))
    return {
        "index": {
            "title": title,
            "live": False,
            "of_table": True,
            "threshold": threshold,
            "protocols": asked[:AT_FIRST],
            "spaces": [_described(axes)],
            "varied": [],
            "runs": [_listed(name, tokens[name], rows) for name, rows in runs.items()],
            "left_out": [],
            "ledgers": [],
        },
        "trajectory": trajectory,
        "settings": settings,
        "details": {
            token: {"training": {}, "sheets": {}, "toml": "", "provenance": dict(source)}
            | {"notes": [], "problems": [], "figures": []}
            for token in tokens.values()
        },
        "findings": {},
        "figures": [],
        "turns": _turns(table, tokens),
        "images": [],
        "images_shown": 0,
        "images_generated": 0,
        "table": uri(parquet(table[[*TRAJECTORY_COLUMNS, *columns_of(table)]]), PARQUET),
    }


def _one_seed_a_run(table: pd.DataFrame) -> pd.DataFrame:
    """The table in which the name of a run that has several seeds says which of them it is."""
    several = table.groupby("run")["seed"].transform("nunique") > 1
    named = table["run"] + ", seed " + table["seed"].astype(str)
    return table.assign(run=table["run"].where(~several, named))


def _described(axes: TableAxes) -> Tree:
    words = "every concept" if len(axes.classes) == 1 else ""
    return {
        "concepts": [_concept(axes, name) for name in axes.names],
        "classes": [
            {"name": name, "words": words, "ood": False, "image": None} for name in axes.classes
        ],
    }


def _concept(axes: TableAxes, name: str) -> Tree:
    """All values of a concept; if probabilities are missing, the asked value against the rest."""
    if name in axes.many and name not in axes.complete:
        labels = ["other values", "the value asked for"]
        return {"name": name, "labels": labels, "axis": [0, 1], "asked": True}
    labels = [str(value) for value in range(axes.many.get(name, 2))]
    return {"name": name, "labels": labels, "axis": [0, 1]}


def _listed(name: str, token: str, rows: pd.DataFrame) -> Tree:
    return {
        "token": token,
        "name": name,
        "seed": int(rows["seed"].iloc[0]),
        "preset": None,
        "status": "finished",
        "since": 0,
        "version": "1",
        "space": 0,
        "steps": int(rows["step"].max()),
        "values": {},
        "problems": [],
        "apart": "",
    }


def _turns(table: pd.DataFrame, tokens: Mapping[str, str]) -> Tree:
    """Turns of every run, and of all together."""
    groups: list[Sequence[str]] = [[name] for name in tokens]
    found: Tree = {}
    for group in [*groups, list(tokens)]:
        rows = table[table["run"].isin(group)]
        turns = {name: turn_of(rows, name) for name in classes_of(rows)}
        found[",".join(tokens[name] for name in group)] = {
            name: turn_payload(turn, turn_text(rows, name, turn))
            for name, turn in turns.items()
            if turn is not None
        }
    return found
