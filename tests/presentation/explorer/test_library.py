"""The folder as data: every run is listed with what is wrong with it, and nothing raises."""

from __future__ import annotations

import errno
import json
import os
import shutil
from pathlib import Path

import pandas as pd
import pytest
from evaluated import write_evaluated
from fabricated import make_space, write_run
from PIL import Image

from conceptspace.errors import UserError
from conceptspace.presentation.explorer.library import Library
from conceptspace.presentation.explorer.run_files import NotThere

HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A whole run, and one for each way in which a run can be wrong; do not write into it."""
    root = tmp_path_factory.mktemp("shown")
    write_run(root / "whole", make_space(2))
    for seed, name in enumerate(("torn", "json", "toml", "columns", "sheet", "log", HOSTILE), 1):
        write_run(root / name, make_space(2), seed, sheets=name == "sheet")
    (root / "torn" / "trajectory.parquet").write_bytes(b"PAR1 half")
    (root / "json" / "run.json").write_text('{"status": "run')
    (root / "toml" / "config.toml").write_text("seed = [")
    pd.DataFrame({"step": [1]}).to_parquet(root / "columns" / "trajectory.parquet")
    next((root / "sheet" / "samples" / "naive").glob("*.png")).write_bytes(b"{}")
    (root / "log" / "training.parquet").write_bytes(b"")
    (root / "foreign").mkdir()
    (root / "foreign" / "config.toml").write_text('[tool]\nname = "another program"\n')
    (root / "leftover" / "checkpoints").mkdir(parents=True)
    (root / "started").mkdir()
    shutil.copy(root / "whole" / "config.toml", root / "started" / "config.toml")
    kept = root / "kept"
    kept.mkdir()
    write_run(root / "more", make_space(2), 8, sheets=False)
    for name in ("config.toml", "run.json", "trajectory.parquet"):
        shutil.move(root / "more" / name, kept / name)
    shutil.rmtree(root / "more")
    return root


@pytest.fixture
def library(folder):
    return Library([folder])


def tokens(library):
    return {run["name"]: run["token"] for run in library.index()["runs"]}


def test_every_folder_is_listed_with_what_is_wrong(library):
    runs = {run["name"]: run for run in library.index()["runs"]}
    assert set(runs) == {
        *("whole", "torn", "json", "toml", "columns", "sheet", "log", HOSTILE),
        *("foreign", "leftover", "started", "kept"),
    }
    assert runs["whole"]["problems"] == []
    assert runs["whole"]["status"] == "finished"
    assert "run.json is damaged" in runs["json"]["problems"][0]
    assert runs["json"]["space"] == 0
    assert "not valid TOML" in runs["toml"]["problems"][0]
    assert "there is no setting tool" in runs["foreign"]["problems"][0]
    assert "it has no config.toml" in runs["leftover"]["problems"][0]
    for name in ("toml", "foreign", "leftover"):
        assert (runs[name]["status"], runs[name]["space"]) == ("unreadable", None)
    json.dumps(library.index(), allow_nan=False)


def test_whatever_a_run_holds_is_reported_and_not_raised(library):
    of = tokens(library)
    answers = library.trajectories(list(of.values()))["runs"]
    assert len(answers[of["whole"]]["protocols"]) == 2
    assert answers[of["whole"]]["problems"] == []
    assert "trajectory.parquet is damaged" in answers[of["torn"]]["problems"][0]
    assert "lacks the columns" in answers[of["columns"]]["problems"][0]
    assert answers[of["started"]]["notes"] == ["No checkpoint has been scored yet."]
    assert answers[of["toml"]]["problems"]
    for each in answers.values():
        assert {"protocols", "emergence", "notes", "problems", "version"} == each.keys()
    json.dumps(answers, allow_nan=False)


def test_details_of_runs_with_and_without_images(library):
    of = tokens(library)
    whole = library.details(of["whole"])
    assert whole["notes"] == []
    assert whole["provenance"]["versions.torch"] == "2.9"
    assert len(whole["training"]["step"]) == 240
    assert whole["training"]["step"][-1] == 4400
    sheet = whole["sheets"]["overprompting"]["4400"]
    version = whole["version"]
    assert sheet["src"] == f"api/images/{of['whole']}/overprompting/4400?v={version}"
    assert sheet["rows"][5] == ["0.15,0.15,0.85", "01"]
    notes = ["This run keeps no training log.", "This run keeps no images."]
    assert library.details(of["kept"])["notes"] == notes
    assert "is damaged" in library.details(of["sheet"])["notes"][0]
    sheets = library.details(of["sheet"])["sheets"]
    assert len(sheets["naive"]) == len(sheets["overprompting"]) - 1
    assert "training.parquet is damaged" in library.details(of["log"])["notes"][0]


def test_what_breaks_in_an_unforeseen_way_stays_with_its_run(library, monkeypatch, caplog):
    def broken(*_):
        raise RuntimeError("unforeseen")

    monkeypatch.setattr("conceptspace.analysis.points.protocols", broken)
    of = tokens(library)
    answer = library.trajectory(of["whole"])
    assert answer["problems"] == ["its files cannot be shown (RuntimeError: unforeseen)"]
    assert "unforeseen" in caplog.text


def test_results_are_kept_until_files_change(tmp_path):
    run = write_run(tmp_path / "r", make_space(2), protocols={"naive": {"": 900.0}})
    library = Library([tmp_path])
    (token,) = tokens(library).values()
    first = library.trajectory(token)
    assert library.trajectory(token) is first
    table = run.trajectory()
    table[table["step"] <= 2000].to_parquet(run.path / "trajectory.parquet")
    again = library.trajectory(token)
    assert again["version"] != first["version"]
    assert again["protocols"][0]["steps"][-1] <= 2000
    assert library.index()["runs"][0]["version"] == again["version"]


def test_new_runs_appear_and_lost_ones_go(tmp_path):
    library = Library([tmp_path])
    assert library.index()["runs"] == []
    write_run(tmp_path / "late", make_space(2), protocols={"naive": {"": 900.0}})
    of = tokens(library)
    assert set(of) == {"late"}
    assert library.trajectory(of["late"])["protocols"]
    shutil.rmtree(tmp_path / "late")
    assert library.index()["runs"] == []
    with pytest.raises(NotThere):
        library.trajectory(of["late"])


@pytest.mark.parametrize("lost", ["samples", "samples/naive", "scores", "checkpoints", "figures"])
def test_a_folder_that_is_removed_while_it_is_looked_into_silences_no_run(
    lost, tmp_path, monkeypatch
):
    for name in ("going", "staying"):
        write_run(tmp_path / name, make_space(2), protocols={"naive": {"": 900.0}})
        (tmp_path / name / lost).mkdir(parents=True, exist_ok=True)
    scandir, gone = os.scandir, tmp_path / "going" / lost

    def race(path):
        if Path(path) == gone:
            raise FileNotFoundError(errno.ENOENT, "No such file or directory", str(path))
        return scandir(path)

    library = Library([tmp_path])
    monkeypatch.setattr(os, "scandir", race)
    assert "staying" in tokens(library)


def test_settings_in_which_runs_differ(tmp_path):
    masked = {"data.masked_share": 0.5, "data.masked_class": "01"}
    write_evaluated(tmp_path / "a", 0)
    write_evaluated(tmp_path / "b", 1)
    write_evaluated(tmp_path / "c", 0, masked)
    answer = Library([tmp_path]).index()
    names = ["data.masked_class", "data.masked_concept", "data.masked_share"]
    assert answer["varied"] == names
    values = [run["values"] for run in answer["runs"]]
    assert values[0] == values[1] == dict(zip(names, (None, None, "0"), strict=True))
    assert values[2] == dict(zip(names, ("01", "color", "0.5"), strict=True))
    assert [run["seed"] for run in answer["runs"]] == [0, 1, 0]
    assert len(answer["spaces"]) == 1
    concepts = {"data.concepts": ("shape", "size")}
    write_evaluated(tmp_path / "d", 0, concepts)
    answer = Library([tmp_path]).index()
    assert [run["space"] for run in answer["runs"]] == [0, 0, 0, 1]
    shape = {"name": "shape", "labels": ["circle", "triangle"], "axis": [0, 1]}
    assert answer["spaces"][1]["concepts"][0] == shape


def test_findings_and_turns_of_runs_together(tmp_path):
    for seed in (0, 1):
        write_evaluated(tmp_path / f"s{seed}", seed)
    write_evaluated(tmp_path / "other", 0, {"data.color_separation": 0.4})
    library = Library([tmp_path])
    of = tokens(library)
    answer = library.findings([of["s0"], of["s1"]])
    assert answer["problems"] == []
    assert {f["group"] for f in answer["findings"]} == {""}
    assert answer["findings"][0]["text"] == "Hidden capability: cannot be decided."
    assert "means of 2 seeds" in " ".join(f["text"] for f in answer["findings"])
    assert answer["groups"] == [{"name": "", "runs": ["s0", "s1"], "judged": []}]
    both = library.findings(list(of.values()))["findings"]
    assert {f["group"] for f in both} == {"color separation 0.15", "color separation 0.4"}
    turns = library.turns([of["s0"], of["s1"]])
    assert turns["11"].keys() == {"detected", "step", "low", "high", "text"}
    twice = library.findings([of["s0"], of["other"]])["problems"]
    assert twice == []


def test_findings_of_kept_runs_say_what_is_missing(folder, library):
    of = tokens(library)
    texts = " ".join(f["text"] for f in library.findings([of["kept"]])["findings"])
    assert "No scores of single images were kept" in texts
    assert "Training classes end with" in texts


def test_images_are_found_by_name_and_stay_inside(folder, tmp_path):
    root = tmp_path / "root"
    shutil.copytree(folder / "whole", root / "run")
    library = Library([root])
    (token,) = tokens(library).values()
    path = library.image(token, "naive", 4400)
    with Image.open(path) as image:
        assert image.size == (32 * 16, 4 * 16)
    for protocol, step in (("..", 4400), ("../naive", 4400), ("naive", 4401), ("none", 4400)):
        with pytest.raises(NotThere):
            library.image(token, protocol, step)
    secret = tmp_path / "secret.png"
    Image.new("RGB", (8, 8)).save(secret)
    stored = root / "run" / "samples" / "naive" / "step-00004400.png"
    stored.unlink()
    stored.symlink_to(secret)
    with pytest.raises(NotThere, match="does not lie in the run's folder"):
        library.image(token, "naive", 4400)
    with pytest.raises(NotThere):
        library.figure(token, "../../secret.png")
    with pytest.raises(NotThere):
        library.run("../../../etc")


def test_a_root_that_is_no_folder_is_refused(tmp_path):
    with pytest.raises(UserError, match="is not a folder"):
        Library([tmp_path / "none"])
