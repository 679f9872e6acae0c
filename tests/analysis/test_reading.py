"""A trajectory table that comes from a file, or from another program."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from conceptspace.analysis.emergence import find_emergence
from conceptspace.analysis.trajectories import checked, read_trajectory
from conceptspace.errors import UserError
from conceptspace.tables import TRAJECTORY_COLUMNS


def table() -> pd.DataFrame:
    rows = [
        ("r", 0, step, "naive", "", name, concept, value, value, 8)
        for step in (10, 20, 30, 40)
        for name, value in (("01", 0.25), ("11", 0.9))
        for concept in ("color", "size")
    ]
    joint = [(*row[:6], "joint", row[7], np.nan, 8) for row in rows[::2]]
    return pd.DataFrame(rows + joint, columns=TRAJECTORY_COLUMNS)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_table_comes_back_as_it_was(tmp_path, suffix):
    path = tmp_path / f"table.{suffix}"
    if suffix == "csv":
        table().to_csv(path, index=False)
    else:
        table().to_parquet(path)
    found = read_trajectory(path)
    assert found["concept_class"].tolist() == table()["concept_class"].tolist()
    assert (found["setting"] == "").all()
    np.testing.assert_array_equal(found["accuracy"], table()["accuracy"])
    assert found["coordinate"].isna().sum() == 8
    (run,) = find_emergence(found, "11")
    assert run.upper == 10


def test_names_of_another_program(tmp_path):
    path = tmp_path / "table.csv"
    table().rename(columns={"accuracy": "acc", "step": "iteration"}).to_csv(path, index=False)
    with pytest.raises(UserError, match="lacks the columns step, accuracy"):
        read_trajectory(path)
    found = read_trajectory(path, {"acc": "accuracy", "iteration": "step"})
    assert found["step"].tolist() == table()["step"].tolist()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"concept_class": 11}, "concept_class holds numbers"),
        ({"accuracy": 90.0}, r"from 90 to 90; it is a share in \[0, 1\]"),
        ({"accuracy": float("nan")}, "accuracy has missing or infinite values"),
        ({"coordinate": -0.1}, "coordinate reaches from -0.1"),
        ({"step": 1.5}, "step must hold whole numbers"),
        ({"seed": -1}, "seed must hold whole numbers"),
    ],
)
def test_what_is_no_trajectory_is_refused(change, told):
    with pytest.raises(UserError, match=told):
        checked(table().assign(**change))


def test_plain_pandas_is_told_what_it_lost(tmp_path):
    path = tmp_path / "table.csv"
    table().to_csv(path, index=False)
    with pytest.raises(UserError, match="in which 01 and 1 are the same"):
        find_emergence(pd.read_csv(path), "11")


def test_a_file_that_is_no_table_is_named(tmp_path):
    path = tmp_path / "table.parquet"
    path.write_bytes(b"nothing")
    with pytest.raises(UserError, match=r"table\.parquet cannot be read as a table"):
        read_trajectory(path)
