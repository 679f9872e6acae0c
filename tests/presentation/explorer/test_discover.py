"""Runs are found wherever they lie; what only looks like one is named; links cannot lead out."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from conceptspace.errors import UserError
from conceptspace.presentation.explorer.discover import DEEPEST, discover
from conceptspace.presentation.explorer.left_out import sentences


def run(folder):
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text("seed = 0\n")
    return folder


def names(*roots):
    return [found.name for found in discover(roots).runs]


def test_runs_below_a_folder_and_a_run_itself(tmp_path):
    run(tmp_path / "a")
    run(tmp_path / "sweep" / "seed-0")
    run(tmp_path / "sweep" / "seed-1")
    (tmp_path / "notes").mkdir()
    run(tmp_path / "a" / "inner")
    run(tmp_path / ".hidden" / "b")
    assert names(tmp_path) == ["a", "sweep/seed-0", "sweep/seed-1"]
    assert names(tmp_path / "a") == ["a"]
    assert names(tmp_path / "a", tmp_path / "sweep") == ["a", "sweep/seed-0", "sweep/seed-1"]


def test_folders_of_one_name_keep_names_apart(tmp_path):
    run(tmp_path / "x" / "runs" / "a")
    run(tmp_path / "y" / "runs" / "a")
    found = names(tmp_path / "x" / "runs", tmp_path / "y" / "runs")
    assert len(set(found)) == 2
    assert "runs/a" in found


def test_depth_is_limited(tmp_path):
    deep = tmp_path
    for level in range(DEEPEST):
        deep = deep / f"d{level}"
    run(deep)
    run(deep.parent / "e" / "f")
    assert names(tmp_path) == [deep.relative_to(tmp_path).as_posix()]


def test_what_is_left_of_a_run_counts(tmp_path):
    for mark in ("run.json", "trajectory.parquet"):
        (tmp_path / mark.split(".")[0]).mkdir()
        (tmp_path / mark.split(".")[0] / mark).write_text("")
    (tmp_path / "half" / "checkpoints").mkdir(parents=True)
    assert names(tmp_path) == ["half", "run", "trajectory"]


def test_links_that_lead_out_are_listed_but_not_read(tmp_path):
    outside = run(tmp_path / "outside" / "secret")
    root = tmp_path / "root"
    run(root / "own")
    (root / "link").symlink_to(outside, target_is_directory=True)
    (root / "up").symlink_to(tmp_path, target_is_directory=True)
    (root / "again").symlink_to(root / "own", target_is_directory=True)
    shelf = discover([root])
    found = {f.name: f.problem for f in shelf.runs}
    assert set(found) == {"own", "link"}
    assert found["own"] == ""
    assert "leads out of the folder" in found["link"]
    assert sentences(shelf.left_out) == [
        "Left out as links to what is shown already: again.",
        "Left out as links that lead out of the folder shown: up.",
    ]


def test_links_that_loop_show_every_run_once(tmp_path):
    run(tmp_path / "sweep" / "a")
    run(tmp_path / "b")
    (tmp_path / "loop").symlink_to(".")
    (tmp_path / "sweep" / "up").symlink_to("..")
    (tmp_path / "a1").symlink_to(tmp_path / "sweep" / "a")
    (tmp_path / "self").symlink_to("self")
    shelf = discover([tmp_path])
    assert [found.name for found in shelf.runs] == ["b", "sweep/a"]
    (sentence,) = sentences(shelf.left_out)
    assert sentence == "Left out as links to what is shown already: a1, loop, sweep/up."


def test_one_folder_named_twice_is_shown_once(tmp_path):
    run(tmp_path / "sweep" / "a")
    assert names(tmp_path, tmp_path / "sweep") == [f"{tmp_path.name}/sweep/a"]


def test_a_link_to_what_lies_too_deep_is_followed_once(tmp_path):
    deep = tmp_path / "1" / "2" / "3" / "4" / "5"
    run(deep)
    (tmp_path / "short").symlink_to(deep)
    (tmp_path / "shorter").symlink_to(deep)
    assert names(tmp_path) == ["short"]


def test_a_folder_that_cannot_be_searched_is_named(tmp_path, monkeypatch):
    run(tmp_path / "a")
    (tmp_path / "closed").mkdir()
    listed = os.listdir

    def refuse(path):
        if Path(path).name == "closed":
            raise PermissionError(13, "Permission denied", str(path))
        return listed(path)

    monkeypatch.setattr("os.listdir", refuse)
    shelf = discover([tmp_path])
    assert [found.name for found in shelf.runs] == ["a"]
    assert sentences(shelf.left_out) == ["Left out: closed: it cannot be read (Permission denied)."]


def test_names_that_are_no_text_are_legible_and_apart(tmp_path):
    for name in (b"a\xff", b"a\xfe"):
        os.mkdir(os.fsencode(tmp_path) + b"/" + name)
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name), "config.toml").write_text("")
    assert names(tmp_path) == [r"a\xfe", r"a\xff"]


def test_tokens_are_plain_whatever_the_name(tmp_path):
    for name in ("<img src=x onerror=alert(1)>", "..%2f..%2fx", "a b&c?d#e"):
        run(tmp_path / name)
    tokens = [found.token for found in discover([tmp_path]).runs]
    assert all(re.fullmatch("[0-9a-f]{12}", token) for token in tokens)
    assert len(set(tokens)) == 3


def test_ledgers_are_found_and_do_not_hide_runs(tmp_path):
    figure = tmp_path / "results" / "fig04"
    run(figure / "runs" / "seed-0")
    (figure / "ledger.json").write_text(json.dumps([]))
    (figure / "trajectory.parquet").write_text("kept beside the ledger")
    shelf = discover([tmp_path])
    assert [ledger.name for ledger in shelf.ledgers] == ["results/fig04/ledger.json"]
    assert [found.name for found in shelf.runs] == ["results/fig04/runs/seed-0"]


def test_a_root_must_be_a_folder(tmp_path):
    with pytest.raises(UserError, match="nowhere is not a folder"):
        discover([tmp_path / "nowhere"])
