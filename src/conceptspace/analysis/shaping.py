"""Anybody's table as a trajectory table: columns that it lacks are filled in, and only those.

A long table has a row for each accuracy, a wide one a column for each way of asking, each skill, or
both. A table without classes is about one prompt that asks for every skill: its class is all ones,
and a coordinate is an accuracy.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from conceptspace.analysis.elicitation import is_control
from conceptspace.analysis.roles import CONTROL, OTHER, ROLE
from conceptspace.analysis.trajectories import Array, concepts_of
from conceptspace.analysis.unused import taking_turns
from conceptspace.errors import UserError
from conceptspace.tables import JOINT, KEYS, NAIVE, require_keys

ONLY = "accuracy"
"""Name of the only quantity of a table without concepts."""

PLAIN = (NAIVE, "plain")
"""Names that are taken for the plain way of asking where none is named."""


MISSING = ("nan", "NaN", "NA", "None", "null", "-")
"""Texts that stand for a number that was not measured."""


@dataclass(frozen=True)
class Layout:
    """In which columns a table of another program keeps what.

    Attributes:
        columns: ``{"their name": "our name"}``, ours being those of ``tables.TRAJECTORY_COLUMNS``.
            A column that has our name already need not be listed.
        accuracies: of a wide table, ``{"their column": "protocol"}``, ``"protocol:concept"`` or
            ``":concept"``.
        plain: the plain way of asking; "naive" or "plain", or the only one, if left out.
        controls: ways of asking that have no concept in mind.
        elicited: ways of asking that count as other ways, whatever they are called.
        joint: the concept that holds the accuracy of all concepts at once.
        percent: accuracies are percentages.
        skip_empty: an accuracy that is missing was not measured, and its row is left out.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    accuracies: Mapping[str, str] = field(default_factory=dict)
    plain: str = ""
    controls: Sequence[str] = ()
    elicited: Sequence[str] = ()
    joint: str = ""
    percent: bool = False
    skip_empty: bool = False


def shaped(table: pd.DataFrame, name: str, layout: Layout) -> pd.DataFrame:
    """The table with every column of a trajectory table.

    Where it has no column of runs and seeds, it is one run of seed 0; with runs alone they are
    numbered in their order. Numbers of samples that the table lacks are 0. The only quantity of a
    table is its joint accuracy, too; of several, joint accuracies are there only if the table has
    them.

    Args:
        table: of another program, or one of ``tables.TRAJECTORY_COLUMNS``.
        name: named in the error message.
        layout: where it keeps what.

    Returns:
        A new table; what is still to check does
        :func:`conceptspace.analysis.reading.checked_table`.

    Raises:
        UserError: the table has no rows, has lists in a column of names or numbers, lacks a column
            that is named or needed, has no accuracy in some row, nothing tells two rows apart, or
            a column that is not used tells trajectories apart that would be taken for one.
    """
    if table.empty:
        raise UserError(f"{name} has no rows")
    require_columns(table, name, layout.columns)
    ours = set(layout.columns.values()) - set(layout.columns)
    table = table.drop(columns=[column for column in ours if column in table])
    table = renamed(table, name, dict(layout.columns))
    _require_single(table, name)
    table = _long(table, name, layout)
    lacking = [column for column in ("step", "accuracy") if column not in table]
    if lacking:
        wide = "step" not in lacking
        raise UserError(
            f"{name} lacks the columns {', '.join(lacking)}; it has {_listed(table)}: say "
            f'which one it is, --{lacking[0]} COLUMN or columns={{"COLUMN": "{lacking[0]}"}}'
            + "; of a column for each concept, --accuracy plain:CONCEPT=COLUMN once for each"
            * wide
        )
    table = _measured(table, name, layout)
    if "concept" not in table:
        table = table.assign(concept=ONLY)
    table = table.assign(concept=_text(table["concept"]))
    if layout.joint:
        _require_value(table, "concept", layout.joint, name, "concept")
        table = table.assign(concept=table["concept"].replace(layout.joint, JOINT))
    table = _asked(table, name, layout)
    require_keys(table, ("step", "concept", "protocol"), name)
    table = _seeded(table, name)
    if "setting" not in table:
        table = table.assign(setting="")
    return _completed(table, name, layout.percent)


def renamed(table: pd.DataFrame, name: str, columns: dict[str, str]) -> pd.DataFrame:
    """The table under our names.

    Raises:
        UserError: a column is not there, or two have the same name.
    """
    require_columns(table, name, columns)
    table = table.rename(columns=columns)
    if not table.columns.is_unique:
        twice = table.columns[table.columns.duplicated()][0]
        raise UserError(f"{name} has the column {twice!r} twice")
    return table


def require_columns(table: pd.DataFrame, name: str, columns: Iterable[str]) -> None:
    """Refuse a table that lacks a column which was named for it.

    Raises:
        UserError: names the column, and those that are there.
    """
    for column in columns:
        if column not in table:
            raise UserError(f"{name} has no column {column!r}; it has {_listed(table)}")


def numeric_column(table: pd.DataFrame, column: str, name: str) -> Array:
    """A column as numbers, NaN where one is missing or written as one of :data:`MISSING`.

    Raises:
        UserError: it holds something else.
    """
    try:
        values = table[column].mask(table[column].isin(MISSING))
        return pd.to_numeric(values).to_numpy(dtype=np.float64, na_value=np.nan)
    except (ValueError, TypeError) as error:
        raise UserError(f"{name}: the column {column} holds no numbers ({error})") from None


def _require_single(table: pd.DataFrame, name: str) -> None:
    """Refuse lists and the like where one value is needed."""
    for column in (*KEYS, "concept"):
        if column not in table or not pd.api.types.is_object_dtype(table[column]):
            continue
        many = table[column].map(pd.api.types.is_list_like)
        if many.any():
            raise UserError(
                f"{name}: the column {column} holds {table.loc[many, column].iloc[0]!r}, and needs "
                "one value a row"
            )


def _listed(table: pd.DataFrame) -> str:
    return ", ".join(map(str, table.columns))


def _long(table: pd.DataFrame, name: str, layout: Layout) -> pd.DataFrame:
    """One row for each accuracy."""
    if not layout.accuracies:
        return table
    parts = []
    kept = table.drop(columns=["accuracy", *layout.accuracies], errors="ignore")
    require_columns(table, name, layout.accuracies)
    for column, what in layout.accuracies.items():
        protocol, _, concept = what.partition(":")
        named = {"protocol": protocol, "concept": concept}
        both = [key for key, value in named.items() if value and key in table]
        if both:
            raise UserError(
                f"{name}: {what!r} names the {both[0]} of the column {column!r}, and the table has "
                f"a column {both[0]} of its own; one of the two is too much"
            )
        values = pd.Series(numeric_column(table, column, name), table.index)
        part = kept.assign(accuracy=values, **{k: v for k, v in named.items() if v})
        parts.append(part.assign(column=column))
    columns = {frozenset(part.columns) for part in parts}
    if len(columns) > 1:
        raise UserError(
            f"{name}: name the way of asking of every column of accuracies, or of none; the "
            "same holds for its concept"
        )
    return pd.concat(parts, ignore_index=True)


def _measured(table: pd.DataFrame, name: str, layout: Layout) -> pd.DataFrame:
    """Rows with an accuracy."""
    table = table.assign(accuracy=numeric_column(table, "accuracy", name))
    missing = table["accuracy"].isna()
    if missing.any() and not layout.skip_empty:
        where = table.loc[missing, "column"].iloc[0] if "column" in table else "accuracy"
        raise UserError(
            f"{name}: the column {where} has no number in {int(missing.sum())} of {len(table)} "
            "rows; --skip-empty, or skip_empty=True, leaves out what was not measured"
        )
    table = table[~missing]
    if table.empty:
        raise UserError(f"{name} has no accuracy in any row")
    if layout.percent and table["accuracy"].max() <= 1:
        raise UserError(
            f"{name}: no accuracy exceeds 1, so they are no percentages; leave percent out"
        )
    if layout.percent and "column" in table:
        _require_percentages(table, name)
    return table.drop(columns="column", errors="ignore").reset_index(drop=True)


def _require_percentages(table: pd.DataFrame, name: str) -> None:
    """Refuse columns of a wide table that look like shares beside others of percentages."""
    top = table.groupby("column", sort=False)["accuracy"].max()
    for column in top.index[(top > 0) & (top <= 1)]:
        raise UserError(
            f"{name}: no accuracy in the column {column} exceeds 1, and others do; if it holds "
            "shares, multiply it by 100; if all of it is below 1 %, divide the others by 100 and "
            "leave percent out"
        )


def _asked(table: pd.DataFrame, name: str, layout: Layout) -> pd.DataFrame:
    """Ways of asking: the plain one is called naive, and a control says in its name that it is.

    What was said of them stands in a column of roles, see :mod:`conceptspace.analysis.roles`.
    """
    if "protocol" not in table:
        table = table.assign(protocol=layout.plain or NAIVE)
    table = table.assign(protocol=_text(table["protocol"]))
    there = [str(value) for value in table["protocol"].dropna().unique()]
    guessed = [value for value in PLAIN if value in there] or (there if len(there) == 1 else [])
    plain = layout.plain or next(iter(guessed), "")
    if not plain:
        raise UserError(
            f"{name}: which of the ways of asking {', '.join(there)} is the plain one? Say --plain "
            'NAME or plain="NAME"'
        )
    for value in (plain, *layout.controls, *layout.elicited):
        _require_value(table, "protocol", value, name, "way of asking")
    if plain in layout.controls or (plain != NAIVE and NAIVE in there):
        other = "a control" if plain in layout.controls else "beside one that is called naive"
        raise UserError(f"{name}: {plain!r} cannot be the plain way of asking and {other}")
    both = set(layout.elicited) & {plain, *layout.controls}
    if both:
        raise UserError(
            f"{name}: {min(both)!r} has two roles: it cannot be another way of asking, too"
        )
    table = table.drop(columns=ROLE, errors="ignore")
    if layout.controls or layout.elicited:
        said = dict.fromkeys(layout.controls, CONTROL) | dict.fromkeys(layout.elicited, OTHER)
        table = table.assign(**{ROLE: table["protocol"].map(said)})
    names = {value: value if is_control(value) else f"control {value}" for value in layout.controls}
    return table.assign(protocol=table["protocol"].replace({plain: NAIVE, **names}))


def _require_value(table: pd.DataFrame, column: str, value: str, name: str, what: str) -> None:
    there = [str(each) for each in table[column].dropna().unique()]
    if value not in there:
        raise UserError(f"{name}: there is no {what} {value!r}; there are {', '.join(there)}")


def _text(column: pd.Series) -> pd.Series:
    """Names as text; missing ones stay missing."""
    return column.astype(object).map(str, na_action="ignore")


def _seeded(table: pd.DataFrame, name: str) -> pd.DataFrame:
    """The table with columns run and seed; of a missing one the values follow from the other."""
    if "seed" not in table and "run" in table:
        codes, _ = pd.factorize(table["run"])
        return table.assign(seed=np.where(codes < 0, np.nan, codes))
    if "seed" not in table:
        return table.assign(seed=0, run="run")
    if "run" not in table:
        return table.assign(run=[f"seed {value}" for value in table["seed"]])
    return table


def _completed(table: pd.DataFrame, name: str, percent: bool) -> pd.DataFrame:
    """Class, coordinate, samples and the joint accuracy of a single concept."""
    concepts = concepts_of(table.dropna(subset="concept"))
    whole = "1" * max(1, len(concepts))
    if "concept_class" not in table:
        table = table.assign(concept_class=whole)
    if "samples" not in table:
        table = table.assign(samples=0)
    _require_apart(table, name)
    _require_one_each(table, name)
    if "coordinate" not in table:
        coordinate = _coordinate(table, name, concepts, 100 if percent else 1)
        table = table.assign(coordinate=coordinate.where(table["concept"] != JOINT))
    if len(concepts) == 1 and not (table["concept"] == JOINT).any():
        table = pd.concat([table, table.assign(concept=JOINT, coordinate=np.nan)])
    return table.reset_index(drop=True)


def _coordinate(table: pd.DataFrame, name: str, concepts: Sequence[str], top: int) -> pd.Series:
    """The probability of value 1; of more than two values (1 + p1 - p0) / 2, if known.

    Where p0 and p1 are not, it is the accuracy: the probability of the value that is asked for.
    """
    digit, accuracy = _digits(table, concepts), table["accuracy"]
    many = table["concept"].isin(_many_valued(table, concepts))
    found = accuracy.where(many | (digit != "0"), top - accuracy)
    if {"p0", "p1"} <= set(table.columns):
        zero, one = (pd.Series(numeric_column(table, p, name), table.index) for p in ("p0", "p1"))
        found = ((top + one - zero) / 2).where(many & zero.notna() & one.notna(), found)
    return found


def _many_valued(table: pd.DataFrame, concepts: Sequence[str]) -> list[str]:
    """The concepts of which some class asks for value 2 or more."""
    digit = _digits(table, concepts)
    more = table["concept"][digit > "1"].unique()
    return [concept for concept in concepts if concept in more]


def _digits(table: pd.DataFrame, concepts: Sequence[str]) -> pd.Series:
    """The value that the class of each row asks for of its concept, in the concepts' order."""
    place = {concept: at for at, concept in enumerate(concepts)}
    found = []
    for value, concept in zip(table["concept_class"], table["concept"], strict=True):
        digits = str(value).removesuffix(".0").zfill(len(concepts))
        found.append(digits[place.get(concept, 0)])
    return pd.Series(found, table.index, dtype=object)


def _require_apart(table: pd.DataFrame, name: str) -> None:
    keys = [key for key in (*KEYS, "concept") if key in table]
    again = table.duplicated(keys)
    if again.any():
        row = table.loc[again].iloc[0]
        where = ", ".join(f"{key} {row[key]}" for key in ("step", "seed", "protocol", "concept"))
        used = {*keys, "accuracy", "coordinate", "samples", "valid", "probe"}
        rest = [str(column) for column in table.columns if column not in used]
        hint = f"; the columns {', '.join(rest)} are not used" if rest else ""
        raise UserError(
            f"{name}: two rows are of {where}, and nothing tells them apart{hint} (--seed, --run, "
            "--concept and --protocol name columns that do)"
        )


def _require_one_each(table: pd.DataFrame, name: str) -> None:
    """Refuse several trajectories, told apart by a column that is not used, as one."""
    table = table.assign(step=numeric_column(table, "step", name))
    for column in taking_turns(table):
        values = table[column].dropna().map(str).unique()
        some = ", ".join(values[:3]) + (", ..." if len(values) > 3 else "")
        raise UserError(
            f"{name}: the column {column} ({some}) is not used, so the rows of its values would be "
            f"one trajectory; name it (--run {column} makes each a run), analyze each on its own, "
            "or leave the column out"
        )
