"""What the command refuses, in one line."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
import torch
from asked import PROGRAM, contents, environment, tiny_file

from conceptspace.cli import main
from conceptspace.events import Evaluated
from conceptspace.run_folder import step_name
from conceptspace.store import open_or_create
from tiny import TINY, tiny_session


def must_not_train(*arguments):
    raise AssertionError("it started to train")


class TestRefusals:
    """One line, status 2, nothing on disk."""

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["run", "quick", "--out", "r", "--train.step", "3"], "did you mean --train.steps?"),
            (["run", "--out", "r", "--preset", "quick"], "without a dash: conceptspace run quick"),
            (["quickstart", "--preset", "quick"], "unknown argument --preset"),
            (["run", "quick", "--out", "r", "--nonsense"], "unknown argument --nonsense"),
            (["run", "quick", "--out", "r", "--train.stps=3"], "did you mean --train.steps?"),
            (["run", "quick", "--ot", "r"], "unknown argument --ot; did you mean --out?"),
            (["evaluate", "none", "--protocl", "x"], "did you mean --protocol?"),
            (["reproduce", "fig4"], "did you mean fig04?"),
            (["rnu", "quick"], "invalid choice: 'rnu'; did you mean run?"),
            (["run", "qick", "--out", "r"], "invalid choice: 'qick'; did you mean quick?"),
            (["run", "quick", "--out", "r", "--model.norm", "grop"], "did you mean group?"),
            (
                ["run", "quick", "--out", "r", "--data.concepts", "colr,size"],
                "takes shape or x or y or color or size or background, not 'colr'; did you mean "
                "color?",
            ),
            (["run", "quick", "--out", "r", "--data.kind", "shaps"], "did you mean shapes?"),
            (["run", "quick", "--out", "r", "--protocols.steering.strength", "1"], "strengths"),
            (["run", "quick", "--out", "r", "--train.steps", "many"], "takes a whole number"),
            (["run", "quick", "--out", "r", "--train.steps", "1.5"], "takes a whole number"),
            (["run", "quick", "--out", "r", "--train.learning-rate", "x"], "takes a number"),
            (["run", "quick", "--out", "r", "--model.channels", "8,x"], "takes a whole number"),
            (["run", "quick", "--out", "r", "--data.color-separation", "nan"], "color_separation"),
            (
                ["run", "quick", "--out", "r", "--data.concepts", "hue"],
                "--data.concepts takes shape",
            ),
            (["run", "quick", "--out", "r", "--train.steps", "-5"], "train.steps = -5"),
            (["run", "quick", "--out", "r", "--data.size-separation", "0.9"], "size"),
            (["run", "nosuch", "--out", "r"], "invalid choice: 'nosuch'"),
            (["run", "--out", "r"], "say where to start from"),
            (["run", "quick"], "--out"),
            (
                ["run", "--out", "r", "--config", "none.toml"],
                "cannot read the config file none.toml",
            ),
            (["run", "--out", "r", "--config", "."], "cannot read the config file"),
            (["run", "--out", "r", "--config", "bad.toml"], "bad.toml is not valid TOML"),
            (["run", "--out", "r", "--config", "key.toml"], "did you mean train.steps?"),
            (["run", "--out", "r", "--config", "type.toml"], "train.steps = 'x'"),
            (
                ["run", "--out", "r", "--config", "preset.toml"],
                "preset.toml: there is no preset 'nosuch'; they are quick, paper",
            ),
            (["run", "--out", "r", "--config", "list.toml"], "there is no preset ['quick']"),
            (["signal", "--out", "r", "--config", "preset.toml"], "there is no preset 'nosuch'"),
            (
                ["run", "paper", "--out", "r", "--config", "quick.toml"],
                "quick.toml starts from the preset quick, the command line from paper",
            ),
            (["run", "quick", "--out", "."], "is not a run"),
            (["run", "quick", "--out", "bad.toml"], "is not a run"),
            (["run", "quick", "--out", "bad.toml/r"], "bad.toml"),
            (["run", "quick", "--out", "r", "--device", "tpu"], "invalid choice: 'tpu'"),
            (["run", "quick", "--out", "r", "--precision", "fp8"], "invalid choice: 'fp8'"),
            (["evaluate", "none"], "none is not a run"),
            (["report", "none"], "none is not a run"),
            (["info", "none"], "none is not a run"),
            (["evaluate"], "RUN"),
            (["evaluate", "none", "--train.steps", "3"], "unknown argument --train.steps"),
            (["dance"], "invalid choice: 'dance'"),
            (["--fast"], "unknown argument --fast"),
            (["signal", "nosuch"], "invalid choice: 'nosuch'"),
        ],
    )
    def test_in_one_line(self, tmp_path, monkeypatch, capsys, arguments, message):
        monkeypatch.chdir(tmp_path)
        (tmp_path / "bad.toml").write_text("train = [")
        (tmp_path / "key.toml").write_text("[train]\nstepps = 3")
        (tmp_path / "type.toml").write_text("[train]\nsteps = 'x'")
        (tmp_path / "preset.toml").write_text("preset = 'nosuch'")
        (tmp_path / "list.toml").write_text("preset = ['quick']")
        (tmp_path / "quick.toml").write_text("preset = 'quick'")
        before = contents(tmp_path)
        monkeypatch.setattr("conceptspace.experiment.session.Session.execute", must_not_train)
        assert main(arguments) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert err.startswith("conceptspace: ")
        assert err.count("\n") == 1
        assert message in err
        assert "Traceback" not in err
        assert contents(tmp_path) == before
        assert not (tmp_path / "r").exists()

    @pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
    def test_cuda_without_cuda(self, tmp_path, capsys):
        assert main(["run", "quick", "--out", str(tmp_path / "r"), "--device", "cuda"]) == 2
        assert "no CUDA device" in capsys.readouterr().err
        assert not (tmp_path / "r").exists()

    def test_another_config_in_the_folder(self, tmp_path, capsys):
        folder = tmp_path / "r"
        open_or_create(folder, TINY)
        before = contents(tmp_path)
        arguments = ["run", "--config", str(tiny_file(tmp_path)), "--out", str(folder)]
        before = contents(tmp_path)
        assert main([*arguments, "--train.batch-size", "5"]) == 2
        err = capsys.readouterr().err
        assert "train.batch_size is 4 there, 5 here" in err
        assert err.count("\n") == 1
        assert contents(tmp_path) == before

    def test_a_run_without_checkpoints_cannot_be_evaluated(self, tmp_path, capsys):
        open_or_create(tmp_path / "r", TINY)
        assert main(["evaluate", str(tmp_path / "r")]) == 2
        assert "no checkpoints" in capsys.readouterr().err

    def test_an_unfinished_run_cannot_be_patched(self, tmp_path, capsys, probe_cache_folder):
        """The embeddings of whichever checkpoint came last would be taken for the final ones."""
        folder = tmp_path / "r"
        events = tiny_session(folder, TINY, probe_cache_folder).execute()
        next(e for e in events if isinstance(e, Evaluated) and e.step == 4)
        events.close()
        assert main(["evaluate", str(folder), "--protocol", "patching"]) == 2
        err = capsys.readouterr().err
        assert "a protocol needs the checkpoint of step 9" in err
        assert f"conceptspace run --out {folder}" in err
        assert err.count("\n") == 1

        assert main(["evaluate", str(folder)]) == 0
        assert "patching is left out" in capsys.readouterr().err
        assert not (folder / "scores" / "patching").exists()
        assert (folder / "scores" / "latent-intervention").exists()

        list(tiny_session(folder, TINY, probe_cache_folder).execute())
        assert main(["evaluate", str(folder), "--protocol", "patching"]) == 0
        assert sorted(p.stem for p in (folder / "scores" / "patching").iterdir()) == [
            step_name(step) for step in (0, 4, 9)
        ]

    @pytest.mark.parametrize(
        ("protocol", "message"),
        [
            (
                "patching-5",
                "needs the checkpoint of step 5, and none is planned there; planned are, nearest "
                "to it, those of steps 0, 4, 9",
            ),
            ("fine-tuning-training-lora", "low-rank adapters need the package peft"),
        ],
    )
    def test_what_cannot_be_asked_is_told_before_the_training(
        self, tmp_path, monkeypatch, capsys, protocol, message
    ):
        monkeypatch.setitem(sys.modules, "peft", None)
        monkeypatch.setattr("conceptspace.experiment.session.Session.execute", must_not_train)
        config, folder = tiny_file(tmp_path), tmp_path / "r"
        asked = ["--config", str(config), "--out", str(folder), "--evaluate.protocols", protocol]
        assert main(["run", *asked]) == 2
        err = capsys.readouterr().err
        assert message in err
        assert err.count("\n") == 1
        assert not folder.exists()

    def test_a_step_that_is_not_planned_is_no_reason_to_go_on(
        self, tmp_path, capsys, probe_cache_folder
    ):
        list(tiny_session(tmp_path / "r", TINY, probe_cache_folder).execute())
        assert main(["evaluate", str(tmp_path / "r"), "--protocol", "patching-5"]) == 2
        assert "step 5, and none is planned there" in capsys.readouterr().err

    def test_exit_status_of_the_program(self, tmp_path):
        done = subprocess.run(
            [*PROGRAM, "run", "quick", "--out", str(tmp_path / "r"), "--train.step", "3"],
            capture_output=True,
            text=True,
            env=environment(),
            check=False,
        )
        assert done.returncode == 2
        assert done.stdout == ""
        assert re.fullmatch(r"conceptspace: .*did you mean --train\.steps\?\n", done.stderr)


def test_a_path_in_a_hint_is_quoted(tmp_path, capsys):
    folder = tmp_path / "my runs"
    open_or_create(folder, TINY)
    assert main(["evaluate", str(folder)]) == 2
    assert f"run: conceptspace run --out '{folder}'" in capsys.readouterr().err
