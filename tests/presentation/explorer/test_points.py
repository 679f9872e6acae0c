"""The trajectory as columns: exact numbers, the best setting of each step, emergence."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from fabricated import STEPS, make_space, make_table

from conceptspace.analysis.emergence import find_emergence
from conceptspace.analysis.points import protocols, settings, strays, trajectory
from conceptspace.errors import UserError
from conceptspace.presentation.series import highest
from conceptspace.tables import JOINT, TRAJECTORY_COLUMNS


def small() -> pd.DataFrame:
    """Two steps of one class, naive and under two settings of a sweep."""
    rows = []
    for step, protocol, setting, joint in (
        (100, "naive", "", 0.1),
        (200, "naive", "", 0.3),
        (100, "sweep", "a", 0.2),
        (100, "sweep", "b", 0.5),
        (200, "sweep", "a", 0.6),
        (200, "sweep", "b", 0.4),
    ):
        for concept, accuracy, coordinate in (
            ("color", joint + 0.1, 0.7),
            ("size", 0.9, 0.9),
            (JOINT, joint, np.nan),
        ):
            key = ("r", 0, step, protocol, setting, "11", concept)
            rows.append((*key, accuracy, coordinate, 12))
    return pd.DataFrame(rows, columns=TRAJECTORY_COLUMNS)


def test_payload_of_a_small_table_is_exactly_this():
    space = make_space(2)
    answer = trajectory(protocols(small(), space), space)
    assert answer["protocols"] == [
        {
            "name": "naive",
            "settings": [""],
            "steps": [100, 200],
            "classes": {
                "11": {
                    "best": [0, 0],
                    "samples": [12, 12],
                    "joint": [0.1, 0.3],
                    "accuracy": [[0.2, 0.4], [0.9, 0.9]],
                    "coordinate": [[0.7, 0.7], [0.9, 0.9]],
                }
            },
        },
        {
            "name": "sweep",
            "settings": ["a", "b"],
            "steps": [100, 200],
            "classes": {
                "11": {
                    "best": [1, 0],
                    "samples": [12, 12],
                    "joint": [0.5, 0.6],
                    "accuracy": [[0.6, 0.7], [0.9, 0.9]],
                    "coordinate": [[0.7, 0.7], [0.9, 0.9]],
                }
            },
        },
    ]
    key = {"class": "11", "protocol": "naive", "last": 200}
    assert answer["emergence"][:3] == [
        key | {"concept": "color", "lower": 200, "upper": None},
        key | {"concept": "size", "lower": 0, "upper": None},
        key | {"concept": "joint", "lower": 200, "upper": None},
    ]


def test_every_setting_is_there_for_those_who_ask():
    space = make_space(2)
    answer = settings(protocols(small(), space), space)
    assert answer["sweep"] == {
        "11": {
            "joint": [[0.2, 0.6], [0.5, 0.4]],
            "samples": [[12, 12], [12, 12]],
            "accuracy": [[[0.3, 0.7], [0.9, 0.9]], [[0.6, 0.5], [0.9, 0.9]]],
            "coordinate": [[[0.7, 0.7], [0.9, 0.9]], [[0.7, 0.7], [0.9, 0.9]]],
        }
    }


def test_best_settings_and_emergence_agree_with_the_analysis(tables):
    table, space = tables(2, 1), make_space(2)
    answer = trajectory(protocols(table, space), space)
    best = highest(table)
    for protocol in answer["protocols"]:
        rows = best[(best["protocol"] == protocol["name"]) & (best["concept_class"] == "11")]
        joint = rows[rows["concept"] == JOINT].set_index("step")["accuracy"]
        np.testing.assert_allclose(
            protocol["classes"]["11"]["joint"], joint[list(STEPS)], atol=6e-5
        )
    for row in answer["emergence"]:
        chosen = best[(best["protocol"] == row["protocol"])].assign(setting="best")
        (found,) = find_emergence(chosen, row["class"], row["protocol"], concept=row["concept"])
        assert row["lower"] == found.lower
        assert row["upper"] == (found.upper if found.reached else None)


def test_what_was_not_measured_is_null():
    space, table = make_space(2), small()
    hole = (table["step"] == 200) & (table["protocol"] == "naive") & (table["concept"] == "color")
    table.loc[hole, "coordinate"] = np.nan
    table = table[~((table["step"] == 100) & (table["protocol"] == "sweep"))]
    table = pd.concat([table, small().query("step == 100 and setting == 'a'").assign(step=300)])
    table.loc[table["step"] == 300, "accuracy"] = np.inf
    answer = trajectory(protocols(table, space), space)
    assert answer["protocols"][0]["classes"]["11"]["coordinate"][0] == [0.7, None]
    json.dumps(answer, allow_nan=False)


def test_rows_of_unknown_classes_are_named():
    space, table = make_space(2), small()
    table.loc[table["step"] == 200, "concept_class"] = "777"
    dense = protocols(table, space)
    assert strays(dense) == ["9 rows of classes or concepts that the config does not know."]
    assert strays(protocols(small(), space)) == []


def test_foreign_tables_are_refused_in_a_sentence():
    space = make_space(2)
    with pytest.raises(UserError, match="lacks the columns coordinate, samples"):
        protocols(small().drop(columns=["coordinate", "samples"]), space)
    with pytest.raises(UserError, match="no numbers in accuracy"):
        protocols(small().assign(accuracy="high"), space)
    for step in (np.nan, -1, 1e300):
        with pytest.raises(UserError, match="lacks steps or"):
            protocols(small().assign(step=step), space)


def test_one_and_three_concepts():
    for dimensions in (1, 3):
        space = make_space(dimensions)
        table = make_table(space, 0, "r", {"naive": {"": 900.0}})
        answer = trajectory(protocols(table, space), space)
        name = str(space.classes[-1])
        assert len(answer["protocols"][0]["classes"][name]["coordinate"]) == dimensions
