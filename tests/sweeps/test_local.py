"""Runs of a figure as processes: done, skipped, failed, stopped, gone on with."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest
from killing import kill

from conceptspace.config import RunConfig
from conceptspace.errors import UserError
from conceptspace.locking import alone
from conceptspace.store import Run, open_or_create
from conceptspace.sweeps import local
from conceptspace.sweeps.local import execute
from conceptspace.sweeps.plan import Plan, unique
from conceptspace.sweeps.progress import (
    Elsewhere,
    Failed,
    Finished,
    Interrupted,
    Lost,
    Started,
)
from conceptspace.sweeps.resources import Resources
from conceptspace.sweeps.worker import BUSY, UNCOVERED, work
from conceptspace.training import checkpoint
from planted import Behavior, plant
from tiny import tiny_config

ON_CPU = Resources(device="cpu")


def plan(seed: int = 0, name: str = "", **changes: object) -> Plan:
    return Plan(name or f"level/seed-{seed}", tiny_config(seed=seed, **changes))


def test_runs_that_are_missing_run_side_by_side_and_those_that_exist_are_skipped(
    tmp_path: Path,
) -> None:
    both = [plan(0), plan(1, evaluate__protocols=("overprompting-color",))]
    events = list(execute(both, tmp_path, jobs=2, resources=ON_CPU))
    assert [type(e) for e in events[:2]] == [Started, Started]
    assert {e.plan.name for e in events[2:] if isinstance(e, Finished)} == {p.name for p in both}
    assert all(p.exists(tmp_path) for p in both)
    told = Run(both[0].folder(tmp_path)).information()
    assert told["threads"] == 1
    assert told["commits"]
    assert told["processor"]
    assert list(execute(both, tmp_path, jobs=2, resources=ON_CPU)) == []


def test_a_kept_run_exists_and_one_with_another_config_is_refused(tmp_path: Path) -> None:
    kept = plant(plan(), tmp_path, Behavior())
    assert {p.name for p in kept.iterdir()} == {"config.toml", "run.json", "trajectory.parquet"}
    assert plan().exists(tmp_path)
    with pytest.raises(UserError, match=r"train.steps is 9 there, 11 here"):
        plan(train__steps=11).exists(tmp_path)
    more = plan(evaluate__protocols=("overprompting-color",))
    (event,) = execute([more], tmp_path, jobs=1, resources=ON_CPU)
    assert isinstance(event, Failed)
    assert "evaluate.protocols" in event.reason


def test_a_table_without_the_last_checkpoint_does_not_make_a_run_exist(tmp_path: Path) -> None:
    path = plant(plan(), tmp_path, Behavior()) / "trajectory.parquet"
    table = Run(path.parent).trajectory()
    table[table["step"] < 9].to_parquet(path)
    assert not plan().exists(tmp_path)


def test_a_table_that_lacks_columns_is_told_and_the_rest_go_on(tmp_path: Path) -> None:
    path = plant(plan(), tmp_path, Behavior()) / "trajectory.parquet"
    Run(path.parent).trajectory().drop(columns=["protocol", "step"]).to_parquet(path)
    plant(plan(1), tmp_path, Behavior())
    (event,) = execute([plan(), plan(1)], tmp_path, jobs=1, resources=ON_CPU)
    assert isinstance(event, Failed)
    assert f"{path} lacks the columns step, protocol; to write it anew" in event.reason


def test_one_failing_run_is_told_in_one_sentence_and_the_rest_go_on(tmp_path: Path) -> None:
    bad = plan(0, "bad/seed-0", evaluate__protocols=("overprompting-shape",))
    events = list(execute([bad, plan(1)], tmp_path, jobs=1, resources=ON_CPU))
    (failed,) = [e for e in events if isinstance(e, Failed)]
    assert failed.plan == bad
    assert "there is no protocol 'overprompting-shape'" in failed.reason
    assert "\n" not in failed.reason
    assert plan(1).exists(tmp_path)


def test_a_run_that_diverges_is_told_and_the_rest_go_on(tmp_path: Path) -> None:
    wild = {"train__learning_rate": 1000.0, "train__clip_norm": 1e9, "train__steps": 40}
    bad = plan(0, "bad/seed-0", **wild, train__checkpoint_steps=(40,))
    events = list(execute([bad, plan(1)], tmp_path, jobs=1, resources=ON_CPU))
    (failed,) = [e for e in events if isinstance(e, Failed)]
    assert failed.plan == bad
    assert "training diverged at step" in failed.reason
    assert Run(bad.folder(tmp_path)).information()["status"] == "diverged"
    assert plan(1).exists(tmp_path)


def test_a_run_that_cannot_be_begun_for_an_unforeseen_reason_is_told_and_the_rest_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def require(config: RunConfig, *_: object) -> None:
        if config.seed == 0:
            raise RuntimeError("invalid device\nand more")

    monkeypatch.setattr("conceptspace.sweeps.local.needs.require", require)
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "level-seed-1.log").mkdir()  # so that its worker cannot be started
    events = list(execute([plan(0), plan(1), plan(2)], tmp_path, jobs=1, resources=ON_CPU))
    first, second = (e for e in events if isinstance(e, Failed))
    log = tmp_path / "logs" / "level-seed-0.log"
    assert first.reason == f"RuntimeError: invalid device (log: {log})"
    assert "Traceback" in log.read_text()
    assert "Is a directory" in second.reason
    assert plan(2).exists(tmp_path)


def test_a_run_that_does_not_fit_is_told_before_its_folder_is_made(tmp_path: Path) -> None:
    large = plan(0, "large/seed-0", data__images_per_class=10**7, data__resolution=128)
    (failed,) = execute([large], tmp_path, jobs=1, resources=ON_CPU)
    assert isinstance(failed, Failed)
    assert "this run needs about" in failed.reason
    assert not large.folder(tmp_path).exists()


def test_a_stop_saves_and_the_next_call_goes_on_to_the_end(tmp_path: Path) -> None:
    long = {"train__steps": 400, "train__checkpoint_steps": (100, 400)}
    saved = plan().folder(tmp_path / "a") / "resume"
    with pytest.raises(Interrupted):
        for _ in execute(
            [plan(**long)],
            tmp_path / "a",
            jobs=1,
            resources=ON_CPU,
            stop=saved.exists,
        ):
            pass
    run = Run(plan().folder(tmp_path / "a"))
    assert run.information()["status"] == "stopped"
    assert not plan(**long).exists(tmp_path / "a")
    events = list(execute([plan(**long)], tmp_path / "a", jobs=1, resources=ON_CPU))
    assert events[0] == Started(plan(**long), resumed=True)
    assert isinstance(events[-1], Finished)
    assert set(run.trajectory()["step"]) == {100, 400}


def test_a_worker_saves_and_ends_when_the_process_that_started_it_is_gone(tmp_path: Path) -> None:
    run, _ = open_or_create(tmp_path / "run", tiny_config(train__steps=10**6))
    start = "import subprocess, sys, time; subprocess.Popen(sys.argv[1:]); time.sleep(600)"
    worker = [sys.executable, "-m", "conceptspace.sweeps.worker", str(run.path), str(tmp_path)]
    worker.append(json.dumps(asdict(ON_CPU)))
    parent = subprocess.Popen([sys.executable, "-c", start, *worker])
    try:
        wait_for(lambda: (run.path / "training.parquet").exists())
    finally:
        parent.kill()
        parent.wait()
    wait_for(lambda: run.information().get("status") == "stopped")
    saved = checkpoint.saved_steps(run.path / "resume")[-1]
    assert len(run.training()) == saved > 0


def wait_for(happened: Callable[[], bool], seconds: float = 120) -> None:
    """Until something has happened; a failure if it never does."""
    until = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < until
        time.sleep(0.1)


def test_a_run_that_another_process_works_on_comes_last(tmp_path: Path) -> None:
    both = [plan(0), plan(1)]
    open_or_create(both[0].folder(tmp_path), both[0].config)
    events = execute(both, tmp_path, jobs=1, resources=ON_CPU)
    with alone(both[0].folder(tmp_path)):
        assert next(events) == Started(both[1], False)
        assert isinstance(next(events), Finished)
        assert next(events) == Elsewhere(both[0])
    assert next(events) == Started(both[0], True)
    assert [type(event) for event in events] == [Finished]
    assert all(p.exists(tmp_path) for p in both)


def test_a_run_that_another_process_begins_at_the_same_moment_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("conceptspace.sweeps.others.worked_on", lambda folder: False)
    plan(0).folder(tmp_path).mkdir(parents=True)
    events = execute([plan(0)], tmp_path, jobs=1, resources=ON_CPU)
    with alone(plan(0).folder(tmp_path)):
        assert next(events) == Elsewhere(plan(0))
    events.close()


def test_a_worker_whose_run_is_taken_leaves_it_to_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = plan(0)
    monkeypatch.setattr("conceptspace.sweeps.worker.PATIENCE", 0.0)
    folder = open_or_create(taken.folder(tmp_path), taken.config)[0].path
    with alone(folder):
        outcome = work(folder, tmp_path, ON_CPU, print)
    assert outcome.status == BUSY
    assert "another process is working on" in outcome.reason


def test_what_a_worker_failed_by_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreadable(*_: object) -> None:
        raise OSError("cannot identify image file")

    folder = open_or_create(plan().folder(tmp_path), plan().config)[0].path
    monkeypatch.setattr("conceptspace.sweeps.worker.Session", unreadable)
    assert work(folder, tmp_path, ON_CPU, print).reason == "cannot identify image file"
    process = subprocess.Popen(["true"])
    process.wait()
    log = tmp_path / "a.log"
    log.write_text("step 9: naive joint accuracy 01 0.50")
    ended = local._ended(local._Worker(plan(), process, log), tmp_path)
    assert ended == Failed(plan(), f"{UNCOVERED} (log: {log})")
    (folder / "trajectory.parquet").write_text("damaged")
    ended = local._ended(local._Worker(plan(), process, log), tmp_path)
    assert isinstance(ended, Failed)
    assert "trajectory.parquet is damaged" in ended.reason


def test_two_figures_cannot_plan_different_runs_in_one_folder() -> None:
    assert unique([plan(0), plan(1), plan(0)]) == [plan(0), plan(1)]
    with pytest.raises(ValueError, match="level/seed-0"):
        unique([plan(0), plan(0, train__steps=11)])


@pytest.mark.slow
def test_a_killed_worker_is_replaced_and_the_run_goes_on_to_the_same_bytes(
    tmp_path: Path,
) -> None:
    long = plan(0, train__steps=200, train__checkpoint_steps=(50, 100, 200))
    folder = long.folder(tmp_path)
    events = list(execute([long], tmp_path, jobs=1, resources=ON_CPU, stop=killing(folder)))
    assert [type(e) for e in events] == [Started, Lost, Started, Finished]
    again = tmp_path / "again"
    list(execute([long], again, jobs=1, resources=ON_CPU))
    for path in sorted((folder / "checkpoints").glob("*.safetensors")):
        other = long.folder(again) / "checkpoints" / path.name
        assert path.read_bytes() == other.read_bytes()
    assert len(Run(folder).training()) == 200


def killing(folder: Path) -> Callable[[], bool]:
    """Never says to stop, but kills the worker of a run once, after its first checkpoint."""
    killed: list[bool] = []

    def stop() -> bool:
        if not killed and (folder / "resume" / "step-00000050.json").exists() and kill(folder):
            killed.append(True)
        return False

    return stop
