"""A sweep as an array of a real Slurm; what is submitted, and what is refused."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from killing import kill
from slurmed import serving

from conceptspace.cli import main
from conceptspace.errors import UserError
from conceptspace.files import read_record
from conceptspace.locking import alone
from conceptspace.store import Run
from conceptspace.sweeps.plan import Plan
from conceptspace.sweeps.progress import Progress
from conceptspace.sweeps.resources import Resources
from conceptspace.sweeps.slurm import batch_script, submit
from conceptspace.sweeps.slurm import main as slurm_task
from tiny import tiny_config, tiny_session


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with serving(tmp_path_factory.mktemp("slurm")):
        yield


def wait_for(job: str, seconds: float = 900) -> None:
    """Until a job has left the queue."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        queue = subprocess.run(["squeue", "-h", "-j", job], capture_output=True, text=True)
        if queue.returncode or not queue.stdout.strip():
            return
        time.sleep(0.5)
    raise AssertionError(f"job {job} does not end: {queue.stdout}")


def test_the_script_asks_for_an_array_with_what_each_run_is_given(tmp_path: Path) -> None:
    record = tmp_path / "a b" / "slurm-1.json"
    text = batch_script(200, record, Resources(cpus=2.0, gpus=1.0), 8, ["partition=gpu"])
    for line in ("array=0-199%8", "cpus-per-task=2", "gpus-per-task=1", "requeue", "partition=gpu"):
        assert f"#SBATCH --{line}\n" in text
    assert f"conceptspace.sweeps.slurm '{record}' \"$SLURM_ARRAY_TASK_ID\"" in text
    with pytest.raises(UserError, match="Slurm gives a run whole GPUs"):
        submit([Plan("seed-0", tiny_config())], tmp_path / "out", Resources(gpus=0.5))
    assert not (tmp_path / "out").exists()


def test_without_slurm_the_script_is_left_and_one_sentence_tells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match=r"--slurm needs sbatch, which is not here; .*slurm.sh"):
        submit([Plan("seed-0", tiny_config())], tmp_path / "out", Resources())
    assert "array=0-0" in (tmp_path / "out" / "slurm.sh").read_text()
    plans = [Plan(f"seed-{seed}", tiny_config(seed=seed)) for seed in (0, 1)]
    with (
        alone(plans[0].folder(tmp_path / "out")),
        pytest.raises(UserError, match="--slurm needs sbatch"),
    ):
        submit(plans, tmp_path / "out", Resources())
    told = {tuple(read_record(path)["runs"]): path for path in tmp_path.glob("out/slurm-*.json")}
    both = told.pop(("seed-1", "seed-0"))  # the run that another process works on comes last
    assert [*told] == [("seed-0",)], "the array that was submitted before keeps its runs"
    worked_on: list[str] = []

    def execute(plans: list[Plan], *_: object, **__: object) -> Iterator[Progress]:
        worked_on.extend(plan.name for plan in plans)
        return iter(())

    monkeypatch.setattr("conceptspace.sweeps.local.execute", execute)
    assert slurm_task(str(told["seed-0",]), "0") == slurm_task(str(both), "0") == 0
    assert worked_on == ["seed-0", "seed-1"]
    (tmp_path / "tiny.toml").write_text(tiny_config().text())
    (tmp_path / "sweep.toml").write_text('base = "tiny.toml"\n[axes]\nseed = "0..1"\n')
    asked = ["sweep", str(tmp_path / "sweep.toml"), "--out", str(tmp_path / "other")]
    assert main([*asked, "--sbatch", "partition=gpu"]) == 2
    assert "add --slurm" in capsys.readouterr().err
    assert main([*asked, "--slurm", "--engine", "ray"]) == 2
    assert "exclude each other" in capsys.readouterr().err


@pytest.mark.slow
def test_an_array_works_on_all_runs_and_the_same_command_on_what_is_left(
    slurm: None, tmp_path: Path, probe_cache_folder: Path
) -> None:
    plans = [Plan(f"level/seed-{seed}", tiny_config(seed=seed)) for seed in (0, 1, 2)]
    job = submit(plans, tmp_path, Resources(device="cpu"), at_once=2)
    wait_for(job)
    for plan in plans:
        assert plan.exists(tmp_path), (tmp_path / "logs" / "slurm-0.log").read_text()
    alone = tmp_path / "alone" / "level" / "seed-1"
    alone.parent.mkdir(parents=True)
    for _ in tiny_session(alone, plans[1].config, probe_cache_folder).execute():
        pass
    mine = plans[1].folder(tmp_path)
    for name in ("trajectory.parquet", "checkpoints/step-00000009.safetensors"):
        assert (mine / name).read_bytes() == (alone / name).read_bytes()
    assert submit(plans, tmp_path, Resources(device="cpu")) == ""


@pytest.mark.slow
def test_a_killed_worker_is_replaced_and_a_cancelled_run_goes_on(
    slurm: None, tmp_path: Path
) -> None:
    config = tiny_config(train__steps=1000, train__checkpoint_steps=(100, 1000))
    plan = Plan("seed-0", config)
    job = submit([plan], tmp_path, Resources(device="cpu"))
    saved = plan.folder(tmp_path) / "resume" / "step-00000100.json"
    until = time.monotonic() + 600
    while not (saved.exists() and kill(tmp_path)) and time.monotonic() < until:
        time.sleep(0.05)
    log = tmp_path / "logs" / "slurm-0.log"
    while '"Lost"' not in log.read_text() and time.monotonic() < until:
        time.sleep(0.1)
    said = tmp_path / "logs" / "seed-0.log"
    while "resuming at step" not in said.read_text() and time.monotonic() < until:
        time.sleep(0.1)
    subprocess.run(["scancel", "--batch", "--signal=TERM", job], check=True)
    wait_for(job)
    run = Run(plan.folder(tmp_path))
    assert '"Lost"' in log.read_text()
    assert run.information()["status"] in ("stopped", "finished")
    again = submit([plan], tmp_path, Resources(device="cpu"))
    if again:
        wait_for(again)
    assert plan.exists(tmp_path)
    assert list(run.training()["step"]) == list(range(1, 1001))


@pytest.mark.slow
def test_what_slurm_refuses_is_told(slurm: None, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"Slurm refuses .*slurm.sh: .*invalid partition"):
        submit([Plan("seed-0", tiny_config())], tmp_path, Resources(), options=["partition=none"])
