"""A foreign model is recorded, interrupted, resumed and reported like any run."""

from __future__ import annotations

import hashlib
import shutil
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from foreign import (
    LOUDER,
    SIZE,
    SPACE,
    Painter,
    judge,
    patches,
    record,
    recorder,
    training,
    unchecked,
)

from conceptspace.analysis.emergence import find_emergence
from conceptspace.cli import main
from conceptspace.contact_sheet import read_sheet
from conceptspace.errors import UserError
from conceptspace.files import read_record, read_table, write_table
from conceptspace.locking import alone
from conceptspace.recording.space import read_space
from conceptspace.store import Run
from conceptspace.worlds.naming import named_space


def contents(folder: Path) -> dict[str, str]:
    """SHA-256 of everything that holds results."""
    found = [p for p in folder.rglob("*") if p.is_file() and p.name not in ("run.json", ".lock")]
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in found}


@pytest.fixture(scope="module")
def recorded(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("recorded") / "mine"
    record(folder, 8)
    return folder


def test_a_recording_of_a_newer_version_names_both(recorded, tmp_path):
    folder = shutil.copytree(recorded, tmp_path / "mine")
    text = (folder / "config.toml").read_text()
    own = tomllib.loads(text)["version"]
    (folder / "config.toml").write_text("warmup = 3\n" + text.replace(own, "99.1", 1))
    with pytest.raises(UserError, match=r"no setting warmup; conceptspace 99\.1 wrote it") as error:
        _ = Run(folder).description
    assert own in str(error.value)


def test_every_class_is_asked_under_every_protocol(recorded):
    table = Run(recorded).trajectory()
    assert set(table["step"]) == {2, 4, 6, 8}
    assert set(table["protocol"]) == {"naive", "overprompting-hue"}
    naive = table[table["protocol"] == "naive"]
    assert set(naive["concept_class"]) == {"00", "01", "10", "11"}
    assert set(table["samples"]) == {4}
    louder = table[table["protocol"] == "overprompting-hue"]
    assert set(louder["concept_class"]) == {"11"}
    assert set(louder["setting"]) == {"1.5", "2.5"}


def test_the_folder_tells_what_pages_need(recorded):
    assert read_space(recorded) == SPACE
    assert {p.stem for p in recorded.glob("classes/*.png")} == {"00", "01", "10", "11"}
    information = read_record(recorded / "run.json")
    assert (information["status"], information["judge"]) == ("finished", "judge")
    step, sheet = read_sheet(recorded / "samples" / "naive" / "step-00000004.png")
    assert (step, sheet.tile, sheet.columns, len(sheet.rows)) == (4, SIZE, 4, 4)
    assert list(Run(recorded).training()["step"]) == [2, 4, 6, 8]


def test_scores_are_those_of_the_judge(recorded, tmp_path):
    scores = Run(recorded).scores()
    one = scores[(scores["step"] == 8) & (scores["protocol"] == "naive")]
    for _, row in one.iterrows():
        bit = row["concept_class"][SPACE.names.index(row["concept"])]
        assert row["accuracy"] == pytest.approx(
            row["coordinate"] if bit == "1" else 1 - row["coordinate"]
        )
    made = []
    watched = lambda images: made.append(images) or judge(images)  # noqa: E731
    watched.__qualname__ = "judge"
    with recorder(tmp_path / "run", judge=watched) as opened:
        opened.checkpoint(2, lambda prompts, noise: patches("11", len(prompts)))
    assert torch.equal(made[0], patches("11", 4))
    table = Run(tmp_path / "run").trajectory().set_index(["concept_class", "concept", "setting"])
    assert table.loc[("11", "joint", ""), "accuracy"] == pytest.approx(1)
    assert table.loc[("00", "joint", ""), "accuracy"] == pytest.approx(0)


@pytest.mark.usefixtures("unrendered")
def test_where_there_is_no_probe_nothing_is_said_of_one(tmp_path, capsys):
    valid = torch.ones(4, dtype=torch.bool)
    with recorder(tmp_path / "run", judge=lambda images: (judge(images), valid)) as opened:
        for step, model, _ in training(4):
            opened.checkpoint(step, model)
    assert Run(tmp_path / "run").information()["probe_agreement"] == {}
    assert set(Run(tmp_path / "run").trajectory()["valid"]) == {1.0}
    assert main(["report", str(tmp_path / "run")]) == 0
    assert "agrees with the judge" not in capsys.readouterr().out


def test_an_interrupted_recording_goes_on_and_asks_nothing_twice(recorded, tmp_path):
    folder = tmp_path / "mine"
    with pytest.raises(KeyboardInterrupt):
        record(folder, 8, stop_at=5)
    assert Run(folder).information()["status"] == "stopped"
    assert recorder(folder).recorded == (2, 4)
    assert record(folder, 8) == 2 * (4 + 2)  # steps 6 and 8: four classes, two settings of one
    assert record(folder, 8) == 0
    assert contents(folder) == contents(recorded)
    assert Run(folder).information()["status"] == "finished"


def test_a_folder_that_was_renamed_goes_on_as_one_run(recorded, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        record(tmp_path / "old", 8, stop_at=5)
    folder = (tmp_path / "old").rename(tmp_path / "mine")
    run = Run(folder)
    assert set(run.trajectory()["run"]) == set(run.scores()["run"]) == {"mine"}
    record(folder, 8)
    assert set(read_table(folder / "trajectory.parquet", "")["run"]) == {"mine"}
    pd.testing.assert_frame_equal(run.trajectory(), Run(recorded).trajectory())
    find_emergence(run.trajectory(), "11")
    file = folder / "scores/naive/step-00000002.parquet"
    part = read_table(file, "")
    write_table(file, part[part["concept_class"] != "11"])
    record(folder, 8)
    assert set(read_table(file, "")["run"]) == {"mine"}


def test_a_crash_between_scores_and_trajectory_is_mended(recorded, tmp_path):
    folder = tmp_path / "mine"
    record(folder, 8)
    (folder / "trajectory.parquet").unlink()
    with recorder(folder):
        pass
    assert contents(folder) == contents(recorded)


def test_recording_does_not_change_the_training(tmp_path):
    plain = [loss for _, _, loss in training(6)]
    with recorder(tmp_path / "run") as opened:
        watched = []
        for step, model, loss in training(6):
            watched.append(loss)
            opened.checkpoint(step, model)
            assert model.training
    assert watched == plain


@pytest.mark.parametrize("steps", [None, {4}, frozenset([4]), [4], range(4, 9, 8)])
@pytest.mark.parametrize("counted", [np.arange(1, 5), torch.arange(1, 5)])
def test_steps_of_numpy_and_pytorch_are_recorded(tmp_path, steps, counted):
    with recorder(tmp_path / "run", protocols=[], steps=steps) as opened:
        for step in counted:
            if step in opened.steps:
                opened.checkpoint(step, Painter())
    assert opened.recorded == (4,)


def test_numbers_of_numpy_are_those_of_python(tmp_path):
    one = {"seed": 1, "samples": 2, "settings": {"width": 8, "lr": 0.5}}
    other = {"seed": np.int64(1), "samples": np.int32(2), "batch_size": np.int64(3)}
    other |= {"settings": {"width": np.int64(8), "lr": np.float32(0.5)}}
    with unchecked():
        assert recorder(tmp_path, **one).description == recorder(tmp_path, **other).description


def test_the_folder_stays_where_it_is_when_the_working_directory_changes(tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    with recorder("runs/mine", protocols=[]) as opened:
        opened.checkpoint(2, Painter(), loss=0.1)
        monkeypatch.chdir(tmp_path / "elsewhere")
        opened.checkpoint(4, Painter(), loss=0.1)
        assert opened.recorded == (2, 4)
    assert list((tmp_path / "elsewhere").iterdir()) == []
    assert list(Run(tmp_path / "runs/mine").training()["step"]) == [2, 4]


def test_steps_of_nine_digits_come_last(tmp_path):
    late = (10**7, 10**8 - 1, 10**8, 10**9)
    with recorder(tmp_path / "run", protocols=[], steps=late) as opened:
        for step in reversed(late):
            opened.checkpoint(step, Painter())
    assert opened.recorded == late
    run = Run(tmp_path / "run")
    assert tuple(run.sheets()) == late
    assert tuple(run.scores()["step"].unique()) == late
    assert tuple(run.trajectory()["step"].unique()) == late


@pytest.mark.parametrize("batch_size", [1, 3])
def test_batches_change_nothing(recorded, tmp_path, batch_size):
    record(tmp_path / "mine", 8, batch_size=batch_size)
    scores = Run(tmp_path / "mine").scores()
    pixels = read_sheet(tmp_path / "mine/samples/naive/step-00000008.png")[1].content()
    assert pixels == read_sheet(recorded / "samples/naive/step-00000008.png")[1].content()
    assert scores["accuracy"].to_numpy() == pytest.approx(
        Run(recorded).scores()["accuracy"].to_numpy(), abs=1e-5
    )


def test_noise_depends_on_seed_class_and_sample_alone(tmp_path):
    seen: dict[str, list[torch.Tensor]] = {}

    def silent(images):
        return torch.full((len(images), 2), 0.5)

    def listening(name):
        def model(prompts, noise):
            seen.setdefault(name, []).append(noise(5))
            return torch.rand(len(prompts), 1, 4, 4)

        return model

    for name, changes in {"a": {}, "more": {"samples": 6}, "seed": {"seed": 1}}.items():
        with recorder(tmp_path / name, protocols=[], judge=silent, **changes) as opened:
            opened.checkpoint(2, listening(name))
            opened.checkpoint(4, listening(f"{name} later"))
    assert all(torch.equal(x, y) for x, y in zip(seen["a"], seen["a later"], strict=True))
    assert all(torch.equal(x, y[:4]) for x, y in zip(seen["a"], seen["more"], strict=True))
    assert not torch.equal(seen["a"][0], seen["seed"][0])
    assert not torch.equal(seen["a"][0], seen["a"][1])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": 1}, "seed is 0 there, 1 here"),
        ({"samples": 5}, "samples is 4 there, 5 here"),
        ({"protocols": []}, "protocols.overprompting-hue is ('1.5', '2.5') there, missing here"),
        ({"protocols": [replace(LOUDER, strengths=(3.0,))]}, "there, ('3',) here"),
        ({"settings": {"width": 8}}, "training.width is missing there, 8 here"),
        (
            {"world": named_space({"hue": ("red", "blue"), "side": ("left", "up")}, [])}
            | {"protocols": [], "pictures": None},
            "concepts.side is ('left', 'right') there, ('left', 'up') here",
        ),
    ],
)
def test_a_folder_of_another_recording_is_refused(recorded, changes, message):
    with pytest.raises(UserError) as refused, recorder(recorded, **changes):
        pass
    assert message in str(refused.value)


def test_a_space_of_the_same_names_but_other_numbers_is_refused(recorded):
    hue = replace(SPACE.concepts[0], means=((0.0,), (0.9,)))
    other = replace(SPACE, concepts=(hue, SPACE.concepts[1]))
    with (
        pytest.raises(UserError, match="whose values have other numbers"),
        recorder(recorded, world=other),
    ):
        pass


def test_only_one_recorder_at_a_time(tmp_path):
    first, second = (recorder(tmp_path / "run") for _ in range(2))
    with first, pytest.raises(UserError, match="another process"):
        second.__enter__()
    with alone(tmp_path / "run"):  # and it is free afterwards
        pass


def test_a_trained_run_is_no_recording(recorded, capsys):
    assert main(["evaluate", str(recorded)]) == 2
    error = capsys.readouterr().err
    assert "was recorded from a model that is not kept in it" in error
    assert main(["run", "quick", "--out", str(recorded)]) == 2
    assert "holds a run that was recorded, not one that is trained here" in capsys.readouterr().err


def test_images_of_other_shapes_are_kept_square_and_in_color(tmp_path):
    with recorder(
        tmp_path / "run", protocols=[], judge=lambda x: torch.full((4, 2), 0.5)
    ) as opened:
        opened.checkpoint(2, lambda prompts, noise: torch.zeros(len(prompts), 1, 4, 6))
    _, sheet = read_sheet(tmp_path / "run/samples/naive/step-00000002.png")
    assert (sheet.tile, sheet.columns) == (6, 4)
