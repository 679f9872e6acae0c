"""The trajectory of one run as columns of plain numbers, and when its classes emerge."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from conceptspace.analysis.emergence import THRESHOLD, emergence
from conceptspace.errors import UserError
from conceptspace.tables import JOINT, LARGEST, NAIVE, TRAJECTORY_COLUMNS
from conceptspace.values import columns_of

DIGITS = 4

Tree = dict[str, Any]
Array = NDArray[np.float64]


@runtime_checkable
class Axes(Protocol):
    """What is drawn of a concept space: ``ConceptSpace``, or what a table names."""

    @property
    def names(self) -> tuple[str, ...]:
        """The concepts."""
        ...

    @property
    def classes(self) -> Sequence[str]:
        """The classes."""
        ...


class Dense:
    """One protocol of a trajectory table as arrays.

    Attributes:
        name: of the protocol.
        settings: in the order of the table, S of them.
        steps: increasing, T of them.
        accuracy: shape (S, T, classes, concepts + 1), the joint accuracy last; NaN where missing.
        coordinate: likewise, without the joint one.
        values: probability of each value of concepts that have more than two, by the concept's
            number, shape (S, T, classes, values).
        samples: shape (S, T, classes), 0 where missing or unknown.
        strays: rows of classes or concepts that the config does not know.
        best: number of the setting with the highest joint accuracy, the first in a tie; shape (T,
            classes), -1 where there is none.
    """

    def __init__(self, table: pd.DataFrame, name: str, space: Axes) -> None:
        self.name = name
        classes, concepts = [str(c) for c in space.classes], [*space.names, JOINT]
        setting, settings = pd.factorize(table["setting"].astype(str))
        step, steps = pd.factorize(table["step"], sort=True)
        kind = pd.Index(classes).get_indexer(pd.Index(table["concept_class"].astype(str)))
        concept = pd.Index(concepts).get_indexer(pd.Index(table["concept"].astype(str)))
        known = (kind >= 0) & (concept >= 0)
        self.strays = int((~known).sum())
        at = setting[known], step[known], kind[known], concept[known]
        shape = len(settings), len(steps), len(classes), len(concepts)
        self.settings, self.steps = [str(s) for s in settings], [int(s) for s in steps]
        self.accuracy, coordinate = np.full(shape, np.nan), np.full(shape, np.nan)
        self.samples = np.zeros(shape[:3], dtype=np.int64)
        self.accuracy[at] = table["accuracy"].to_numpy(dtype=np.float64)[known]
        coordinate[at] = table["coordinate"].to_numpy(dtype=np.float64)[known]
        self.coordinate = coordinate[..., :-1]
        self.samples[at[:3]] = table["samples"].to_numpy(dtype=np.int64)[known]
        self.values = _of_values(table, concepts[:-1], concept, known, at, shape)
        joint = np.nan_to_num(self.accuracy[..., -1], nan=-1.0)
        self.best = np.where(joint.max(0) >= 0, joint.argmax(0), -1)

    def measured(self, kind: int) -> bool:
        """Whether anything is known of a class."""
        return bool(np.isfinite(self.accuracy[:, :, kind]).any())

    def of_best(self, values: NDArray[Any], kind: int) -> NDArray[Any]:
        """A class under the best setting of each step, shape (T, ...)."""
        chosen = self.best[:, kind]
        return values[np.maximum(chosen, 0), np.arange(len(self.steps)), kind]


def _of_values(
    table: pd.DataFrame,
    concepts: Sequence[str],
    concept: NDArray[np.intp],
    known: NDArray[np.bool_],
    at: tuple[NDArray[np.intp], ...],
    shape: tuple[int, ...],
) -> dict[int, Array]:
    """See :class:`Dense`."""
    found, single = {}, columns_of(table)
    for number, _ in enumerate(concepts):
        own = known & (concept == number)
        there = [name for name in single if table.loc[own, name].notna().any()]
        if not there:
            continue
        values = np.full((*shape[:3], len(there)), np.nan)
        rows = (concept[known] == number).nonzero()[0]
        values[tuple(part[rows] for part in at[:3])] = table.loc[own, there].to_numpy(np.float64)
        found[number] = values
    return found


def protocols(table: pd.DataFrame, space: Axes) -> list[Dense]:
    """Every protocol of a run's trajectory, naive prompting first.

    Raises:
        UserError: columns are missing or hold something else.
    """
    require_trajectory(table)
    names = sorted(table["protocol"].astype(str).unique(), key=lambda name: (name != NAIVE, name))
    return [Dense(table[table["protocol"].astype(str) == n], n, space) for n in names]


def require_trajectory(table: pd.DataFrame) -> None:
    """Refuse a table that lacks columns of a trajectory, or numbers in them.

    Raises:
        UserError: names the columns.
    """
    missing = [name for name in TRAJECTORY_COLUMNS if name not in table]
    if missing:
        raise UserError(f"trajectory.parquet lacks the columns {', '.join(missing)}")
    numeric = ("step", "accuracy", "coordinate", "samples")
    wrong = [name for name in numeric if not pd.api.types.is_numeric_dtype(table[name])]
    if wrong:
        raise UserError(f"trajectory.parquet holds no numbers in {', '.join(wrong)}")
    whole = table[["step", "samples"]].to_numpy(dtype=np.float64, na_value=np.nan)
    if not ((whole >= 0) & (whole <= LARGEST)).all():
        raise UserError(
            "trajectory.parquet lacks steps or numbers of samples, or has negative ones"
        )


def trajectory(found: list[Dense], space: Axes, threshold: float = THRESHOLD) -> Tree:
    """What is drawn of a run at once: every class under the best setting of each checkpoint.

    ::

        {"protocols": [{"name": "naive", "settings": [""], "steps": [100, ...],
            "classes": {"11": {"best": [0, ...], "samples": [24, ...], "joint": [0.01, ...],
                               "accuracy": [one list for each concept], "coordinate": [...],
                               "values": {concept: [one list for each value]}}}}],
         "emergence": [{"class": "11", "protocol": "naive", "concept": "joint",
                        "lower": 1200, "upper": 1300, "last": 2400}]}

    "values" is there for concepts of more than two values, by their number. Values that were not
    measured are null; so is ``upper`` of what has not emerged.
    """
    return {
        "protocols": [_protocol(dense, space) for dense in found],
        "emergence": [row for dense in found for row in _emergence(dense, space, threshold)],
    }


def strays(found: list[Dense]) -> list[str]:
    """What to say of rows that are not drawn."""
    count = sum(dense.strays for dense in found)
    return [f"{count} rows of classes or concepts that the config does not know."] if count else []


def settings(found: list[Dense], space: Axes) -> Tree:
    """Every setting of every protocol.

    ``{protocol: {class: {"joint": [for each setting [for each step]], "samples": likewise,
    "accuracy": [for each setting [for each concept [for each step]]], "coordinate": likewise,
    "values": [for each setting {concept: [for each value [for each step]]}]}}}``
    """
    return {
        dense.name: {
            str(name): {
                "joint": [numbers(row) for row in dense.accuracy[:, :, kind, -1]],
                "samples": dense.samples[:, :, kind].tolist(),
                "accuracy": [_columns(part[:, kind, :-1]) for part in dense.accuracy],
                "coordinate": [_columns(part[:, kind]) for part in dense.coordinate],
            }
            | _settings_values(dense, kind)
            for kind, name in enumerate(space.classes)
            if dense.measured(kind)
        }
        for dense in found
    }


def _settings_values(dense: Dense, kind: int) -> Tree:
    """The probabilities of values under each setting, if there are concepts of more than two."""
    if not dense.values:
        return {}
    each = range(len(dense.settings))
    return {
        "values": [
            {number: _columns(all_[s, :, kind]) for number, all_ in dense.values.items()}
            for s in each
        ]
    }


def numbers(values: Array) -> list[float | None]:
    """Rounded, with null for what is not a finite number."""
    rounded = np.round(values, DIGITS).tolist()
    return [v if v is not None and abs(v) < float("inf") else None for v in rounded]


def _protocol(dense: Dense, space: Axes) -> Tree:
    classes = {}
    for kind, name in enumerate(space.classes):
        if not dense.measured(kind):
            continue
        accuracy = dense.of_best(dense.accuracy, kind)
        classes[str(name)] = {
            "best": dense.best[:, kind].tolist(),
            "samples": dense.of_best(dense.samples, kind).tolist(),
            "joint": numbers(accuracy[:, -1]),
            "accuracy": _columns(accuracy[:, :-1]),
            "coordinate": _columns(dense.of_best(dense.coordinate, kind)),
        }
        if dense.values:
            classes[str(name)]["values"] = {
                number: _columns(dense.of_best(values, kind))
                for number, values in dense.values.items()
            }
    return {
        "name": dense.name,
        "settings": dense.settings,
        "steps": dense.steps,
        "classes": classes,
    }


def _columns(values: Array) -> list[list[float | None]]:
    """(T, concepts) as one list for each concept."""
    return [numbers(column) for column in values.T]


def _emergence(dense: Dense, space: Axes, threshold: float) -> list[Tree]:
    rows = []
    steps = np.array(dense.steps)
    for kind, name in enumerate(space.classes):
        accuracy = dense.of_best(dense.accuracy, kind)
        for place, concept in enumerate((*space.names, JOINT)):
            there = np.isfinite(accuracy[:, place])
            if not there.any():
                continue
            found = emergence(steps[there], accuracy[there, place], threshold=threshold)
            rows.append(
                {
                    "class": str(name),
                    "protocol": dense.name,
                    "concept": concept,
                    "lower": int(found.lower),
                    "upper": int(found.upper) if found.reached else None,
                    "last": int(found.last),
                }
            )
    return rows
