"""The command line: what it refuses, what it says, and a whole run."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch

from conceptspace.cli import main
from conceptspace.cli.parser import EXAMPLES, parsed
from conceptspace.cli.settings import STORED, settings, stored
from conceptspace.config import field_names, load
from conceptspace.events import Evaluated
from conceptspace.presets import quick
from conceptspace.run_folder import step_name
from conceptspace.store import Run, open_or_create
from conceptspace.training import checkpoint
from tiny import TINY, tiny_config, tiny_session

PROGRAM = [sys.executable, "-m", "conceptspace"]


def environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1"}


def contents(folder: Path) -> dict[str, bytes]:
    found = {p for p in folder.rglob("*") if p.is_file()}
    return {str(p.relative_to(folder)): p.read_bytes() for p in found}


def tiny_file(folder: Path, **changes) -> Path:
    path = folder / "tiny.toml"
    path.write_text(tiny_config(**changes).to_toml())
    return path


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


class TestHelp:
    @pytest.mark.parametrize("command", [None, *EXAMPLES])
    def test_shows_an_example(self, capsys, command):
        with pytest.raises(SystemExit) as stopped:
            main([*([command] if command else []), "--help"])
        assert stopped.value.code == 0
        out = " ".join(capsys.readouterr().out.split())
        assert "example: " + EXAMPLES[command or "quickstart"] in out

    @pytest.mark.parametrize("command", EXAMPLES)
    def test_examples_can_be_parsed(self, command):
        example = re.search(r"conceptspace ([^)]*)", EXAMPLES[command])
        assert parsed(example[1].split()).command == command

    @pytest.mark.parametrize("command", ["run", "quickstart", "signal"])
    def test_every_setting_is_a_flag_with_its_description(self, capsys, command):
        with pytest.raises(SystemExit):
            main([command, "--help"])
        out = " ".join(capsys.readouterr().out.split())
        for name, info in field_names().items():
            if name != "preset":
                assert f"--{name.replace('_', '-')} " in out
                assert " ".join(info.description.split()[:2]) in out

    def test_values_defaults_and_choices(self, capsys):
        with pytest.raises(SystemExit):
            main(["run", "--help"])
        out = " ".join(capsys.readouterr().out.split())
        assert (
            "--train.steps N Gradient steps (1 to 1000000000). [quick: 4200, paper: 20000]" in out
        )
        assert "--train.checkpoint-schedule {sqrt,linear,log,explicit}" in out
        assert "--train.weight-decay X AdamW weight decay (0 to 10000). [default: 0.01]" in out
        assert "--model.channels N,..." in out
        assert "One or more of shape, x, y, color, size, background. " in out
        assert "--protocols.steering.strengths X,..." in out

    def test_descriptions_of_settings_are_those_of_the_models(self):
        assert stored() == settings(), f"refresh {STORED}: make settings"

    def test_settings_of_a_kind_that_is_named(self, capsys):
        """They come from its model, whose code is imported."""
        with pytest.raises(SystemExit):
            main(["run", "--data.kind", "celeba", "--help"])
        out = " ".join(capsys.readouterr().out.split())
        assert "--data.attributes TEXT,..." in out

    def test_without_arguments_is_help(self, capsys):
        assert main([]) == 0
        assert "COMMAND" in capsys.readouterr().out

    def test_version(self, capsys):
        with pytest.raises(SystemExit):
            main(["--version"])
        assert re.fullmatch(r"conceptspace \d+\.\d+.*\n", capsys.readouterr().out)

    @pytest.mark.parametrize(
        "arguments", [["--help"], ["--version"], *([name, "--help"] for name in EXAMPLES)], ids=str
    )
    def test_is_fast_because_it_imports_little(self, arguments):
        code = (
            "import sys\nfrom conceptspace.cli import main\n"
            f"try: main({arguments!r})\nexcept SystemExit: pass\n"
            "slow = {'torch', 'pandas', 'pydantic', 'numpy', 'fsspec'} & set(sys.modules)\n"
            "print('slow:', sorted(slow))"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
        assert done.stdout.endswith("slow: []\n")


class TestConfig:
    def stored(self, tmp_path, monkeypatch, *arguments):
        """The config that a run would have, without the run."""
        from conceptspace.experiment.session import Session

        monkeypatch.setattr(Session, "execute", lambda *a: iter(()))
        monkeypatch.setattr("conceptspace.cli.commands._report", lambda *a: None)
        folder = tmp_path / "r"
        assert main(["run", *arguments, "--out", str(folder)]) == 0
        return Run(folder).config

    def test_flags_override_the_file_and_the_file_the_preset(self, tmp_path, monkeypatch):
        path = tmp_path / "c.toml"
        path.write_text("seed = 5\n[train]\nsteps = 50\nbatch_size = 3\nfirst_checkpoint = 1\n")
        config = self.stored(
            tmp_path, monkeypatch, "quick", "--config", str(path), "--train.steps", "60"
        )
        assert (config.train.steps, config.train.batch_size, config.seed) == (60, 3, 5)
        assert config.train.clip_norm == quick().train.clip_norm
        assert config.data == quick().data

    def test_values_of_every_kind(self, tmp_path, monkeypatch):
        config = self.stored(
            tmp_path,
            monkeypatch,
            *["quick", "--seed=4", "--data.concepts", "shape,color", "--model.channels", "8, 16"],
            *["--train.learning-rate", "1e-4", "--model.norm", "layer", "--data.conditioned", ""],
            *["--evaluate.protocols", "overprompting-color"],
        )
        assert config.seed == 4
        assert config.data.concepts == ("shape", "color")
        assert config.data.conditioned == ()
        assert config.model.channels == (8, 16)
        assert config.train.learning_rate == 1e-4
        assert config.model.norm == "layer"

    def test_a_preset_named_in_the_file_is_where_it_starts(self, tmp_path, monkeypatch):
        path = tmp_path / "c.toml"
        path.write_text("preset = 'paper'\nseed = 5\n")
        config = self.stored(tmp_path, monkeypatch, "--config", str(path))
        assert config.preset == "paper"
        assert config.train.steps == 20_000
        assert config.data.resolution == 32
        again = self.stored(tmp_path, monkeypatch, "paper", "--config", str(path))
        assert again == config

    @pytest.mark.parametrize("preset", ["quick", "paper"])
    def test_a_saved_config_is_the_same_run(self, tmp_path, monkeypatch, preset):
        config = self.stored(tmp_path, monkeypatch, preset, "--seed=4", "--train.steps=9999")
        saved = tmp_path / "saved.toml"
        (tmp_path / "r" / "config.toml").rename(saved)
        assert self.stored(tmp_path, monkeypatch, "--config", str(saved)) == config

    def test_flags_on_a_run_start_from_its_own_config(self, tmp_path, monkeypatch, capsys):
        """Repeating one resumes; a new value is refused, and it alone is named."""
        first = ["quick", "--seed=4", "--data.color-separation", "0.37"]
        config = self.stored(tmp_path, monkeypatch, *first)
        for same in ([], ["--seed=4"], first, ["--data.color-separation=0.37"]):
            assert self.stored(tmp_path, monkeypatch, *same) == config
            assert "continuing the run" in capsys.readouterr().err
        assert main(["run", "--out", str(tmp_path / "r"), "--seed=5"]) == 2
        assert "(seed is 4 there, 5 here)" in capsys.readouterr().err
        assert main(["run", "quick", "--out", str(tmp_path / "r"), "--seed=4"]) == 2
        assert "(data.color_separation is 0.37 there" in capsys.readouterr().err


class TestWithoutTheRun:
    """What is printed can be used, and nothing is made."""

    def test_a_printed_config_is_the_same_run(self, tmp_path, capsys):
        flags = ["--seed=4", "--train.steps", "5000", "--evaluate.protocols", "steering-color"]
        assert main(["run", "quick", "--print-config", *flags]) == 0
        printed = tmp_path / "printed.toml"
        printed.write_text(capsys.readouterr().out)
        assert main(["run", "--config", str(printed), "--print-config"]) == 0
        assert capsys.readouterr().out == printed.read_text()
        config = load(printed, quick())
        assert (config.seed, config.train.steps, config.preset) == (4, 5000, "quick")
        assert "steering" in config.protocols

    @pytest.mark.parametrize("command", ["quickstart", "signal"])
    def test_a_config_of_other_commands(self, command, capsys, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        assert main([command, "--print-config"]) == 0
        assert capsys.readouterr().out == quick().text()
        assert not list(tmp_path.iterdir())

    @pytest.mark.parametrize(
        ("cores", "device", "processes"), [(2, "cpu", 2), (8, "cpu", 2), (1, "cpu", 1)]
    )
    def test_quickstart_trains_in_a_process_of_its_own(
        self, monkeypatch, tmp_path, cores, device, processes
    ):
        asked = []

        def run(options):
            asked.append(options.processes)
            return 0

        monkeypatch.setattr("os.cpu_count", lambda: cores)
        monkeypatch.setattr("conceptspace.cli.commands.run", run)
        assert main(["quickstart", "--out", str(tmp_path / "r"), "--device", device]) == 0
        assert asked == [processes]

    def test_a_training_process_is_for_the_cpu(self, monkeypatch, tmp_path, capsys):
        monkeypatch.setattr("conceptspace.experiment.parts.device", lambda _: torch.device("mps"))
        folder = tmp_path / "r"
        assert main(["run", "quick", "--out", str(folder), "--processes", "2"]) == 2
        assert "--processes 2 is for the CPU" in capsys.readouterr().err
        assert not folder.exists()

    def test_the_config_of_a_run_that_is_there(self, tmp_path, capsys):
        run, _ = open_or_create(tmp_path / "r", TINY)
        assert main(["run", "--out", str(run.path), "--print-config"]) == 0
        assert capsys.readouterr().out == (run.path / "config.toml").read_text()

    def test_dry_run_of_a_new_run(self, tmp_path, capsys):
        path, folder = tiny_file(tmp_path), tmp_path / "r"
        assert main(["run", "--config", str(path), "--out", str(folder), "--dry-run"]) == 0
        out = capsys.readouterr().out
        assert re.search(rf"^run +new in {folder}$", out, re.MULTILINE)
        assert re.search(r"^training +9 steps of 4 images$", out, re.MULTILINE)
        assert re.search(r"^checkpoints +3, from step 0 to 9$", out, re.MULTILINE)
        assert re.search(r"^images +24 are made", out, re.MULTILINE), "3 times 4 classes times 2"
        assert re.search(r"^disk +about \d", out, re.MULTILINE)
        assert not folder.exists()

    def test_dry_run_of_another_run(self, tmp_path, capsys):
        folder = open_or_create(tmp_path / "r", TINY)[0].path
        assert main(["run", "--out", str(folder), "--dry-run"]) == 0
        assert f"the one in {folder} goes on from step 0" in capsys.readouterr().out
        assert main(["run", "--out", str(folder), "--dry-run", "--seed", "5"]) == 2
        assert "seed is 0 there, 5 here" in capsys.readouterr().err

    def test_dry_run_of_an_evaluation(self, tmp_path, capsys, probe_cache_folder):
        folder = tmp_path / "r"
        list(tiny_session(folder, TINY, probe_cache_folder).execute())
        before = contents(folder)
        asked = [
            "evaluate",
            str(folder),
            "--protocol",
            "naive",
            "--protocol",
            "overprompting-color",
        ]
        assert main([*asked, "--strengths", "2,3", "--dry-run"]) == 0
        assert capsys.readouterr().out.splitlines() == [
            "naive: all is there",
            "overprompting-color: 4 images at steps 0, 4, 9",
        ]
        assert contents(folder) == before


def test_a_path_in_a_hint_is_quoted(tmp_path, capsys):
    folder = tmp_path / "my runs"
    open_or_create(folder, TINY)
    assert main(["evaluate", str(folder)]) == 2
    assert f"run: conceptspace run --out '{folder}'" in capsys.readouterr().err


class TestRun:
    def test_from_config_to_page_and_again(self, tmp_path, capsys, monkeypatch):
        path, folder = tiny_file(tmp_path), tmp_path / "r"
        assert main(["run", "--config", str(path), "--out", str(folder)]) == 0
        err = capsys.readouterr().err
        assert "joint accuracy" in err
        assert str(folder / "report.html") in err
        page = (folder / "report.html").read_text()
        assert "<html" in page
        assert not re.search(r"""(src|href)=["']https?://[^"']*\.(js|css|png)""", page)
        run = Run(folder)
        assert run.config == TINY
        assert sorted(run.trajectory()["step"].unique()) == [0, 4, 9]
        pages = []
        monkeypatch.setattr("conceptspace.cli.commands._report", lambda *a: pages.append(a[1]))
        before = contents(folder / "checkpoints") | contents(folder / "scores")
        times = {p: p.stat().st_mtime_ns for p in (folder / "checkpoints").iterdir()}

        assert main(["run", "--out", str(folder)]) == 0
        err = capsys.readouterr().err
        assert f"continuing the run in {folder}" in err
        assert "resuming at step 9" in err
        assert "joint accuracy" not in err, "nothing is scored again"
        assert contents(folder / "checkpoints") | contents(folder / "scores") == before
        assert {p: p.stat().st_mtime_ns for p in times} == times, "nothing is trained again"

        assert main(["evaluate", str(folder), "--protocol", "naive"]) == 0
        assert main(["info", str(folder)]) == 0
        assert "finished" in capsys.readouterr().out
        other = tmp_path / "page.html"
        assert main(["report", str(folder), "-o", str(other)]) == 0
        assert pages == [folder / "report.html", other]

    @pytest.mark.parametrize("precision", ["float32", "bfloat16"])
    def test_the_precision_asked_for_is_used_and_noted(self, tmp_path, monkeypatch, precision):
        path, folder = tiny_file(tmp_path), tmp_path / "r"
        monkeypatch.setattr("conceptspace.cli.commands._report", lambda *a: None)
        asked = ["--precision", precision]
        assert main(["run", "--config", str(path), "--out", str(folder), *asked]) == 0
        information = Run(folder).information()
        assert information["precision"] == precision
        assert information["operations"]

    def test_report_of_several_runs_needs_a_place(self, tmp_path, capsys):
        for name in ("a", "b"):
            open_or_create(tmp_path / name, TINY)
        assert main(["report", str(tmp_path / "a"), str(tmp_path / "b")]) == 2
        assert "-o FILE" in capsys.readouterr().err

    def test_ctrl_c_stops_cleanly_and_the_run_goes_on(self, tmp_path, capsys, monkeypatch):
        monkeypatch.setattr("conceptspace.cli.commands._report", lambda *a: None)
        changes = {"train__steps": 120, "train__checkpoint_steps": [1, 120]}
        path, folder = tiny_file(tmp_path, **changes), tmp_path / "r"
        process = subprocess.Popen(
            [*PROGRAM, "run", "--config", str(path), "--out", str(folder)],
            stderr=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment(),
        )
        lines = []
        for line in process.stderr:
            lines.append(line)
            if line.startswith("step "):
                process.send_signal(signal.SIGINT)
                break
        rest = process.communicate(timeout=60)[1]
        assert process.returncode == 130
        assert "Traceback" not in rest
        stopped = re.search(r"stopped at step (\d+); go on with: conceptspace (.*)\n", rest)
        assert stopped
        step, command = int(stopped[1]), stopped[2]
        assert 1 <= step < 120
        assert checkpoint.saved_steps(folder / "resume")[-1] == step

        assert command == f"run --out {folder}"
        assert main(command.split()) == 0
        assert f"resuming at step {step}" in capsys.readouterr().err
        assert checkpoint.saved_steps(folder / "checkpoints") == [1, 120]
        log = pd.read_parquet(folder / "training.parquet")
        assert list(log["step"]) == list(range(1, 121)), "every step once"
        assert not list(folder.rglob(".*.tmp"))


def test_info_describes_the_installation(capsys, probe_cache_folder):
    assert main(["info"]) == 0
    out = capsys.readouterr().out
    assert torch.__version__ in out
    assert str(probe_cache_folder) in out
    assert "quick, paper" in out
