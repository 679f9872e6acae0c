"""The config that a command has, and what it would do, without the run."""

from __future__ import annotations

import contextlib
import re

import numpy as np
import pytest
import torch
from asked import contents, tiny_file

from conceptspace.cache import probe_cache
from conceptspace.cli import main
from conceptspace.cli.flags import kinds_named
from conceptspace.config import load
from conceptspace.experiment import parts
from conceptspace.judges.probe import load_or_train
from conceptspace.locking import alone
from conceptspace.presets import quick
from conceptspace.store import Run, open_or_create
from conceptspace.sweeps.file import read_sweep
from conceptspace.training import checkpoint
from tiny import TINY, tiny_config, tiny_session


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

    def test_a_run_goes_on_that_was_begun_without_this_command(self, tmp_path, monkeypatch):
        """Neither a sweep nor a program writes settings that it leaves as they are by default."""
        tiny_file(tmp_path)
        sweep = tmp_path / "sweep.toml"
        asked = 'base = "tiny.toml"\nprotocols = ["embedding-scaling"]\naxes.seed = [0]\n'
        sweep.write_text(asked)
        (plan,) = read_sweep(sweep)
        open_or_create(tmp_path / "r", plan.config)
        assert self.stored(tmp_path, monkeypatch) == plan.config

    def test_a_run_goes_on_whose_preset_is_unknown(self, tmp_path, monkeypatch):
        config = tiny_config(preset="mine", evaluate__protocols=("overprompting-color",))
        open_or_create(tmp_path / "r", config)
        assert self.stored(tmp_path, monkeypatch, "--seed=0") == config


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

    def test_ways_of_asking_fit_the_concepts(self, tmp_path, capsys):
        def asked(*flags: str) -> str:
            arguments = ["run", "quick", "--out", str(tmp_path / "r"), "--dry-run", *flags]
            assert main(arguments) == 0
            found = re.search(r"^asks +(.*)$", capsys.readouterr().out, re.MULTILINE)
            assert found is not None
            return found[1]

        rest = "latent-intervention, latent-control-scaling, latent-control-random"
        as_published = f"naive, overprompting-color, overprompting-size, {rest}"
        assert asked() == as_published
        of_shape = f"naive, overprompting-color, overprompting-shape, {rest}"
        assert asked("--data.concepts", "color,shape") == of_shape
        table = tmp_path / "a.npz"
        rows = np.arange(400) % 4
        images = np.zeros((400, 16, 16), np.uint8) + rows[:, None, None].astype(np.uint8)
        np.savez(table, images=images, gloss=rows // 2, scale=rows % 2)
        own = ["--data.kind", "arrays", "--data.path", str(table), "--data.factors", "gloss,scale"]
        few = ["--data.images-per-class", "60", "--probe.images-per-class", "40"]
        few += ["--probe.held-out-per-class", "20"]
        of_table = f"naive, overprompting-gloss, overprompting-scale, {rest}"
        assert asked(*own, *few) == of_table
        named = ["--evaluate.protocols", "overprompting-size"]
        assert main(["run", "quick", "--out", str(tmp_path), *own, *few, *named, "--dry-run"]) == 2
        assert "no protocol 'overprompting-size' for this run" in capsys.readouterr().err

    def test_dry_run_tells_whether_the_probe_is_there(self, tmp_path, capsys, monkeypatch):
        monkeypatch.setenv("CONCEPTSPACE_CACHE", str(tmp_path / "cache"))
        asked = ["run", "--config", str(tiny_file(tmp_path)), "--dry-run", "--out"]
        asked.append(str(tmp_path / "r"))
        assert main(asked) == 0
        assert re.search(r"^probe +about \d.* to train", capsys.readouterr().out, re.MULTILINE)
        world, settings = parts.world(TINY.data), parts.probe(TINY)
        load_or_train(world, settings, torch.device("cpu"), probe_cache())
        assert main(asked) == 0
        assert re.search(r"^probe +in the cache$", capsys.readouterr().out, re.MULTILINE)

    def test_dry_run_in_a_folder_of_something_else(self, tmp_path, capsys):
        asked = ["run", "--config", str(tiny_file(tmp_path)), "--out", str(tmp_path)]
        told = []
        for flags in (["--dry-run"], []):
            assert main([*asked, *flags]) == 2
            told.append(capsys.readouterr().err)
        assert told[0] == told[1]
        assert "exists and is not a run" in told[0]

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
            "overprompting-color: 4 images at steps 0, 4 and 9",
        ]
        assert contents(folder) == before

    def told(self, words: list[str], capsys) -> str:
        """What a command and its dry run are refused with, which is the same."""
        found = []
        for flags in (["--dry-run"], []):
            assert main([*words, *flags]) == 2
            found.append(capsys.readouterr().err.splitlines()[-1])
        assert found[0] == found[1]
        return found[0]

    def test_dry_runs_of_a_run_that_another_process_works_on(self, tmp_path, capsys):
        run = open_or_create(tmp_path / "r", TINY)[0]
        checkpoint.save(run.checkpoints, 0, {})
        with alone(run.path):
            for words in (["run", "--out", str(run.path)], ["evaluate", str(run.path)]):
                assert "another process is working on" in self.told(words, capsys)

    def test_only_what_is_named_is_looked_into_for_kinds(self, monkeypatch):
        looked = []
        monkeypatch.setattr("conceptspace.cli.flags.read_whole", looked.append)
        for words in (["quick"], ["--out", "a"], ["--config", "b.toml", "--out=a"]):
            with contextlib.suppress(AttributeError):
                kinds_named(words)
        assert [str(path) for path in looked] == ["a/config.toml", "b.toml"]

    def test_dry_run_of_a_run_that_does_not_fit(self, tmp_path, capsys, monkeypatch):
        monkeypatch.setattr("conceptspace.experiment.needs._memory", lambda: 1)
        words = ["run", "--config", str(tiny_file(tmp_path)), "--out", str(tmp_path / "r")]
        assert "of memory, and this machine has" in self.told(words, capsys)
        (tmp_path / "file").write_text("mine")
        monkeypatch.undo()
        words[-1] = str(tmp_path / "file" / "r")
        assert "file is not a folder" in self.told(words, capsys)

    def test_dry_run_of_an_evaluation_that_lacks_a_checkpoint(self, tmp_path, capsys):
        run = open_or_create(tmp_path / "r", TINY)[0]
        checkpoint.save(run.checkpoints, 4, {})
        words = ["evaluate", str(run.path), "--protocol", "patching"]
        assert "a protocol needs the checkpoint of step 9" in self.told(words, capsys)
        assert main(["evaluate", str(run.path), "--protocol", "naive", "--dry-run"]) == 0
        streams = capsys.readouterr()
        assert streams.out == "naive: 8 images at step 4\n"
        assert "the checkpoints of step 0 are missing" in streams.err
