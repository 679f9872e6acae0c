"""Columns of values as concepts."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conceptspace.errors import UserError
from conceptspace.worlds.factors import read_factors


@given(st.lists(st.sampled_from(["red", "green", "blue"]), min_size=2, max_size=30), st.randoms())
def test_every_image_has_the_class_of_its_values(hues, random):
    lights = [random.choice([3, 10]) for _ in hues]
    columns = {"hue": hues, "light": np.array(lights)}
    if len(set(hues)) < 2 or len(set(lights)) < 2:
        with pytest.raises(UserError, match="has 1 value, and a concept has 2 to 10"):
            read_factors(columns, {}, len(hues))
        return
    found = read_factors(columns, {}, len(hues))
    hue, light = found.concepts
    assert hue.labels == tuple(sorted(set(hues)))
    assert light.labels == ("3", "10")  # in the order of the numbers, not of the text
    for row, concept_class in zip(found.rows, found.classes, strict=True):
        first, second = map(int, concept_class)
        assert (hue.labels[first], light.labels[second]) == (hues[row], str(lights[row]))
        assert row in found.rows_of(concept_class)


def test_names_in_order_permuted_and_chosen():
    column = {"size": [5, 0, 2, 5]}
    assert read_factors(column, {"size": ["a", "b", "c"]}, 4).concepts[0].labels == ("a", "b", "c")
    permuted = read_factors(column, {"size": ["5", "2", "0"]}, 4)
    assert permuted.classes.tolist() == ["0", "2", "1", "0"]
    chosen = read_factors(column, {"size": {5: "large", 0: "small"}}, 4)
    assert chosen.concepts[0].labels == ("large", "small")
    assert chosen.rows.tolist() == [0, 1, 3]
    assert chosen.classes.tolist() == ["0", "1", "0"]
    assert chosen.concepts[0].categorical


def test_numbers_that_differ_are_different_values():
    days = {"day": [20230101.0, 20230102.0, 20240101.0, 20230101.0]}
    found = read_factors(days, {}, 4)
    assert found.concepts[0].labels == ("20230101", "20230102", "20240101")
    assert found.classes.tolist() == ["0", "1", "2", "0"]
    named = read_factors(days, {"day": {20230102.0: "late", 20230101.0: "early"}}, 4)
    assert named.classes.tolist() == ["1", "0", "1"]


def test_numbers_that_differ_by_rounding_are_one_value():
    found = read_factors({"x": [0.1 + 0.2, 0.3, 0.0, -0.0]}, {}, 4)
    assert found.concepts[0].labels == ("0", "0.3")
    single = read_factors({"x": np.array([0.1, 0.7], np.float32)}, {}, 2)
    assert single.concepts[0].labels == ("0.1", "0.7")


@pytest.mark.slow
def test_the_order_of_values_is_always_the_same():
    orders = ["nan", "2", "1", "01", "0"], ["1", "01", "2", "0"]
    for seed in "0123":
        script = (
            "from conceptspace.worlds.factors import read_factors\n"
            f"for values in {orders}:\n"
            "    print(read_factors({'x': values}, {}, len(values)).concepts[0].labels)"
        )
        command = [sys.executable, "-c", script]
        hashed = os.environ | {"PYTHONHASHSEED": seed}
        done = subprocess.run(command, env=hashed, capture_output=True, text=True, check=True)
        assert done.stdout.splitlines() == [
            "('0', '01', '1', '2', 'nan')",
            "('0', '01', '1', '2')",
        ]


@pytest.mark.parametrize("column", [[2e6, 3e6], [2_000_000, 3_000_000], ["2000000", "3000000"]])
def test_whole_numbers_are_the_same_however_they_are_written(column):
    found = read_factors({"id": column}, {"id": {2_000_000: "two", 3e6: "three"}}, 2)
    assert found.concepts[0].labels == ("two", "three")
    assert read_factors({"id": column}, {}, 2).concepts[0].labels == ("2000000", "3000000")


def test_classes_by_digits_and_by_names():
    found = read_factors({"hue": ["red", "blue"], "x": [0.5, 1.0]}, {"hue": ["red", "blue"]}, 2)
    assert found.class_of("10") == found.class_of(("blue", "0.5")) == "10"
    with pytest.raises(UserError, match="hue has no value 'grün'; it has red, blue"):
        found.class_of(("grün", "1"))
    with pytest.raises(UserError, match="has 1 values"):
        found.class_of(("red",))


REFUSED = [
    ({}, {}, "at least one column"),
    ({"hue": ["a", "b", "c"]}, {}, r"has the shape \(3,\), and there are 2 images"),
    ({"hue": [["a"], ["b"]]}, {}, r"has the shape \(2, 1\)"),
    ({"hue": ["a", None]}, {}, "row 1 of the column 'hue' holds no value, but None"),
    ({"hue": ["a", ""]}, {}, "row 1"),
    ({"hue": [0.0, float("nan")]}, {}, "row 1"),
    ({"hue": [0.0, float("inf")]}, {}, "row 1"),
    ({"hue": ["a", "a"]}, {}, "has 1 value, and a concept has 2 to 10"),
    ({"joint": ["a", "b"]}, {}, "cannot be called"),
    ({"hue": ["a", "b"]}, {"light": ["x", "y"]}, "no column 'light' to name"),
    ({"hue": ["a", "b"]}, {"hue": ["x", "y", "z"]}, "2 values .* and 3 names"),
    ({"hue": ["a", "b"]}, {"hue": {"a": "x", "c": "y"}}, "no image has the value 'c' of hue"),
    ({"hue": ["a", "b"]}, {"hue": {"a": "x", "b": "x"}}, "different names"),
    ({"hue": ["a", "b"]}, {"hue": ["B", "x"]}, "'B' is a value of its own.* the name of 'a'"),
    ({"hue": ["a", "b"]}, {"hue": ["x", "a"]}, "'a' is a value of its own.* the name of 'b'"),
]


@pytest.mark.parametrize(("columns", "names", "message"), REFUSED)
def test_what_is_refused(columns, names, message):
    with pytest.raises(UserError, match=message) as error:
        read_factors(columns, names, 2)
    assert "\n" not in str(error.value)


def test_more_than_ten_values():
    with pytest.raises(UserError, match="has 11 values"):
        read_factors({"hue": list(range(11))}, {}, 11)


def test_names_that_are_the_values_in_other_capitals_go_to_them():
    found = read_factors({"hue": ["red", "blue", "blue"]}, {"hue": ["Red", "BLUE"]}, 3)
    assert found.concepts[0].labels == ("Red", "BLUE")
    assert found.classes.tolist() == ["0", "1", "1"]
    partly = read_factors({"hue": ["red", "blue", "blue"]}, {"hue": ["Blue", "warm"]}, 3)
    assert partly.classes.tolist() == ["1", "0", "0"]
