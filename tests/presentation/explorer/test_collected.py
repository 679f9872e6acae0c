"""A collection on the page shows what the run folders show."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest
from evaluated import write_evaluated

from collected import write_many
from conceptspace.cli import main
from conceptspace.collection.read import Collection
from conceptspace.collection.write import collect
from conceptspace.errors import UserError
from conceptspace.presentation.explorer.collected import CollectedLibrary, open_library, unpacked
from conceptspace.presentation.explorer.discover import runs_in
from conceptspace.presentation.explorer.library import Library
from conceptspace.presentation.explorer.run_files import NotThere
from conceptspace.store import Run

NEAR, FAR = {"data.color_separation": 0.2}, {"data.color_separation": 0.6}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seeds of two settings in run folders, and their collection; do not write into it."""
    root = tmp_path_factory.mktemp("collected")
    for name, seed, changes in (("a", 0, NEAR), ("a", 1, NEAR), ("b", 0, FAR), ("b", 1, FAR)):
        write_evaluated(root / "runs" / name / f"seed-{seed}", seed, changes)
    names = [f"{name}/seed-{seed}" for name in "ab" for seed in (0, 1)]
    assert collect({n: Run(root / "runs" / n) for n in names}, root / "collection") == {}
    return root


def test_the_list_of_runs_is_that_of_the_folders(folder: Path) -> None:
    collected, folders = CollectedLibrary(folder / "collection"), Library([folder / "runs"])
    ours, theirs = collected.index(), folders.index()
    assert ours["spaces"] == theirs["spaces"]
    assert ours["varied"] == theirs["varied"]
    for mine, other in zip(ours["runs"], theirs["runs"], strict=True):
        same = ("token", "name", "seed", "preset", "status", "space", "steps", "values", "apart")
        assert {k: mine[k] for k in same} == {k: other[k] for k in same}


def test_trajectories_and_findings_are_those_of_the_folders(folder: Path) -> None:
    collected, folders = CollectedLibrary(folder / "collection"), Library([folder / "runs"])
    tokens = [run["token"] for run in folders.index()["runs"]]
    ours, theirs = collected.trajectories(tokens)["runs"], folders.trajectories(tokens)["runs"]
    for token in tokens:
        assert ours[token]["protocols"] == theirs[token]["protocols"]
        assert ours[token]["emergence"] == theirs[token]["emergence"]
    found, wanted = collected.findings(tokens[:2]), folders.findings(tokens[:2])
    assert found["problems"] == wanted["problems"] == []
    verdicts = [f["text"] for f in wanted["findings"] if f["topic"] in ("verdict", "elicitation")]
    assert verdicts
    assert [
        f["text"] for f in found["findings"] if f["topic"] in ("verdict", "elicitation")
    ] == verdicts
    assert collected.settings(tokens[0])["protocols"] == folders.settings(tokens[0])["protocols"]
    assert collected.turns(tokens[:2])["problems"] == []
    assert collected.details(tokens[0])["provenance"]["probe.accuracy.color"] == "0.999"


def test_trajectories_do_not_wait_for_runs_that_are_unpacked(folder: Path) -> None:
    shown = CollectedLibrary(folder / "collection")
    tokens = [run["token"] for run in shown.index()["runs"]]
    unpacking, go_on = Event(), Event()

    def slow(names: Sequence[str], home: Path) -> None:
        unpacking.set()
        assert go_on.wait(60)
        Collection.unpack(shown._collection, names, home)

    shown._collection.unpack = slow
    with ThreadPoolExecutor(2) as pool:
        pending = pool.submit(shown.details, tokens[3])
        assert unpacking.wait(60)
        drawn = pool.submit(shown.trajectories, tokens).result(timeout=60)
        assert shown.index()["runs"]
        go_on.set()
        assert pending.result(timeout=60)["toml"]
    assert set(drawn["runs"]) == set(tokens)


def test_what_is_not_there_is_named(folder: Path) -> None:
    shown = CollectedLibrary(folder / "collection")
    token = shown.index()["runs"][0]["token"]
    answers = shown.trajectories([token, "0" * 12])["runs"]
    assert answers["0" * 12]["problems"] == ["there is no such run; it may have been moved"]
    for ask in (lambda: shown.trajectories(["0" * 12]), lambda: shown.image(token, "naive", 250)):
        with pytest.raises(NotThere):
            ask()


def test_a_collection_that_is_written_anew_is_read_anew(tmp_path: Path) -> None:
    write_many(tmp_path, 2, checkpoints=2)
    shown = CollectedLibrary(tmp_path)
    assert len(shown.index()["runs"]) == 2
    write_many(tmp_path, 3, checkpoints=2)
    os.utime(tmp_path / "collection.json", (1, 1))
    assert len(shown.index()["runs"]) == 3


def test_damaged_runs_copies_and_unscored_ones_are_left_out(tmp_path: Path) -> None:
    for name in ("whole", "torn", "bare"):
        write_evaluated(tmp_path / name, ("whole", "torn", "bare").index(name))
    (tmp_path / "torn" / "trajectory.parquet").write_bytes(b"PAR1")
    (tmp_path / "bare" / "trajectory.parquet").unlink()
    runs = {name: Run(tmp_path / name) for name in ("whole", "torn", "bare")}
    left_out = collect(runs | {"copy": runs["whole"]}, tmp_path / "collection")
    assert "is damaged" in left_out["torn"]
    assert "has no trajectory.parquet yet" in left_out["bare"]
    assert left_out["copy"] == "it has the settings and the seed of whole"
    with pytest.raises(UserError, match=r"there is no run to collect: .* damaged"):
        collect({"torn": runs["torn"]}, tmp_path / "other")


def test_a_run_with_damaged_scores_is_left_out_and_its_copy_takes_its_place(tmp_path: Path) -> None:
    runs, turns = {}, {"naive": {"": 1500.0}, "overprompting-color": {"1.5": 1000.0}}
    for name, seed in (("whole", 0), ("torn", 1), ("copy", 1), ("closed", 2)):
        runs[name] = write_evaluated(tmp_path / name, seed, turns=turns)
    place = tmp_path / "collection"
    assert collect({n: runs[n] for n in ("whole", "torn")}, place) == {}
    scores = next((tmp_path / "torn" / "scores").glob("overprompting*/*.parquet"))
    content = bytearray(scores.read_bytes())
    content[len(content) // 2] ^= 1
    scores.write_bytes(content)
    config = tmp_path / "closed" / "config.toml"
    runs["torn"].note(seconds=3.0)  # a change, so that the run is read again
    config.rename(config.with_suffix(".aside"))
    left_out = collect(runs, place)
    assert set(left_out) == {"torn", "closed"}
    assert f"{scores} is damaged" in left_out["torn"]
    assert list(Collection(place).runs["run"]) == ["whole", "copy"]


def test_a_collection_is_shown_alone(folder: Path) -> None:
    assert isinstance(open_library([folder / "collection"]), CollectedLibrary)
    assert isinstance(open_library([folder / "runs"]), Library)
    with pytest.raises(UserError, match="a collection is shown on its own"):
        open_library([folder / "collection", folder / "runs"])


def test_report_takes_chosen_runs(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with unpacked([folder / "collection"], {"data.color_separation": "0.2"}) as (chosen,):
        runs, left_out = runs_in([chosen])
        assert [run.path.relative_to(chosen).as_posix() for run in runs] == ["a/seed-0", "a/seed-1"]
        assert left_out == []
    assert not chosen.exists()
    asked = ["report", str(folder / "collection"), "-o", str(tmp_path / "page.html")]
    assert main([*asked, "--where", "data.color_separation"]) == 2
    assert "--where takes NAME=VALUE,VALUE" in capsys.readouterr().err
    assert main(["report", str(folder / "runs"), "--where", "seed=1", "-o", asked[-1]]) == 2
    assert "--where chooses from a collection" in capsys.readouterr().err
    assert main(["report", str(folder / "collection")]) == 2
    assert "add -o FILE" in capsys.readouterr().err


@pytest.mark.slow
def test_report_writes_the_page_of_a_collection(folder: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    asked = ["report", str(folder / "collection"), "-o", str(page)]
    assert main([*asked, "--where", "data.color-separation=0.2"]) == 0
    assert "seed-1" in page.read_text()


def test_too_many_runs_for_a_page_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("conceptspace.presentation.explorer.collected.MOST", 2)
    write_many(tmp_path / "many", 3, checkpoints=2)
    message = r"3 runs of .* are too many for one page, 2 are the most"
    with pytest.raises(UserError, match=message), unpacked([tmp_path / "many"], {}):
        pass
