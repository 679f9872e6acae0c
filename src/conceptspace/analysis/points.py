"""The trajectory of one run as columns of plain numbers, and when its classes emerge."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from conceptspace.analysis.emergence import THRESHOLD, emergence
from conceptspace.analysis.trajectories import Array
from conceptspace.errors import UserError
from conceptspace.tables import JOINT, LARGEST, NAIVE, TRAJECTORY_COLUMNS
from conceptspace.values import columns_of

DIGITS = 4

Tree = dict[str, Any]


BLANK: Tree = {"protocols": [], "emergence": [], "notes": []}
"""What a page shows for a run that cannot be read: nothing."""


@runtime_checkable
class Axes(Protocol):
    """The part of a concept space that is drawn: of a ``ConceptSpace``, or of a table."""

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

    def __init__(self, rows: Rows, name: str, space: Axes) -> None:
        self.name = name
        own = (rows.protocol == rows.protocols.index(name)).nonzero()[0]
        setting, self.settings = _in_order(rows.setting[own], rows.settings)
        steps, step = np.unique(rows.step[own], return_inverse=True)
        kind, concept = rows.kind[own], rows.concept[own]
        known = (kind >= 0) & (concept >= 0)
        self.strays = int((~known).sum())
        own, at = own[known], (setting[known], step[known], kind[known], concept[known])
        shape = len(self.settings), len(steps), len(space.classes), len(space.names) + 1
        self.steps = [int(s) for s in steps]
        self.accuracy, coordinate = np.full(shape, np.nan), np.full(shape, np.nan)
        self.samples = np.zeros(shape[:3], dtype=np.int64)
        self.accuracy[at] = rows.accuracy[own]
        coordinate[at] = rows.coordinate[own]
        self.coordinate = coordinate[..., :-1]
        self.samples[at[:3]] = rows.samples[own]
        self.values = _of_values(rows, own, at, shape)
        joint = np.nan_to_num(self.accuracy[..., -1], nan=-1.0)
        self.best = np.where(joint.max(0) >= 0, joint.argmax(0), -1)

    def measured(self, kind: int) -> bool:
        """Whether there is any number for a class."""
        return bool(np.isfinite(self.accuracy[:, :, kind]).any())

    def of_best(self, values: NDArray[Any], kind: int) -> NDArray[Any]:
        """A class under the best setting of each step, shape (T, ...)."""
        chosen = self.best[:, kind]
        return values[np.maximum(chosen, 0), np.arange(len(self.steps)), kind]


class Rows:
    """A trajectory table as arrays, one entry a row; texts are numbers of lists.

    Attributes:
        protocol: number in ``protocols``.
        setting: number in ``settings``.
        kind: number of the class in the space, -1 for others.
        concept: number of the concept, the joint one last; -1 for others.
        step: of the checkpoint.
        accuracy: see the table; likewise ``coordinate`` and ``samples``.
        values: the columns of single values that the table has.
    """

    def __init__(self, table: pd.DataFrame, space: Axes) -> None:
        self.protocol, self.protocols = _in_order(*_coded(table["protocol"]))
        self.setting, self.settings = _coded(table["setting"])
        self.kind = _among([str(c) for c in space.classes], *_coded(table["concept_class"]))
        self.concept = _among([*space.names, JOINT], *_coded(table["concept"]))
        self.step = table["step"].to_numpy()
        self.accuracy = table["accuracy"].to_numpy(dtype=np.float64)
        self.coordinate = table["coordinate"].to_numpy(dtype=np.float64)
        self.samples = table["samples"].to_numpy(dtype=np.int64)
        self.values = {n: table[n].to_numpy(dtype=np.float64) for n in columns_of(table)}


def _of_values(
    rows: Rows,
    own: NDArray[np.integer],
    at: tuple[NDArray[np.integer], ...],
    shape: tuple[int, ...],
) -> dict[int, Array]:
    """See :class:`Dense`."""
    found = {}
    for number in range(shape[3] - 1 if rows.values else 0):
        mine = (at[3] == number).nonzero()[0]
        single = [values[own[mine]] for values in rows.values.values()]
        there = [values for values in single if not np.isnan(values).all()]
        if there:
            found[number] = np.full((*shape[:3], len(there)), np.nan)
            found[number][tuple(part[mine] for part in at[:3])] = np.stack(there, axis=-1)
    return found


def protocols(table: pd.DataFrame, space: Axes) -> list[Dense]:
    """Every protocol of a run's trajectory, naive prompting first.

    Raises:
        UserError: columns are missing or hold something else.
    """
    require_trajectory(table)
    rows = Rows(table, space)
    names = sorted(rows.protocols, key=lambda name: (name != NAIVE, name))
    return [Dense(rows, name, space) for name in names]


def _coded(column: pd.Series) -> tuple[NDArray[np.integer], list[str]]:
    """A column of texts as numbers of a list; that of categories may hold more than occur."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        codes = column.cat.codes.to_numpy(np.intp)
        if len(codes) and codes.min() >= 0:
            return codes, [str(text) for text in column.cat.categories]
    codes, texts = pd.factorize(column.astype(object), use_na_sentinel=False)
    return codes, [str(text) for text in texts]


def _in_order(
    codes: NDArray[np.integer], texts: Sequence[str]
) -> tuple[NDArray[np.integer], list[str]]:
    """The texts that occur, in the order in which they do, and the numbers of these."""
    used, first = np.unique(codes, return_index=True)
    order = used[np.argsort(first)]
    place = np.full(len(texts), -1)
    place[order] = np.arange(len(order))
    return place[codes], [texts[code] for code in order]


def _among(
    known: Sequence[str], codes: NDArray[np.integer], texts: Sequence[str]
) -> NDArray[np.integer]:
    """The number of each text among the known ones, -1 for others."""
    places = np.array([known.index(text) if text in known else -1 for text in texts], int)
    return places[codes]


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
    """What a page draws first for a run: every class under the best setting of each checkpoint.

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


def page_points(table: pd.DataFrame, space: Axes) -> Tree:
    """:func:`trajectory` of a run's table, with ``notes`` on rows that are not drawn.

    Raises:
        UserError: columns are missing or hold something else.
    """
    found = protocols(table, space)
    return trajectory(found, space) | {"notes": strays(found)}


def strays(found: list[Dense]) -> list[str]:
    """Sentences about rows that are not drawn."""
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


def numbers(values: Array) -> list[Any]:
    """Rounded, with null for what is not a finite number; nested like the array."""
    rounded = np.round(values, DIGITS)
    finite = np.isfinite(rounded)
    if finite.all():
        return rounded.tolist()
    with_nulls = rounded.astype(object)
    with_nulls[~finite] = None
    return with_nulls.tolist()


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
    return numbers(values.T)


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
