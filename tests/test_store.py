from __future__ import annotations

import pandas as pd
import pytest

from conceptspace.errors import UserError
from conceptspace.locking import alone, sweep_leftovers
from conceptspace.store import Run, open_or_create
from tiny import TINY, tiny_config


def contents(folder):
    return {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_creates_a_run_and_opens_it_again(tmp_path):
    folder = tmp_path / "a" / "run"
    run, existed = open_or_create(folder, TINY)
    assert not existed
    assert run.config == TINY
    assert run.name == "run"
    before = contents(folder)
    run, existed = open_or_create(folder, TINY)
    assert existed
    assert contents(folder) == before


def test_an_empty_folder_will_do(tmp_path):
    run, existed = open_or_create(tmp_path, TINY)
    assert not existed
    assert run.config == TINY


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"train__batch_size": 8}, "train.batch_size is 4 there, 8 here"),
        ({"seed": 7}, "seed is 0 there, 7 here"),
        ({"data__concepts": ["size", "color"]}, "data.concepts"),
    ],
)
def test_another_config_is_refused_and_the_difference_named(tmp_path, changes, named):
    open_or_create(tmp_path, TINY)
    before = contents(tmp_path)
    with pytest.raises(UserError) as error:
        open_or_create(tmp_path, tiny_config(**changes))
    assert named in str(error.value)
    assert "--out" in str(error.value)
    assert contents(tmp_path) == before


def test_many_differences_are_counted(tmp_path):
    open_or_create(tmp_path, TINY)
    other = tiny_config(seed=1, train__batch_size=2, data__edge_blur=0.0, probe__steps=9)
    with pytest.raises(UserError, match="and 1 more"):
        open_or_create(tmp_path, other)


def test_a_folder_of_something_else_is_refused_and_untouched(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    before = contents(tmp_path)
    with pytest.raises(UserError, match="is not a run"):
        open_or_create(tmp_path, TINY)
    assert contents(tmp_path) == before


def test_a_file_is_refused(tmp_path):
    path = tmp_path / "file"
    path.write_text("x")
    for folder in (path, path / "run"):
        with pytest.raises(UserError):
            open_or_create(folder, TINY)
    assert path.read_text() == "x"


def test_a_damaged_config_is_refused(tmp_path):
    (tmp_path / "config.toml").write_text("train = [")
    with pytest.raises(UserError, match="not valid TOML"):
        open_or_create(tmp_path, TINY)


def test_reading_what_is_not_there(tmp_path):
    with pytest.raises(UserError, match="is not a run"):
        Run(tmp_path)
    run, _ = open_or_create(tmp_path, TINY)
    assert run.information() == {}
    assert run.sheets() == {}
    for read, command in (
        (run.trajectory, "conceptspace evaluate"),
        (run.training, "conceptspace run"),
        (run.scores, "conceptspace evaluate"),
    ):
        with pytest.raises(UserError, match=command):
            read()


def test_notes_add_up(tmp_path):
    run, _ = open_or_create(tmp_path, TINY)
    run.note(a=1, b=2)
    run.note(b=3)
    assert run.information() == {"a": 1, "b": 3}
    for content in ("{", "", "[1]", "3", "null"):
        (tmp_path / "run.json").write_text(content)
        with pytest.raises(UserError, match=r"run\.json is damaged .*delete it") as error:
            run.information()
        assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "content", ['{"seconds": "many"}', '{"status": 3}', '{"probe": "x"}', '{"config": 7}']
)
def test_text_in_the_place_of_a_number_is_damage(tmp_path, content):
    run, _ = open_or_create(tmp_path, TINY)
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(UserError, match=r"run\.json is damaged .* is "):
        run.information()


class TestBegin:
    def test_a_config_that_was_changed_is_refused(self, tmp_path):
        run, _ = open_or_create(tmp_path, TINY)
        run.begin()
        path = tmp_path / "config.toml"
        text = path.read_text()
        path.write_text("# a comment\n" + text)
        assert Run(tmp_path).config == TINY
        path.write_text(text.replace("seed = 0", "seed = 7", 1))
        for opened in (lambda: Run(tmp_path).config, lambda: open_or_create(tmp_path, TINY)):
            with pytest.raises(UserError, match=r"config\.toml is not the config with which"):
                opened()

    def test_it_is_done_once(self, tmp_path):
        run, _ = open_or_create(tmp_path, TINY)
        run.begin()
        before = run.information()
        run.begin()
        assert run.information() == before


def test_a_folder_left_by_a_killed_process_will_do(tmp_path):
    (tmp_path / ".lock").touch()
    (tmp_path / ".config.toml.0123456789abcdef.tmp").write_bytes(b"seed")
    run, existed = open_or_create(tmp_path, TINY)
    assert not existed
    assert run.config == TINY


def test_a_run_that_is_being_created_is_not_created_twice(tmp_path):
    with alone(tmp_path), pytest.raises(UserError, match="another process is working on"):
        open_or_create(tmp_path, TINY)
    assert not (tmp_path / "config.toml").exists()


def test_sweeping_leaves_what_is_not_a_leftover(tmp_path):
    kept = ("config.toml", "checkpoints/step-1.json", ".report.html.01.tmp", "mine/.x.01.tmp")
    swept = (".run.json.01.tmp", "checkpoints/.step.02.tmp", "scores/naive/.s.03.tmp")
    for name in (*kept, *swept):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    sweep_leftovers(tmp_path)
    assert {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()} == set(kept)


def test_scores_of_all_protocols_are_joined(tmp_path):
    run, _ = open_or_create(tmp_path, TINY)
    for i, protocol in enumerate(("naive", "other")):
        folder = tmp_path / "scores" / protocol
        folder.mkdir(parents=True)
        pd.DataFrame({"step": [i], "protocol": [protocol]}).to_parquet(
            folder / "step-00000001.parquet"
        )
    assert sorted(run.scores()["protocol"]) == ["naive", "other"]


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" + bytes(100) + b"PAR1", None])
@pytest.mark.parametrize(
    ("name", "read", "remedy"),
    [
        ("trajectory.parquet", Run.trajectory, "conceptspace evaluate {run} --protocol naive"),
        ("training.parquet", Run.training, "conceptspace run --out {run}"),
        (
            "scores/latent-control-random/step-00000004.parquet",
            Run.scores,
            "delete it, .*conceptspace evaluate {run} --protocol latent-control-random",
        ),
    ],
)
def test_a_damaged_table_is_named_with_its_remedy(tmp_path, name, content, read, remedy):
    run, _ = open_or_create(tmp_path, TINY)
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if content is None:  # most of a real one
        pd.DataFrame({"step": range(1000)}).to_parquet(path)
        content = path.read_bytes()[:-30]
    path.write_bytes(content)
    with pytest.raises(UserError, match=remedy.format(run=tmp_path)) as error:
        read(run)
    assert str(error.value).startswith(f"{path} is damaged (")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"{}"])
def test_a_damaged_sheet_is_named_with_its_remedy(tmp_path, content):
    run, _ = open_or_create(tmp_path, TINY)
    path = tmp_path / "samples" / "naive" / "step-00000004.png"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    with pytest.raises(UserError) as error:
        run.sheets()
    message = str(error.value)
    assert message.startswith(f"{path} is damaged; delete ")
    assert str(tmp_path / "scores" / "naive" / "step-00000004.parquet") in message
    assert f"conceptspace evaluate {tmp_path} --protocol naive" in message
