"""Scores of single images stand in the order of the contact sheet, on the server and in a file."""

from __future__ import annotations

import json

import pandas as pd
import pytest
from evaluated import write_evaluated
from fabricated import SAMPLES as TILES
from fabricated import make_space, write_sheets

from conceptspace.presentation.explorer.library import Library
from conceptspace.presentation.explorer.offline import payload
from conceptspace.presentation.explorer.run_files import NotThere
from conceptspace.presentation.explorer.single import scored

ROWS = [{"setting": "", "concept_class": "01"}, {"setting": "", "concept_class": "11"}]


def table(samples=3):
    keys = {"run": "r", "seed": 0, "step": 5, "protocol": "naive", "setting": ""}
    rows = [
        keys
        | {"concept_class": name, "sample": sample, "concept": concept, "valid": float(sample > 0)}
        | {"accuracy": (sample > 0) * (0.5 if concept == "size" else 0.25 * sample)}
        for name in ("11", "00")
        for sample in range(samples)
        for concept in ("size", "color")
    ]
    return pd.DataFrame(rows)


def test_rows_and_concepts_in_the_order_of_the_sheet():
    absent, row = scored(table(), ROWS, 4, ("color", "size"))
    assert absent is None
    assert row == {
        "joint": [0.0, 0.12, 0.25, None],
        "accuracy": [[0.0, 0.25, 0.5, None], [0.0, 0.5, 0.5, None]],
        "valid": [0.0, 1.0, 1.0, None],
    }


def test_without_a_judge_nothing_is_said_of_validity():
    _, row = scored(table().drop(columns="valid"), ROWS, 3, ("color", "size"))
    assert row is not None
    assert "valid" not in row


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    made = write_evaluated(tmp_path_factory.mktemp("single") / "runs" / "a", by_step=True)
    write_sheets(made.path / "samples" / "naive", make_space(2), {"": 1500.0}, 0, steps=[250, 500])
    return made


def test_the_server_and_a_file_give_the_same(run):
    library = Library([run.path.parent])
    token = library.index()["runs"][0]["token"]
    served = library.scores(token, "naive", 500)["rows"]
    assert len(served[0]["joint"]) == TILES
    own = run.scores()
    own = own[(own["step"] == 500) & (own["concept_class"] == "00")]
    wanted = own.pivot_table(index="sample", columns="concept", values="accuracy").prod(axis=1)
    known = [value for value in served[0]["joint"] if value is not None]
    assert known == pytest.approx(list(wanted), abs=0.006)
    data = payload([run], "t")
    (sheets,) = (of["sheets"]["naive"] for of in data["details"].values())
    assert sheets["500"]["scores"] == served
    json.dumps(data, allow_nan=False)


def test_a_sheet_without_scores_says_so(run):
    (run.path / "scores" / "naive" / "step-00000250.parquet").unlink()
    library = Library([run.path.parent])
    token = library.index()["runs"][0]["token"]
    with pytest.raises(NotThere, match="keeps no scores of single images"):
        library.scores(token, "naive", 250)
    with pytest.raises(NotThere, match="has no images of naive at step 7"):
        library.scores(token, "naive", 7)
    (sheets,) = (of["sheets"]["naive"] for of in payload([run], "t")["details"].values())
    assert "scores" not in sheets["250"]
