"""What a dry run says of each planned run, beside what the command does with it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from conceptspace.cli import main
from conceptspace.cli.dry_run import _probe
from conceptspace.errors import UserError
from conceptspace.experiment import needs
from conceptspace.locking import alone
from conceptspace.paper import settings as figures
from conceptspace.store import open_or_create, run_in
from conceptspace.sweeps.cost import probes_left, untrained_probes
from conceptspace.sweeps.local import execute
from conceptspace.sweeps.outlook import Outlook, outlook
from conceptspace.sweeps.plan import Plan
from conceptspace.sweeps.progress import Failed
from conceptspace.sweeps.resources import Resources
from conceptspace.sweeps.slurm import submit
from planted import Behavior, plant
from tiny import CPU, tiny_config

ON_CPU = Resources(device="cpu")


def plan(seed: int = 0, **changes: object) -> Plan:
    return Plan(f"level/seed-{seed}", tiny_config(seed=seed, **changes))


def another_run(folder: Path) -> None:
    open_or_create(folder, plan(7).config)


def other_files(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "notes.txt").write_text("mine")


def a_file(folder: Path) -> None:
    folder.parent.mkdir(parents=True)
    folder.write_text("mine")


def below_a_file(folder: Path) -> None:
    folder.parent.parent.mkdir(parents=True)
    folder.parent.write_text("mine")


def a_damaged_table(folder: Path) -> None:
    plant(plan(), folder.parents[2], Behavior())
    (folder / "trajectory.parquet").write_text("mine")


IN_THE_WAY = {
    another_run: "seed is 7 there, 0 here); choose another folder with --out",
    other_files: "seed-0 exists and is not a run; choose another folder with --out",
    a_file: "seed-0 exists and is not a run; choose another folder with --out",
    below_a_file: "cannot create a run in ",
    a_damaged_table: "trajectory.parquet is damaged",
}


@pytest.mark.parametrize("there", IN_THE_WAY, ids=lambda there: there.__name__)
def test_a_folder_that_holds_something_else_is_told_as_the_command_tells_it(
    there: Callable[[Path], None], tmp_path: Path
) -> None:
    there(plan().folder(tmp_path))
    found = outlook(plan(), tmp_path, CPU)
    assert found.state == "refused"
    assert IN_THE_WAY[there] in found.reason
    assert "\n" not in found.reason
    (failed,) = execute([plan()], tmp_path, jobs=1, resources=ON_CPU)
    assert isinstance(failed, Failed)
    assert failed.reason == found.reason
    with pytest.raises(UserError) as refused:
        submit([plan()], tmp_path, ON_CPU)
    assert str(refused.value) == found.reason


def test_other_states_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert outlook(plan(0), tmp_path, CPU) == Outlook(plan(0), "missing")
    plant(plan(1), tmp_path, Behavior())
    assert str(outlook(plan(1), tmp_path, CPU)) == "exists"
    begun, _ = open_or_create(plan(2).folder(tmp_path), plan(2).config)
    assert str(outlook(plan(2), tmp_path, CPU)) == "unfinished"
    with alone(begun.path):
        told = str(outlook(plan(2), tmp_path, CPU))
    assert told == "unfinished: another process is working on it"
    monkeypatch.setattr(needs, "_memory", lambda: 1)
    assert "this machine has 1e-06 MB" in outlook(plan(0), tmp_path, CPU).reason
    assert outlook(plan(0), tmp_path, None).state == "missing"


def test_a_run_that_is_begun_meanwhile_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, config, really = plan().folder(tmp_path), plan().config, Path.iterdir
    folder.mkdir(parents=True)

    def begun_meanwhile(path: Path) -> object:
        if path == folder:
            (folder / "config.toml").write_text(config.text())
        return really(path)

    monkeypatch.setattr(Path, "iterdir", begun_meanwhile)
    found = run_in(folder, config)
    assert found is not None
    assert found.config == config


def test_a_dry_run_of_a_sweep_says_what_the_sweep_would(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("tiny.toml").write_text(tiny_config().text())
    Path("sweep.toml").write_text("base = 'tiny.toml'\naxes.seed = [0, 1]\n")
    asked = ["sweep", "sweep.toml", "--out", "out", "--device", "cpu", "--dry-run"]
    open_or_create(Path("out/runs/seed-0"), plan(7).config)
    assert main(asked) == 1
    first, second, left = capsys.readouterr().out.splitlines()
    sentence = "out/runs/seed-0 holds a run with another config (seed is 7 there, 0 here); "
    sentence += "choose another folder with --out"
    assert (first, second) == (f"seed-0  refused: {sentence}", "seed-1  missing")
    assert left.startswith("2 runs, about ")
    assert main([*asked, "--slurm"]) == 2
    assert capsys.readouterr().err == f"conceptspace: {sentence}\n"
    assert main([*asked[:-1], "--slurm"]) == 2
    assert capsys.readouterr().err == f"conceptspace: {sentence}\n"
    assert not Path("out/sweep.json").exists(), "the plan of the command before stays"
    for flags in (["--gpus-per-run", "0.5"], ["--address", "auto"], ["--sbatch", "x=y"]):
        told = []
        for words in ([*asked, *flags], [*asked[:-1], *flags]):
            assert main(words) == 2
            told.append(capsys.readouterr().err)
        assert told[0] == told[1]
        assert not Path("out/sweep.json").exists()


def test_a_dry_run_for_a_cluster_needs_no_device_of_the_cluster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    Path("tiny.toml").write_text(tiny_config().text())
    Path("sweep.toml").write_text("base = 'tiny.toml'\naxes.seed = [0, 1]\n")
    asked = ["sweep", "sweep.toml", "--out", "out", "--device", "cuda", "--dry-run"]
    for cluster in (["--slurm"], ["--engine", "ray"]):
        assert main([*asked, *cluster]) == 0
        told = capsys.readouterr().out
        assert told.endswith("; timed with one thread of a CPU, for cuda is not here\n")
    assert main(asked) == 2
    assert "PyTorch finds no CUDA device here" in capsys.readouterr().err


def test_a_dry_run_of_a_figure_says_what_is_in_a_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = figures.masked("quick", [0], 0.5)[0], figures.masked("quick", [0], 0.0)[0]
    other_files(first.folder(tmp_path))
    open_or_create(second.folder(tmp_path), plan(7).config)
    asked = ["reproduce", "fig08", "--seeds", "0", "--out", str(tmp_path), "--dry-run"]
    assert main(asked) == 1
    told = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    for one, reason in ((first, "exists and is not a run"), (second, "holds a run with another")):
        assert f"refused: {one.folder(tmp_path)} {reason}" in told[one.name]


def test_a_second_probe_counts_where_two_have_to_agree(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONCEPTSPACE_CACHE", str(tmp_path))  # other tests train probes in theirs
    alone, two = tiny_config(), tiny_config(probe__agreement=0.9)
    assert len(untrained_probes(alone, tmp_path)) == 1
    left = probes_left([Plan("a", two), Plan("b", alone)], tmp_path, tmp_path)
    assert len(left) == 2
    assert len({settings.architecture for _, settings in left}) == 2
    assert _probe(two, CPU).endswith("to train two, once for these images")
