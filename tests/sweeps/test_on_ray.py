"""Runs as tasks of a real Ray on this machine: the same bytes, and nothing lost with a worker."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from killing import kill

from conceptspace import locking
from conceptspace.errors import UserError
from conceptspace.store import Run, open_or_create
from conceptspace.sweeps import on_ray
from conceptspace.sweeps.on_ray import execute
from conceptspace.sweeps.plan import Plan
from conceptspace.sweeps.progress import Elsewhere, Failed, Finished, Interrupted
from conceptspace.sweeps.resources import Resources
from conceptspace.sweeps.worker import BUSY, Outcome
from conceptspace.training import checkpoint
from tiny import tiny_config, tiny_session

ray = pytest.importorskip("ray", reason="the extra conceptspace[ray] is missing")

pytestmark = pytest.mark.slow

ON_CPU = Resources(device="cpu")
KEPT = ("checkpoints/*.safetensors", "samples/*/*.png", "scores/*/*.parquet", "*.toml")
LONG = {"train__steps": 200, "train__checkpoint_steps": (50, 100, 200)}


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    os.environ.setdefault("RAY_worker_niceness", "0")  # 15 waits for ever on a busy machine
    before = {s: signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)}
    source = Path(on_ray.__file__).parents[2]
    ray.init(
        address="local",
        num_cpus=2,
        include_dashboard=False,
        object_store_memory=on_ray.STORE,
        log_to_driver=False,
        logging_level="error",
        runtime_env={"env_vars": {"PYTHONPATH": str(source)}},
    )
    for number, handler in before.items():
        signal.signal(number, handler)
    yield
    ray.shutdown()


def plan(seed: int = 0, **changes: object) -> Plan:
    return Plan(f"level/seed-{seed}", tiny_config(seed=seed, **changes))


def content(folder: Path) -> dict[str, bytes]:
    """What a run is judged by, byte for byte."""
    paths = [path for pattern in KEPT for path in folder.glob(pattern)]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def alone(plan: Plan, folder: Path, cache: Path) -> dict[str, bytes]:
    """The content of the same run in this process, without interruption."""
    place = plan.folder(folder)
    place.parent.mkdir(parents=True, exist_ok=True)
    for _ in tiny_session(place, plan.config, cache).execute():
        pass
    return content(place)


def kill_when(happened: Callable[[], bool], folder: Path, killed: list[float]) -> threading.Thread:
    """Kill the worker of a run in the middle, from a thread."""

    def wait() -> None:
        until = time.monotonic() + 240
        while time.monotonic() < until:
            if happened() and kill(folder):
                killed.append(time.monotonic())
                return
            time.sleep(0.02)

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


def test_runs_on_ray_are_the_same_bytes_and_a_killed_worker_loses_nothing(
    cluster: None, tmp_path: Path, probe_cache_folder: Path
) -> None:
    both, out = [plan(0, **LONG), plan(1, evaluate__protocols=("overprompting-color",))], tmp_path
    folder = both[0].folder(out)
    killed: list[float] = []
    saved = folder / "resume" / "step-00000050.json"
    thread = kill_when(saved.exists, folder, killed)
    events = list(execute(both, out, resources=ON_CPU))
    thread.join()
    assert killed
    assert {e.plan.name for e in events if isinstance(e, Finished)} == {p.name for p in both}
    for one in both:
        assert content(one.folder(out)) == alone(one, tmp_path / "alone", probe_cache_folder)
    told = Run(folder).information()
    assert (told["status"], told["threads"]) == ("finished", 1)
    assert len(Run(folder).training()) == 200
    assert "resuming at step" in (out / "logs" / "level-seed-0.log").read_text()
    assert list(execute(both, out, resources=ON_CPU)) == []


@pytest.mark.slow
def test_a_stop_saves_and_the_next_call_goes_on(cluster: None, tmp_path: Path) -> None:
    waiting = [
        plan(seed, train__steps=4000, train__checkpoint_steps=(100, 4000)) for seed in (0, 1, 2)
    ]
    saved = waiting[0].folder(tmp_path) / "checkpoints" / "step-00000100.json"
    with pytest.raises(Interrupted):
        for _ in execute(waiting, tmp_path, resources=ON_CPU, stop=saved.exists):
            pass
    run = Run(waiting[0].folder(tmp_path))
    assert run.information()["status"] == "stopped"
    step = checkpoint.saved_steps(run.path / "resume")[-1]
    assert 100 <= step < 300
    assert len(run.training()) == step
    events = list(execute(waiting, tmp_path, resources=ON_CPU))
    assert {e.plan.name for e in events if isinstance(e, Finished)} == {p.name for p in waiting}


@pytest.mark.slow
def test_a_run_that_cannot_be_is_told_and_the_others_go_on(cluster: None, tmp_path: Path) -> None:
    bad = plan(0, evaluate__protocols=("overprompting-shape",))
    events = list(execute([bad, plan(1)], tmp_path, resources=ON_CPU))
    (failed,) = [e for e in events if isinstance(e, Failed)]
    assert failed.plan.name == bad.name
    assert "there is no protocol 'overprompting-shape'" in failed.reason
    assert plan(1).exists(tmp_path)


@pytest.mark.slow
def test_a_run_that_another_process_works_on_is_waited_for_and_blocks_no_other(
    cluster: None, tmp_path: Path
) -> None:
    """One that has it from the start, and one that takes a run whose task is in the queue."""
    plans = [plan(seed) for seed in (0, 1, 2)]
    folders = [open_or_create(p.folder(tmp_path), p.config)[0].path for p in plans]
    one_at_a_time = Resources(device="cpu", cpus=2.0)
    events = execute(plans, tmp_path, resources=one_at_a_time)
    with ExitStack() as others:
        others.enter_context(locking.alone(folders[0]))
        taking = threading.Thread(target=take, args=(others, folders))
        taking.start()
        assert isinstance(first := next(events), Finished)
        taking.join()
        assert next(events) == Elsewhere(plans[0])
    ended = list(events)
    assert {e.plan.name for e in ended if isinstance(e, Finished)} | {first.plan.name} == {
        p.name for p in plans
    }
    assert all(isinstance(e, Finished | Elsewhere) for e in ended)


def take(others: ExitStack, folders: list[Path]) -> None:
    """Lock the run that has no worker yet once the other one has begun."""
    until = time.monotonic() + 240
    while time.monotonic() < until:
        for mine, other in (folders[1:], folders[:0:-1]):
            if (mine / "run.json").exists():
                others.enter_context(locking.alone(other))
                return
        time.sleep(0.02)


def test_a_run_whose_end_cannot_be_read_has_failed_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = open_or_create(plan().folder(tmp_path), plan().config)[0].path
    (folder / "trajectory.parquet").write_text("damaged")
    monkeypatch.setattr(ray, "get", lambda reference: Outcome(0, "done"))
    ended = on_ray._ended(ray, None, plan(), tmp_path, ON_CPU)
    assert isinstance(ended, Failed)
    assert "trajectory.parquet is damaged" in ended.reason
    monkeypatch.setattr(ray, "get", lambda reference: Outcome(BUSY, "another process"))
    assert on_ray._ended(ray, None, plan(), tmp_path, ON_CPU) == Elsewhere(plan())
    stored = Resources(device="cpu", store=f"memory://{tmp_path.name}")
    monkeypatch.setattr(ray, "get", lambda reference: Outcome(0, "done"))

    def silent(*_: object) -> None:
        raise UserError("the storage does not answer")

    monkeypatch.setattr(on_ray.StoredRun, "fetch", silent)
    ended = on_ray._ended(ray, None, plan(), tmp_path, stored)
    assert isinstance(ended, Failed)
    assert "the storage does not answer" in ended.reason


@pytest.mark.slow
def test_a_run_whose_workers_are_always_lost_fails(cluster: None, tmp_path: Path) -> None:
    long = plan(0, train__steps=10**6, train__checkpoint_steps=(100, 10**6))
    folder, killed = long.folder(tmp_path), list[float]()
    thread = kill_when((folder / "run.json").exists, folder, killed)
    (failed,) = execute([long], tmp_path, resources=Resources(device="cpu", retries=0))
    thread.join()
    assert isinstance(failed, Failed)
    assert "its workers were lost" in failed.reason


def test_without_ray_one_sentence_tells_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(UserError, match=r"pip install 'conceptspace\[ray\]'"):
        list(execute([], tmp_path, resources=ON_CPU))


class FakeRay:
    """Tasks that end at once when they are waited for; counts how many there are at a time."""

    exceptions = ray.exceptions

    def __init__(self) -> None:
        self.most = 0

    def is_initialized(self) -> bool:
        return True

    def remote(self, work: Callable[..., Outcome]) -> FakeRay:
        self.work = work
        return self

    def options(self, **_: object) -> FakeTask:
        return FakeTask()

    def wait(self, tasks: list[Plan], timeout: float) -> tuple[list[Plan], list[Plan]]:
        self.most = max(self.most, len(tasks))
        return tasks[:1], tasks[1:]

    def get(self, task: object) -> Outcome:
        return Outcome(2, "no")


class FakeTask:
    def remote(self, plan: Plan, *_: object) -> object:
        return object()


def test_no_more_runs_than_asked_for_have_a_task_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for jobs, most in ((2, 2), (None, 5)):
        fake = FakeRay()
        monkeypatch.setattr(on_ray, "_ray", lambda fake=fake: fake)
        plans = [plan(seed) for seed in range(5)]
        assert len(list(execute(plans, tmp_path, resources=ON_CPU, jobs=jobs))) == 5
        assert fake.most == most


def test_a_ray_that_is_started_has_the_processors_of_all_runs_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[object] = []

    def init(**options: object) -> None:
        seen.append(options["num_cpus"])
        raise Exception("enough")

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", init)
    monkeypatch.setattr(ray, "shutdown", lambda: None)
    monkeypatch.delenv(on_ray.ADDRESS, raising=False)
    for jobs, cpus in ((3, 2.0), (3, 0.5), (None, 2.0)):
        with pytest.raises(UserError, match="enough"):
            list(execute([plan()], tmp_path, resources=Resources(cpus=cpus), jobs=jobs))
    assert seen == [6, 2, None]


def test_a_ray_that_does_not_start_in_time_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def late(**options: object) -> None:
        raise Exception("The current node timed out during startup.\nMore")

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", late)
    monkeypatch.setattr(ray, "shutdown", lambda: None)
    monkeypatch.delenv(on_ray.ADDRESS, raising=False)
    with pytest.raises(UserError, match=r"Ray does not answer at this machine: The .* startup\.;"):
        list(execute([plan()], tmp_path, resources=ON_CPU))
