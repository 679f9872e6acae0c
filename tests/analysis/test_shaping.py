"""Tables of other programs: what they leave out is filled in, what they say wrongly is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from conceptspace.analysis.reading import read_trajectory
from conceptspace.analysis.table_findings import table_findings
from conceptspace.errors import UserError
from conceptspace.tables import JOINT, TRAJECTORY_COLUMNS

STEPS = (10, 20, 30, 40)


def long(**more):
    rows = [
        {"step": step, "skill": skill, "acc": step / (100 + 100 * n)}
        for step in STEPS
        for n, skill in enumerate(("add", "carry"))
    ]
    return pd.DataFrame(rows).assign(**more)


def test_step_skill_and_accuracy_are_enough():
    found = read_trajectory(long(), {"skill": "concept", "acc": "accuracy"})
    assert set(found) == {*TRAJECTORY_COLUMNS}
    assert (found["concept_class"] == "11").all()
    np.testing.assert_array_equal(found["coordinate"], found["accuracy"])
    assert (found["protocol"] == "naive").all()
    assert (found["samples"] == 0).all()
    assert JOINT not in set(found["concept"]), "it does not follow from the accuracies of two"


def test_one_quantity_is_all_at_once():
    found = read_trajectory(pd.DataFrame({"step": STEPS, "accuracy": (0.1, 0.2, 0.3, 0.4)}))
    of = found.set_index(["concept", "step"])["accuracy"]
    assert of["accuracy"].tolist() == of[JOINT].tolist() == [0.1, 0.2, 0.3, 0.4]


def test_a_wide_table_of_ways_and_skills(tmp_path):
    columns = {"a0": "zero:add", "a5": "five:add", "c0": "zero:carry", "c5": "five:carry"}
    wide = pd.DataFrame({"tokens": STEPS, **{c: 10 * n for n, c in enumerate(columns)}})
    path = tmp_path / "wide.csv"
    wide.to_csv(path, index=False)
    options = {"accuracies": columns, "plain": "zero", "controls": ["five"], "percent": True}
    found = read_trajectory(path, {"tokens": "step"}, **options)
    values = found.groupby(["protocol", "concept"])["accuracy"].mean()
    assert values.to_dict() == pytest.approx(
        {
            ("naive", "add"): 0.0,
            ("control five", "add"): 0.1,
            ("naive", "carry"): 0.2,
            ("control five", "carry"): 0.3,
        }
    )


def test_a_class_decides_what_a_coordinate_is():
    rows = long(concept_class="01").rename(columns={"skill": "concept", "acc": "accuracy"})
    found = read_trajectory(rows).set_index(["concept", "step"])
    assert found.loc[("add", 20), "coordinate"] == pytest.approx(0.8)
    assert found.loc[("carry", 20), "coordinate"] == pytest.approx(0.1)


def test_runs_are_numbered_where_there_are_no_seeds():
    rows = pd.concat([long(run="b"), long(run="a")])
    found = read_trajectory(rows, {"skill": "concept", "acc": "accuracy"})
    assert found.groupby("run")["seed"].unique().map(list).to_dict() == {"b": [0], "a": [1]}


def test_a_named_column_stands_in_for_one_of_our_name():
    rows = long(tokens=[7 * n for n in range(8)])
    found = read_trajectory(rows, {"tokens": "step", "skill": "concept", "acc": "accuracy"})
    assert found["step"].tolist() == rows["tokens"].tolist()


def test_what_was_not_measured_is_left_out_on_request(tmp_path):
    path = tmp_path / "gaps.csv"
    path.write_text("step,accuracy\n10,0.1\n20,\n30,nan\n40,0.4\n")
    with pytest.raises(UserError, match=r"accuracy has no number in 2 of 4 rows; --skip-empty"):
        read_trajectory(path)
    assert sorted(set(read_trajectory(path, skip_empty=True)["step"])) == [10, 40]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"columns": {"loss": "accuracy"}}, "has no column 'loss'; it has step, skill, acc"),
        ({"columns": {}}, "lacks the columns accuracy; it has step, skill, acc: say which one"),
        ({"columns": {"acc": "accuracy"}}, "step 10, .* apart; the columns skill are not used"),
        ({"accuracies": {"bad": "naive"}}, "has no column 'bad'"),
        (
            {"columns": {}, "accuracies": {"acc": "x", "step": ":add"}},
            "of every column of accuracies, or",
        ),
        ({"accuracies": {"acc": "naive:x"}, "columns": {"skill": "concept"}}, "a column concept"),
        ({"plain": "a", "controls": ["b"]}, "there is no way of asking 'b'; there are a"),
        ({"joint": "all"}, "there is no concept 'all'; there are add, carry"),
        ({"percent": True}, "no accuracy exceeds 1, so they are no percentages"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_sentence(options, message):
    defaults = {"columns": {"skill": "concept", "acc": "accuracy"}}
    with pytest.raises(UserError, match=message) as error:
        read_trajectory(long(), **{**defaults, **options})
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("ways", "options", "message"),
    [
        (("x", "y"), {}, "which of the ways of asking x, y is the plain one"),
        (("x", "y"), {"plain": "x", "controls": ["x"]}, "'x' cannot be .* and a control"),
        (("naive", "y"), {"plain": "y"}, "'y' cannot be .* beside one that is called naive"),
    ],
)
def test_one_way_of_asking_is_plain(ways, options, message):
    rows = pd.concat([long(way=way) for way in ways])
    names = {"skill": "concept", "acc": "accuracy", "way": "protocol"}
    with pytest.raises(UserError, match=message):
        read_trajectory(rows, names, **options)


def test_no_rows_are_no_table():
    with pytest.raises(UserError, match="the table has no rows"):
        read_trajectory(long().head(0))


def models(first, second, **more):
    """Two trajectories that a column of their own tells apart, at steps of their own."""
    rows = [{"step": step, "accuracy": 0.1, "model": "a"} for step in first]
    rows += [{"step": step, "accuracy": 0.9, "model": "b"} for step in second]
    return pd.DataFrame(rows).assign(**more)


def test_trajectories_that_an_unused_column_tells_apart_are_not_merged():
    rows = models((1, 3, 5), (2, 4, 6))
    with pytest.raises(UserError, match=r"column model \(a, b\) is not used, .*--run model makes"):
        read_trajectory(rows)
    assert read_trajectory(rows, {"model": "run"}).groupby("run").size().to_dict() == {
        "a": 6,
        "b": 6,
    }
    text = rows.assign(step=rows["step"].map(lambda step: str(10 * step)))
    with pytest.raises(UserError, match="column model"):
        read_trajectory(text)


@pytest.mark.parametrize("column", ["note", "loss", "flag", "rate"])
def test_columns_that_change_with_training_are_left_alone(column):
    rows = models((1, 2, 3), (4, 5, 6)).drop(columns="model")
    values = {
        "note": list("uvwxyz"),
        "loss": [3.0, 2.0, 3.0, 1.0, 1.0, 0.5],
        "flag": [True, False, True, False, True, True],
        "rate": [1, 1, 1, 2, 2, 2],
    }
    read = read_trajectory(rows.assign(**{column: values[column]}))
    assert not [f for f in table_findings(read) if column in f.text]


@pytest.mark.parametrize(
    ("of", "at"), [("ab", (1, 2, 3, 4, 5, 6)), ((64, 128), (1, 3, 5, 2, 4, 6))]
)
def test_a_column_that_may_hold_conditions_is_named_in_the_findings(of, at):
    rows = models(at[:3], at[3:])
    rows["model"] = rows["model"].map(dict(zip("ab", of, strict=True)))
    texts = [f.text for f in table_findings(read_trajectory(rows))]
    assert any(text.startswith("The column model is not used, and changes") for text in texts)


@pytest.mark.parametrize("column", ["step", "seed", "run", "setting", "way", "skill", "class"])
@pytest.mark.parametrize("value", [[1], {"k": 1}, np.array([1, 2])])
def test_lists_are_no_names(column, value):
    names = {"skill": "concept", "acc": "accuracy", "way": "protocol", "class": "concept_class"}
    given = long(way="plain", **{"class": "11"}).assign(seed=0, run="r", setting="")
    rows = given.assign(**{column: [value] * len(given)})
    what = names.get(column, column)
    with pytest.raises(UserError, match=rf"column {what} holds .* and needs one value a row"):
        read_trajectory(rows, names)
