"""Trajectory tables that come from a file or from another program, checked once."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from conceptspace.analysis.shaping import ONLY, Layout, numeric_column, renamed, shaped
from conceptspace.analysis.trajectories import concepts_of, require
from conceptspace.errors import UserError
from conceptspace.files import read_whole
from conceptspace.tables import JOINT, KEYS, LARGEST, PROBE, TRAJECTORY_COLUMNS, VALID, require_keys
from conceptspace.values import COLUMNS

WHOLE = ("seed", "step", "samples")
SHARES = ("accuracy", "coordinate", VALID, PROBE)


def read_trajectory(
    source: Path | str | pd.DataFrame,
    columns: Mapping[str, str] | None = None,
    *,
    accuracies: Mapping[str, str] | None = None,
    plain: str = "",
    controls: Sequence[str] = (),
    elicited: Sequence[str] = (),
    joint: str = "",
    percent: bool = False,
    restore_zeros: bool = False,
    skip_empty: bool = False,
    content: bytes | None = None,
) -> pd.DataFrame:
    """Anybody's table of steps and accuracies as a trajectory table, checked.

    A step and an accuracy in each row are enough; see
    :class:`conceptspace.analysis.shaping.Layout` for what else a table may say, and
    :func:`conceptspace.analysis.shaping.shaped` for what stands in where it does not.

    >>> table = pd.DataFrame({"step": [1, 2], "acc": [5, 90]})
    >>> read = read_trajectory(table, accuracies={"acc": "plain"}, percent=True)
    >>> read.groupby("step").accuracy.mean().to_dict()
    {1: 0.05, 2: 0.9}

    Args:
        source: a file that ends in .parquet or .csv, or a table.
        columns: see :class:`~conceptspace.analysis.shaping.Layout`.
        accuracies: see ``Layout``.
        plain: see ``Layout``.
        controls: see ``Layout``.
        elicited: see ``Layout``.
        joint: see ``Layout``.
        percent: see :func:`checked_table`.
        restore_zeros: see :func:`checked_table`.
        skip_empty: see ``Layout``.
        content: the file's bytes, if they have been read.

    Raises:
        UserError: the file cannot be read, or holds no such table; see :func:`checked_table`.
    """
    layout = Layout(
        columns or {}, accuracies or {}, plain, controls, elicited, joint, percent, skip_empty
    )
    if isinstance(source, pd.DataFrame):
        table, name = source, "the table"
    else:
        table, name = _opened(Path(source), content), str(source)
    table = shaped(table, name, layout)
    return checked_table(table, name, percent=percent, restore_zeros=restore_zeros)


def _opened(path: Path, content: bytes | None) -> pd.DataFrame:
    """The table in a file, whose bytes are read once."""
    if path.suffix not in (".csv", ".parquet"):
        raise UserError(f"{path} is no table: it has to end in .csv or .parquet")
    try:
        file = BytesIO(read_whole(path) if content is None else content)
        if path.suffix == ".csv":
            return _of_csv(file, path)
        return pd.read_parquet(file)
    except (MemoryError, UserError):
        raise
    except Exception as error:  # a decoder of damaged bytes raises whatever it stumbles over
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"{path} cannot be read as a table: {reason}") from None


def _of_csv(file: BytesIO, path: Path) -> pd.DataFrame:
    """The table in a CSV file, all of it text.

    The header is read as any row is: where pandas knows it for one, it takes a first column that
    the header does not name for an index, and renames a column whose name was there before.
    """
    options: Any = {"dtype": str, "keep_default_na": False, "encoding": "utf-8-sig"}
    try:
        every = pd.read_csv(file, header=None, **options)
    except pd.errors.ParserError as error:
        wide = re.search(r"Expected (\d+) fields in line (\d+), saw (\d+)", str(error))
        if wide is None:
            raise
        header, line, row = wide.groups()
        raise UserError(
            f"{path}: line {line} has {row} fields, and the header {header}; is there a comma too "
            "many, or a name too few?"
        ) from None
    names = [str(name) or f"Unnamed: {at}" for at, name in enumerate(every.iloc[0])]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise UserError(f"{path} has the column {twice[0]!r} twice")
    table = every.iloc[1:].reset_index(drop=True).set_axis(names, axis=1)
    return table.mask(table == "")


def checked_table(
    table: pd.DataFrame,
    name: str = "the table",
    columns: Mapping[str, str] | None = None,
    *,
    percent: bool = False,
    restore_zeros: bool = False,
) -> pd.DataFrame:
    """A trajectory table whose columns hold what they must.

    A setting that is missing becomes "", as does a missing column of settings; one that is a number
    becomes its text, 0.5 or 2.

    Args:
        table: columns ``tables.TRAJECTORY_COLUMNS``, and perhaps valid and probe.
        name: named in the error message.
        columns: ``{"their name": "our name"}`` for a table of another program.
        percent: accuracies, coordinates and shares are percentages, and are divided by 100.
        restore_zeros: classes have lost their zeros in front, 1 for 01; they are put back, as many
            as there are concepts in the run.

    Returns:
        A new table: classes, settings, runs, protocols and concepts are text, seeds, steps and
        samples whole numbers.

    Raises:
        UserError: a column or a key is missing, two rows have the same keys, a class is no text of
            a digit per concept, or a number is missing or out of range.
    """
    table = renamed(table, name, dict(columns or {}))
    if "setting" not in table:
        table = table.assign(setting="")
    require(table, TRAJECTORY_COLUMNS)
    table = table.assign(setting=table["setting"].map(_setting))
    require_keys(table, [*KEYS, "concept"], name)
    table = table.assign(**{key: table[key].map(str) for key in ("run", "protocol", "concept")})
    table = table.assign(concept_class=_classes(table, name, restore_zeros))
    for column in WHOLE:
        values = numeric_column(table, column, name)
        whole = np.isfinite(values) & (values == np.round(values))
        if not (whole & (values >= 0) & (values <= LARGEST)).all():
            raise UserError(f"{name}: the column {column} must hold whole numbers from 0 to 10^15")
        table = table.assign(**{column: values.astype(np.int64)})
    if percent:
        _require_percentages(table, name)
    for column in (*SHARES, *COLUMNS):
        if column in table:
            table = table.assign(**{column: _shares(table, column, name, percent)})
    again = table.duplicated([*KEYS, "concept"])
    if again.any():
        where = table.loc[again, [*KEYS, "concept"]].iloc[0].to_dict()
        raise UserError(f"{name}: two rows have the same keys, {where}")
    return table


def _setting(value: Any) -> str:
    if isinstance(value, str):
        return value
    if pd.isna(value):
        return ""
    return f"{value:g}" if isinstance(value, float) else str(value)


def _classes(table: pd.DataFrame, name: str, restore_zeros: bool) -> pd.Series:
    """The classes as text, one digit for each concept."""
    concepts = table.loc[table["concept"] != JOINT].groupby("run")["concept"].nunique()
    needed = table["run"].map(concepts).fillna(1).astype(int)
    classes = table["concept_class"]
    text = classes.map(lambda value: isinstance(value, str))
    if restore_zeros:
        plain = classes.map(_whole)
        classes = pd.Series(
            [value.zfill(digits) for value, digits in zip(plain, needed, strict=True)], table.index
        )
    elif not text.all():
        raise UserError(
            f"{name}: the column concept_class holds numbers, in which 01 and 1 are the same; it "
            'must hold text, as with pandas.read_csv(path, dtype={"concept_class": str}), or '
            "restore_zeros=True puts the zeros back"
        )
    wrong = classes[~classes.map(lambda value: re.fullmatch("[0-9]+", value) is not None)]
    if len(wrong):
        raise UserError(
            f"{name}: {wrong.iloc[0]!r} is no class, which is text with a digit for each concept"
            + ("" if restore_zeros else "; restore_zeros=True puts zeros back that a number lost")
        )
    lengths = classes.map(len)
    shortest = lengths.groupby(table["run"]).transform("min")
    longest = lengths.groupby(table["run"]).transform("max")
    short = (shortest < longest) | (shortest < needed)
    if short.any():
        at = classes[short & (lengths == shortest)].iloc[0]
        digits = max(longest[short].iloc[0], needed[short].iloc[0])
        joint = [c for c in concepts_of(table) if c.casefold() == JOINT and c != JOINT]
        hint = (
            f"; {joint[0]!r} counts as a concept: the accuracy of all at once is called {JOINT!r}"
            if joint
            else ", as if zeros in front were lost; restore_zeros=True puts them back"
        )
        raise UserError(f"{name}: class {at!r} has {len(at)} of {digits} digits{hint}")
    _require_known(classes, table, name)
    return classes


def _require_known(classes: pd.Series, table: pd.DataFrame, name: str) -> None:
    """Refuse digits of concepts that the table does not name, where it names any."""
    concepts = [concept for concept in concepts_of(table) if concept != ONLY]
    long = classes[classes.map(len) > len(concepts)]
    if concepts and len(long):
        raise UserError(
            f"{name}: class {long.iloc[0]!r} has {len(long.iloc[0])} digits, one for each concept, "
            f"and the table has {len(concepts)}: {', '.join(concepts)}"
        )


def _whole(value: object) -> str:
    """A class as text: 1, 1.0 and "1" are the same."""
    return str(value).removesuffix(".0")


def _require_percentages(table: pd.DataFrame, name: str) -> None:
    """Refuse columns of shares beside accuracies that are percentages; p0, p1, … are one."""
    accuracy, coordinate = (numeric_column(table, c, name) for c in ("accuracy", "coordinate"))
    derived = np.isclose(coordinate, accuracy) | np.isclose(coordinate, 100 - accuracy)
    own = np.isfinite(coordinate) & ~derived  # what follows from accuracies may well be below 1
    given = [("coordinate",)] if own.any() else []
    for columns in (*given, (VALID,), (PROBE,), COLUMNS):
        there = [column for column in columns if column in table]
        known = [pd.Series(numeric_column(table, column, name)).dropna() for column in there]
        highest = max((values.max() for values in known if len(values)), default=0.0)
        if 0 < highest <= 1:
            raise UserError(
                f"{name}: nothing in {', '.join(there)} exceeds 1, so it is no percentage as the "
                "accuracies are; give all of them in percent, or leave percent out"
            )


def _shares(table: pd.DataFrame, column: str, name: str, percent: bool) -> pd.Series:
    """Values in [0, 1]; missing ones are allowed where they mean that nothing was measured."""
    values = pd.Series(numeric_column(table, column, name), table.index)
    needed = {"accuracy": values, "coordinate": values[table["concept"] != JOINT]}
    known = needed.get(column, values.dropna())
    if not np.isfinite(known).all():
        raise UserError(f"{name}: the column {column} has missing or infinite values")
    low, high = known.min(), known.max()
    if len(known) and (low < 0 or high > (100 if percent else 1)):
        raise UserError(
            f"{name}: the column {column} reaches from {low:g} to {high:g}; "
            + ("it is a percentage in [0, 100]" if percent else _share_hint())
        )
    return values / 100 if percent else values


def _share_hint() -> str:
    return "it is a share in [0, 1] (percent=True takes percentages; on the command line --percent)"
