"""Nothing of a shown run is read through a link that leads out, or waited for like a FIFO."""

from __future__ import annotations

import json
import os
import re

import pytest
from evaluated import write_evaluated
from fabricated import make_space, write_run

from conceptspace.errors import UserError
from conceptspace.presentation.explorer.ask import PointAsker
from conceptspace.presentation.explorer.ledger import ledger_table
from conceptspace.presentation.explorer.library import Library
from conceptspace.recording.space import write_space

REASONS = {"link": "is a link that leads out of the folder shown", "FIFO": "is not a regular file"}

FILES = [
    "config.toml",
    "run.json",
    "space.json",
    "trajectory.parquet",
    "training.parquet",
    "samples/naive/step-00000100.png",
]


def instead(path, how, outside):
    """Put a link to the same content elsewhere, or a FIFO, in the place of a file."""
    outside.mkdir()
    target = path.rename(outside / path.name)
    if how == "link":
        path.symlink_to(target)
    else:
        os.mkfifo(path)


@pytest.mark.parametrize("how", REASONS)
@pytest.mark.parametrize("name", FILES)
def test_a_file_of_a_run(tmp_path, name, how):
    run = write_run(tmp_path / "shown" / "a", make_space(2), protocols={"naive": {"": 900.0}})
    write_space(run.path, make_space(2))
    instead(run.path / name, how, tmp_path / "outside")
    library = Library([tmp_path / "shown"])
    listed = library.index()
    token = listed["runs"][0]["token"]
    text = json.dumps([listed, library.trajectory(token), library.details(token)])
    reason = REASONS[how]
    if (name, how) == ("config.toml", "FIFO"):
        name, reason = "a", "is not a run: it has no config.toml"
    assert f"{name} {reason}" in text


@pytest.mark.parametrize("how", REASONS)
def test_scores_of_single_images(tmp_path, how):
    run = write_evaluated(tmp_path / "shown" / "a", 0)
    instead(next((run.path / "scores").glob("*/*.parquet")), how, tmp_path / "outside")
    library = Library([tmp_path / "shown"])
    (token,) = [run["token"] for run in library.index()["runs"]]
    assert REASONS[how] in json.dumps(library.findings([token]))


@pytest.mark.parametrize("how", REASONS)
def test_the_index_of_an_older_sheet(tmp_path, how):
    """Its PNG is asked for by address, whatever the list of sheets says."""
    run = write_run(tmp_path / "shown" / "a", make_space(2), protocols={"naive": {"": 900.0}})
    beside = run.path / "samples" / "naive" / "step-00000100.json"
    beside.write_text("{}")
    instead(beside, how, tmp_path / "outside")
    library = Library([tmp_path / "shown"])
    (token,) = [run["token"] for run in library.index()["runs"]]
    with pytest.raises(UserError, match=REASONS[how]):
        library.image(token, "naive", 100)


@pytest.mark.parametrize("name", ["checkpoints", "scores"])
def test_a_folder_of_a_run(tmp_path, name):
    """Links to whole folders: nothing of what they hold is listed, and they are named."""
    run = write_evaluated(tmp_path / "shown" / "a", 0)
    (run.path / "checkpoints").mkdir(exist_ok=True)
    for end in ("json", "safetensors"):
        (run.path / "checkpoints" / f"step-00000001.{end}").write_bytes(b"{}")
    (run.path / name).rename(tmp_path / "outside")
    (run.path / name).symlink_to(tmp_path / "outside")
    library = Library([tmp_path / "shown"], ask=PointAsker())
    listed = library.index()["runs"][0]
    assert listed["checkpoints"] == ([] if name == "checkpoints" else [1])
    text = json.dumps([listed, library.findings([listed["token"]])])
    assert re.search(rf"/{name}[^ ]* {REASONS['link']}", text)


@pytest.mark.parametrize("how", REASONS)
def test_a_ledger(tmp_path, how):
    shown = tmp_path / "shown"
    shown.mkdir()
    (shown / "ledger.json").write_text('[{"claim": "secret"}]')
    instead(shown / "ledger.json", how, tmp_path / "outside")
    ledger = ledger_table("ledger.json", shown / "ledger.json", shown)
    assert ledger["rows"] == []
    assert REASONS[how] in ledger["problem"]
