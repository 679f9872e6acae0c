"""A trajectory table that comes from a file, or from another program."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from tables import scores

from conceptspace.analysis.emergence import find_emergence
from conceptspace.analysis.reading import checked_table, read_trajectory
from conceptspace.analysis.selection import best_of_sweep
from conceptspace.analysis.trajectories import condition
from conceptspace.errors import UserError
from conceptspace.recording.scoring import trajectory
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
    ("change", "message"),
    [
        ({"concept_class": 11}, "concept_class holds numbers"),
        ({"accuracy": 90.0}, r"from 90 to 90; it is a share in \[0, 1\]"),
        ({"accuracy": float("nan")}, "accuracy has missing or infinite values"),
        ({"coordinate": -0.1}, "coordinate reaches from -0.1"),
        ({"step": 1.5}, "step must hold whole numbers"),
        ({"seed": -1}, "seed must hold whole numbers"),
        ({"seed": "first"}, "seed holds no numbers"),
        ({"step": None}, "rows have no step"),
        ({"run": None}, "rows have no run"),
        ({"protocol": np.nan}, "rows have no protocol"),
        ({"concept": None}, "rows have no concept"),
        ({"concept_class": None}, "rows have no concept_class"),
        ({"concept_class": "1x"}, "'1x' is no class"),
        ({"concept_class": ""}, "'' is no class"),
        ({"concept_class": "1"}, "'1' has 1 of 2 digits, as if zeros in front were lost"),
        ({"concept_class": "110"}, "class '110' has 3 digits, one for .* has 2: color, size"),
        ({"valid": 2.0}, "valid reaches from 2"),
        ({"probe": np.inf}, "probe has missing or infinite values"),
        ({"concept_class": "11"}, "two rows have the same keys, .*'concept_class': '11'"),
    ],
)
def test_what_is_no_trajectory_is_refused(change, message):
    with pytest.raises(UserError, match=message):
        checked_table(table().assign(**change))


def test_what_plain_pandas_lost_is_named(tmp_path):
    path = tmp_path / "table.csv"
    table().to_csv(path, index=False)
    with pytest.raises(UserError, match="in which 01 and 1 are the same"):
        find_emergence(pd.read_csv(path), "11")


def test_a_file_that_is_no_table_is_named(tmp_path):
    path = tmp_path / "table.parquet"
    path.write_bytes(b"nothing")
    with pytest.raises(UserError, match=r"table\.parquet cannot be read as a table"):
        read_trajectory(path)


class TestOptions:
    """What the reader does only on request."""

    def test_percentages(self, tmp_path):
        path = tmp_path / "table.csv"
        shares = {"accuracy": table()["accuracy"] * 100, "coordinate": table()["coordinate"] * 100}
        table().assign(**shares, valid=100.0).to_csv(path, index=False)
        with pytest.raises(UserError, match="percent=True takes percentages"):
            read_trajectory(path)
        found = read_trajectory(path, percent=True)
        np.testing.assert_allclose(found["accuracy"], table()["accuracy"])
        np.testing.assert_allclose(found["coordinate"], table()["coordinate"])
        assert (found["valid"] == 1).all()

    @pytest.mark.parametrize("columns", [["coordinate"], ["valid"], ["probe"], ["p0", "p1"]])
    def test_shares_beside_percentages_are_refused(self, columns):
        percentages = {"accuracy": table()["accuracy"] * 100, "coordinate": 50.0}
        shares = dict.fromkeys(columns, 0.5)
        with pytest.raises(UserError, match=f"in {', '.join(columns)} exceeds 1, so it is no perc"):
            checked_table(table().assign(**percentages | shares), percent=True)
        small = dict.fromkeys(columns, 0.5) | {columns[0]: 1.5}
        found = checked_table(table().assign(**percentages | small), percent=True)
        assert np.allclose(found[columns[0]], 0.015)

    def test_a_coordinate_that_follows_from_accuracies_may_be_below_1(self):
        rows = {"step": [1, 2], "concept_class": "0", "concept": "hue", "accuracy": [99.1, 99.9]}
        found = read_trajectory(pd.DataFrame(rows), percent=True)
        assert found[found["concept"] == "hue"]["coordinate"].tolist() == pytest.approx(
            [0.009, 0.001]
        )

    def test_a_concept_that_is_called_like_the_joint_accuracy(self):
        capital = table().assign(concept=table()["concept"].replace({"joint": "Joint"}))
        with pytest.raises(UserError, match=r"'Joint' counts as a concept: .* is called 'joint'"):
            checked_table(capital.assign(coordinate=0.5))

    def test_more_than_all_is_no_percentage(self):
        shares = {"accuracy": table()["accuracy"] * 200, "coordinate": table()["coordinate"] * 100}
        with pytest.raises(UserError, match="accuracy reaches from 50 to 180; it is a percentage"):
            checked_table(table().assign(**shares), percent=True)

    @pytest.mark.parametrize("lost", [int, float, lambda value: str(int(value))])
    @pytest.mark.parametrize("suffix", ["csv", "parquet", "pandas"])
    def test_zeros_in_front(self, tmp_path, lost, suffix):
        without = table().assign(concept_class=table()["concept_class"].map(lost))
        path = tmp_path / f"table.{suffix}"

        def read(**options):
            if suffix == "pandas":
                return checked_table(without, **options)
            return read_trajectory(path, **options)

        if suffix == "csv":
            without.to_csv(path, index=False)
        elif suffix == "parquet":
            without.to_parquet(path)
        with pytest.raises(UserError, match="restore_zeros=True puts") as error:
            read()
        assert "\n" not in str(error.value)
        found = read(restore_zeros=True)
        assert found["concept_class"].tolist() == table()["concept_class"].tolist()

    def test_zeros_that_cannot_be_restored(self):
        """A class longer than the run has concepts cannot be restored from its number."""
        rows = table()
        rows["concept_class"] = rows["concept_class"].map({"01": 1, "11": 111})
        with pytest.raises(UserError, match="'01' has 2 of 3 digits"):
            checked_table(rows, restore_zeros=True)

    def test_each_run_has_concepts_of_its_own(self):
        other = table().assign(run="s", concept_class=table()["concept_class"].map("0{}".format))
        third = other[other["concept"] == "color"].assign(concept="shape")
        both = pd.concat([table(), other, third], ignore_index=True)
        lost = both.assign(concept_class=both["concept_class"].map(int))
        found = checked_table(lost, restore_zeros=True)
        assert found["concept_class"].tolist() == both["concept_class"].tolist()

    @pytest.mark.parametrize("way", [checked_table, None])
    def test_names(self, tmp_path, way):
        theirs = table().rename(columns={"accuracy": "acc", "step": "iteration"})
        names = {"acc": "accuracy", "iteration": "step"}
        if way is None:
            theirs.to_parquet(tmp_path / "table.parquet")
            found = read_trajectory(tmp_path / "table.parquet", names)
        else:
            found = checked_table(theirs, columns=names)
        assert found["step"].tolist() == table()["step"].tolist()

    def test_names_that_are_not_there_or_twice(self):
        with pytest.raises(UserError, match="no column 'acc'; it has run, seed"):
            checked_table(table(), columns={"acc": "accuracy"})
        with pytest.raises(UserError, match="has the column 'step' twice"):
            checked_table(table(), columns={"seed": "step"})


class TestMissing:
    """Settings may be missing; other keys are not dropped in silence."""

    def test_a_missing_column_of_settings(self, tmp_path):
        table().drop(columns="setting").to_csv(tmp_path / "table.csv", index=False)
        assert (read_trajectory(tmp_path / "table.csv")["setting"] == "").all()

    def test_settings_that_became_numbers(self):
        settings = np.where(table()["step"] > 20, 1.5, np.nan)
        found = checked_table(table().assign(setting=settings))
        assert set(found["setting"]) == {"", "1.5"}

    def test_a_run_that_is_a_number_is_a_name(self, tmp_path):
        table().assign(run=3).to_parquet(tmp_path / "table.parquet")
        assert set(read_trajectory(tmp_path / "table.parquet")["run"]) == {"3"}

    @pytest.mark.parametrize("key", ["run", "seed", "step", "setting", "concept"])
    def test_rows_without_a_key(self, key):
        rows = table().astype({key: object})
        rows.loc[rows["concept_class"] == "11", key] = np.nan
        with pytest.raises(UserError, match=f"24 of 24 rows have no {key}|12 of 12"):
            condition(rows, "naive", "11")

    @pytest.mark.parametrize("key", ["run", "seed", "protocol", "setting", "sample", "concept"])
    def test_scores_without_a_key(self, key):
        drawn = scores({"a": np.full((4, 2), 0.5), "b": np.full((4, 2), 0.6)}).astype({key: object})
        drawn.loc[::2, key] = np.nan
        for average in (best_of_sweep, trajectory):
            with pytest.raises(UserError, match=f"the scores: 8 of 16 rows have no {key}"):
                average(drawn)


def test_a_mark_at_the_start_of_the_file_is_no_part_of_a_name(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text(table().to_csv(index=False), encoding="utf-8-sig")
    assert set(read_trajectory(path)["run"]) == {"r"}
