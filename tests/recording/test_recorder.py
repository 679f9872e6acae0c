"""A foreign model is recorded, interrupted, resumed and reported like any run."""

from __future__ import annotations

import hashlib
import json
import shutil
import threading
import tomllib
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import jaxtyping
import numpy as np
import pandas as pd
import pytest
import torch
from foreign import SIZE, SPACE, Painter, judge, patches, training

from conceptspace.analysis.emergence import find_emergence
from conceptspace.cli import main
from conceptspace.contact_sheet import read_sheet
from conceptspace.errors import Diverged, UserError
from conceptspace.files import read_record, read_table, write_table
from conceptspace.locking import alone
from conceptspace.presentation.explorer.library import Library
from conceptspace.presentation.explorer.server import listen, server
from conceptspace.protocols.guidance import Guidance
from conceptspace.protocols.intervention import LatentIntervention
from conceptspace.protocols.naive import Naive
from conceptspace.protocols.overprompting import Overprompting
from conceptspace.recording.recorder import Recorder
from conceptspace.recording.space import read_space
from conceptspace.store import Run
from conceptspace.worlds.naming import SpacePrompts, named_space

LOUDER = Overprompting(SpacePrompts(SPACE), "hue", (1.5, 2.5))
STEPS = range(0, 100, 2)
PICTURES = {c: patches(c, 1)[0] for c in SPACE.classes}


def recorder(folder: Path | str, **changes) -> Recorder:
    arguments = {"world": SPACE, "judge": judge, "protocols": [LOUDER], "samples": 4}
    return Recorder(folder, **(arguments | {"steps": STEPS, "pictures": PICTURES} | changes))


def record(folder: Path, steps: int, stop_at: int = 0, **changes) -> int:
    """Train for some steps and record; returns how often the model was called to record."""
    calls = 0
    with recorder(folder, **changes) as opened:
        for step, model, loss in training(steps):
            if step in opened.steps:
                opened.checkpoint(step, model, loss=loss)
            calls = model.calls
            if step == stop_at:
                raise KeyboardInterrupt
    return calls


def half(images: torch.Tensor) -> torch.Tensor:
    """A judge that cannot say."""
    return torch.full((len(images), 2), 0.5)


@contextmanager
def unchecked() -> Iterator[None]:
    """Without the tests' own checks of types, which see sooner what is refused."""
    jaxtyping.config.update("jaxtyping_disable", True)
    try:
        yield
    finally:
        jaxtyping.config.update("jaxtyping_disable", False)


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


class TestWhatIsRefused:
    @pytest.mark.parametrize(
        ("made", "message"),
        [
            (lambda p, n: torch.zeros(len(p), 3, 4), r"not float32 of shape \(4, 3, 4\)"),
            (lambda p, n: torch.zeros(2, 3, 4, 4), r"not float32 of shape \(2, 3, 4, 4\)"),
            (lambda p, n: torch.zeros(len(p), 3, 4, 4, dtype=torch.uint8), "not uint8"),
            (lambda p, n: torch.full((len(p), 3, 4, 4), 255.0), "divide bytes by 255"),
            (lambda p, n: torch.full((len(p), 3, 4, 4), -1.0), r"take \(x \+ 1\) / 2"),
            (lambda p, n: [1], "not list"),
            ("text", "is called with prompts and noise"),
        ],
    )
    def test_what_makes_no_images(self, tmp_path, made, message):
        with recorder(tmp_path / "run") as opened, pytest.raises(UserError, match=message):
            opened.checkpoint(2, made)

    def test_images_that_are_not_finite(self, tmp_path):
        with pytest.raises(Diverged, match="not finite"), recorder(tmp_path / "run") as opened:
            opened.checkpoint(2, lambda p, n: torch.full((len(p), 3, 4, 4), float("nan")))
        assert Run(tmp_path / "run").information()["status"] == "diverged"

    @pytest.mark.parametrize(
        ("protocol", "message"),
        [
            (Guidance([3.0]), "guidance needs a model with a null prompt"),
            (
                LatentIntervention(SpacePrompts(SPACE), "hue", "side", [1.0], [1.0]),
                "latent-intervention needs a model with condition embeddings that can be edited",
            ),
        ],
    )
    def test_a_model_without_the_ability_that_a_protocol_needs(self, tmp_path, protocol, message):
        with recorder(tmp_path / "run", protocols=[protocol]) as opened:
            with pytest.raises(UserError, match=message) as refused:
                opened.checkpoint(2, Painter())
            assert "Painter" in str(refused.value)
            assert opened.recorded == ()

    def test_prompts_that_a_protocol_cannot_change(self, tmp_path):
        encode = lambda name, count: [SPACE.describe(name)] * count  # noqa: E731
        message = "prompts that are vectors, and these are texts"
        opened = recorder(tmp_path / "run", prompts=encode)
        with opened, pytest.raises(UserError, match=message):
            opened.checkpoint(2, lambda prompts, noise: patches("00", len(prompts)))

    @pytest.mark.parametrize("prompts", [lambda c, n: torch.zeros(n + 1, 2), lambda c, n: "red"])
    def test_prompts_of_another_number(self, tmp_path, prompts):
        with pytest.raises(UserError, match="the prompts of class 00 are 4 rows"):
            recorder(tmp_path / "run", prompts=prompts)

    @pytest.mark.parametrize("step", [-1, 1.5, "2", None, True, 10**400])
    def test_steps_that_are_none(self, tmp_path, step):
        with recorder(tmp_path / "run") as opened, pytest.raises(UserError, match="whole number"):
            opened.checkpoint(step, Painter())

    @pytest.mark.parametrize("steps", [7, (step for step in range(9))])
    def test_plans_that_cannot_say_which_steps_they_have(self, tmp_path, steps):
        with unchecked(), pytest.raises(UserError, match="steps is a collection that says which"):
            recorder(tmp_path / "run", steps=steps)

    @pytest.mark.parametrize("batch_size", [0, -3, True, 2.0])
    def test_batches_of_no_images(self, tmp_path, batch_size):
        message = f"batch_size is a whole number from 1 on, not {batch_size}"
        with unchecked(), pytest.raises(UserError, match=message):
            recorder(tmp_path / "run", batch_size=batch_size)

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"samples": 0}, "samples = 0 is not possible"),
            ({"samples": True}, "samples = True is not possible"),
            ({"seed": -1}, "seed = -1 is not possible"),
            ({"seed": 0.5}, "seed = 0.5 is not possible"),
        ],
    )
    def test_numbers_out_of_bounds(self, tmp_path, changes, message):
        with unchecked(), pytest.raises(UserError, match=message):
            recorder(tmp_path / "run", **changes)

    @pytest.mark.parametrize("value", [float("inf"), np.float32("nan"), (0.9, 0.99), None, {}])
    def test_settings_that_cannot_be_stored(self, tmp_path, value):
        with unchecked(), pytest.raises(UserError) as refused:
            recorder(tmp_path / "run", settings={"lr": value})
        assert "the setting 'lr' is " in str(refused.value)
        assert "are text, finite numbers, or true or false" in str(refused.value)
        assert "boolean" not in str(refused.value)

    def test_images_of_two_sizes(self, tmp_path):
        sizes = iter([4, 4, 6, 4])
        model = lambda p, n: torch.zeros(len(p), 3, 4, next(sizes))  # noqa: E731
        with recorder(tmp_path / "run", protocols=[], judge=half) as opened:
            message = "class 00 are of 4 × 4 pixels and those of class 10 of 4 × 6 pixels"
            with pytest.raises(UserError, match=message):
                opened.checkpoint(2, model)
        assert opened.recorded == ()
        assert not (tmp_path / "run" / "samples").exists()

    def test_images_of_another_size_than_those_that_are_there(self, tmp_path):
        with recorder(tmp_path / "run", protocols=[], judge=half) as opened:
            opened.checkpoint(2, lambda p, n: torch.zeros(len(p), 3, 4, 4))
            file = tmp_path / "run/scores/naive/step-00000002.parquet"
            table = read_table(file, "")
            write_table(file, table[table["concept_class"] != "10"])
            with pytest.raises(UserError, match="class 10 are 6 pixels wide or high, and those in"):
                opened.checkpoint(2, lambda p, n: torch.zeros(len(p), 3, 6, 6))

    def test_a_checkpoint_outside_of_the_block(self, tmp_path):
        with pytest.raises(UserError, match="inside `with Recorder"):
            recorder(tmp_path / "run").checkpoint(2, Painter())

    def test_metrics_without_a_loss_and_metrics_that_are_none(self, tmp_path):
        painter = Painter()
        with recorder(tmp_path / "run", protocols=[]) as opened:
            with pytest.raises(UserError, match="need a loss beside them"):
                opened.checkpoint(2, painter, grad_norm=1.0)
            with pytest.raises(UserError, match="loss of step 2 is 'low', not a number"):
                opened.checkpoint(2, painter, loss="low")
            with pytest.raises(Diverged, match="loss of step 2 is nan"):
                opened.checkpoint(2, painter, loss=float("nan"))
        assert painter.calls == 0
        assert opened.recorded == ()
        assert not (tmp_path / "run" / "samples").exists()

    def test_protocols_of_one_name(self, tmp_path):
        with pytest.raises(UserError, match="two protocols are called overprompting-hue"):
            recorder(tmp_path / "run", protocols=[LOUDER, LOUDER])

    def test_naive_prompting_is_there_once(self, tmp_path):
        assert list(recorder(tmp_path, protocols=[Naive()]).description.protocols) == ["naive"]

    def test_a_folder_of_other_things(self, tmp_path):
        (tmp_path / "thesis.tex").write_text("mine")
        with pytest.raises(UserError, match="exists and is not a run"), recorder(tmp_path):
            pass
        assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


def test_images_of_other_shapes_are_kept_square_and_in_color(tmp_path):
    with recorder(
        tmp_path / "run", protocols=[], judge=lambda x: torch.full((4, 2), 0.5)
    ) as opened:
        opened.checkpoint(2, lambda prompts, noise: torch.zeros(len(prompts), 1, 4, 6))
    _, sheet = read_sheet(tmp_path / "run/samples/naive/step-00000002.png")
    assert (sheet.tile, sheet.columns) == (6, 4)


@pytest.fixture(scope="module")
def seeds(tmp_path_factory):
    folder = tmp_path_factory.mktemp("seeds")
    for seed in (0, 1):
        record(folder / f"narrow-{seed}", 8, seed=seed, settings={"width": 8})
    return folder


class TestPages:
    def test_the_command_line_reports_and_tells(self, seeds, capsys):
        run = seeds / "narrow-0"
        assert main(["report", str(run)]) == 0
        output = capsys.readouterr().out
        assert '"blue right"' in output
        assert "Training classes end with a joint accuracy" in output
        page = (run / "report.html").read_text()
        assert "overprompting-hue" in page
        assert main(["info", str(run)]) == 0
        output = capsys.readouterr().out
        assert "finished" in output
        assert "naive, overprompting-hue" in output

    def test_serve_answers_everything_that_its_page_asks(self, recorded):
        opened = listen("127.0.0.1", 0, "")
        running = server(Library([recorded]), opened, "")
        thread = threading.Thread(target=running.run, kwargs={"sockets": [opened]}, daemon=True)
        thread.start()
        base = f"http://127.0.0.1:{opened.getsockname()[1]}"

        def asked(path: str) -> bytes:
            with urllib.request.urlopen(base + path, timeout=60) as answer:
                return answer.read()

        try:
            assert b"<html" in asked("/")
            (shown,) = json.loads(asked("/api/index"))["runs"]
            token = shown["token"]
            for path in ("trajectories", "findings"):
                assert b"11" in asked(f"/api/{path}?runs={token}")
            assert json.loads(asked(f"/api/turns?runs={token}"))["problems"] == []
            assert LOUDER.name in json.loads(asked(f"/api/settings/{token}"))["protocols"]
            assert json.loads(asked(f"/api/details/{token}"))["training"]["step"] == [2, 4, 6, 8]
            for protocol in ("naive", LOUDER.name):
                assert asked(f"/api/images/{token}/{protocol}/4").startswith(b"\x89PNG")
            assert asked(f"/api/table.parquet?runs={token}").startswith(b"PAR1")
        finally:
            running.should_exit = True
            thread.join()
            opened.close()

    def test_seeds_stand_together_and_settings_apart(self, seeds, tmp_path, capsys):
        assert main(["report", str(seeds), "-o", str(tmp_path / "p.html")]) == 0
        assert "means of 2 seeds" in capsys.readouterr().out
        record(seeds / "wide-0", 8, seed=0, settings={"width": 32})
        assert main(["report", str(seeds), "-o", str(tmp_path / "q.html")]) == 0
        output = capsys.readouterr().out
        assert "Width 8:" in output
        assert "Width 32:" in output

    def test_without_pictures_and_loss_there_is_a_page_all_the_same(self, tmp_path, capsys):
        with recorder(tmp_path / "run", pictures=None) as opened:
            for step, model, _ in training(4):
                opened.checkpoint(step, model)
        assert main(["report", str(tmp_path / "run")]) == 0
        assert not (tmp_path / "run" / "classes").exists()

    def test_one_concept_has_a_page_without_what_needs_two(self, tmp_path, capsys):
        space = named_space({"hue": ("red", "green", "blue")}, [("blue",)])

        def colors(images):
            light = images.mean((2, 3))
            return {"hue": light / light.sum(1, keepdim=True)}

        def model(step):  # what is held out is red at first
            shown = torch.eye(3)
            shown[2] = torch.tensor([1.0, 0, 0]) if step < 5 else torch.tensor([0, 0, 1.0])
            return lambda prompts, noise: (
                (prompts @ shown)[..., None, None].expand(-1, -1, 4, 4)
                * (1 - 0.1 * noise(1).sigmoid()[:, :, None, None])
            )

        for seed in (0, 1):
            arguments = {"world": space, "judge": colors, "protocols": [], "pictures": None}
            with recorder(tmp_path / f"run-{seed}", seed=seed, **arguments) as opened:
                for step in range(1, 12):
                    opened.checkpoint(step, model(step), loss=1 / step)
        assert main(["report", str(tmp_path), "-o", str(tmp_path / "page.html")]) == 0
        said = capsys.readouterr().out
        assert "2 (blue) is taken for 0 (red) in 2 of 2 seeds" in said
        assert "joint accuracy on 2 reaches 0.8 at step 5" in said
        assert "leans" not in said
        assert main(["report", str(tmp_path / "run-0")]) == 0

    def test_a_lost_space_is_reported(self, tmp_path, capsys):
        record(tmp_path / "run", 2)
        (tmp_path / "run" / "space.json").unlink()
        assert main(["report", str(tmp_path / "run")]) != 0
        assert "its space.json is missing" in capsys.readouterr().err
        record(tmp_path / "run", 2)
        assert main(["report", str(tmp_path / "run")]) == 0

    def test_a_changed_space_is_reported(self, tmp_path, capsys):
        record(tmp_path / "run", 2)
        path = tmp_path / "run" / "space.json"
        path.write_text(path.read_text().replace("red", "rot"))
        assert main(["report", str(tmp_path / "run")]) != 0
        assert "space.json is damaged" in capsys.readouterr().err


@pytest.mark.parametrize("given", [["loud"], [[1, 2]], [Overprompting]])
def test_what_is_no_protocol_is_refused(tmp_path, given):
    expected = r"a protocol is an object with a name, and a method .* is none"
    with unchecked(), pytest.raises(UserError, match=expected):
        recorder(tmp_path / "mine", protocols=given)
    assert not (tmp_path / "mine").exists()
