"""Runs in object storage: verified by hash, whole after any crash, one worker at a time."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import pytest
from bucket import serving
from killing import kill

from conceptspace.cli import main
from conceptspace.errors import UserError
from conceptspace.locking import Busy
from conceptspace.store import Run, open_or_create
from conceptspace.sweeps import lease as leases
from conceptspace.sweeps import local
from conceptspace.sweeps.lease import Lease
from conceptspace.sweeps.others import Others
from conceptspace.sweeps.plan import Plan
from conceptspace.sweeps.progress import Finished, Lost
from conceptspace.sweeps.resources import Resources
from conceptspace.sweeps.storage import SMALL, Store, StoredRun, claim, fetch_sweep
from conceptspace.sweeps.worker import work
from tiny import tiny_config, tiny_session

KEPT = ("checkpoints/*", "samples/*/*", "scores/*/*", "trajectory.parquet", "config.toml")


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    with serving() as url:
        yield url


@pytest.fixture
def store() -> Store:
    """A place in memory, which fsspec knows as well."""
    return Store(f"memory://{uuid4().hex}")


def fill(folder: Path, **files: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text)


def content(folder: Path) -> dict[str, bytes]:
    paths = [path for pattern in KEPT for path in folder.glob(pattern)]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def texts(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_a_folder_comes_back_as_it_was_on_a_real_server(bucket: str, tmp_path: Path) -> None:
    fill(tmp_path / "a" / "checkpoints", one="1", two="2")
    fill(tmp_path / "a", log="first", gone="soon")
    ours = StoredRun(Store(f"{bucket}/there"), "level/seed-0", tmp_path / "a")
    ours.push()
    fill(tmp_path / "a", log="second")
    (tmp_path / "a" / "gone").unlink()
    ours.push()
    assert StoredRun(Store(f"{bucket}/there"), "level/seed-0", tmp_path / "b").fetch() == []
    assert texts(tmp_path / "b") == {"one": "1", "two": "2", "log": "second"}
    assert Store(f"{bucket}/there").read("runs/level/seed-0/gone") is None
    fill(tmp_path / "b", stale="of another day")
    assert StoredRun(Store(f"{bucket}/there"), "level/seed-0", tmp_path / "b").fetch() == []
    assert not (tmp_path / "b" / "stale").exists()


def test_only_what_changed_is_brought_back(store: Store, tmp_path: Path) -> None:
    fill(tmp_path, one="1", two="2")
    run = StoredRun(store, "x", tmp_path)
    run.push()
    written: list[str] = []
    store.write = lambda path, content: written.append(path)  # type: ignore[method-assign]
    run.push()
    assert written == []
    fill(tmp_path, two="22")
    run.push()
    assert written == ["runs/x/hashes.json", "runs/x/two", "runs/x/hashes.json"]


def test_a_sweep_is_fetched_into_no_folder_of_other_things(store: Store, tmp_path: Path) -> None:
    fill(tmp_path / "sweep" / "runs" / "x", mine="not in the store")
    with pytest.raises(UserError, match=r"was not fetched from .* choose another folder"):
        claim(store, tmp_path / "sweep")
    assert texts(tmp_path / "sweep") == {"mine": "not in the store"}
    claim(store, tmp_path / "new")
    claim(store, tmp_path / "new")
    with pytest.raises(UserError, match="was not fetched from memory://another"):
        claim(Store("memory://another"), tmp_path / "new")


@pytest.mark.parametrize("wrong", ["flipped", "missing"])
def test_what_is_not_what_was_stored_is_left_out_and_told(
    store: Store, tmp_path: Path, wrong: str
) -> None:
    fill(tmp_path / "a", one="1", two="2")
    StoredRun(store, "x", tmp_path / "a").push()
    if wrong == "flipped":
        store.write("runs/x/two", b"3")
    else:
        store.remove("runs/x/two")
    (problem,) = StoredRun(store, "x", tmp_path / "b").fetch()
    assert problem.startswith(f"{store.url}/runs/x/two is")
    assert texts(tmp_path / "b") == {"one": "1"}


@pytest.mark.parametrize("writes", range(5))
def test_a_worker_lost_while_it_brings_back_leaves_old_or_new_files(
    store: Store, tmp_path: Path, writes: int
) -> None:
    fill(tmp_path / "a", log="old", state="old")
    run = StoredRun(store, "x", tmp_path / "a")
    run.push()
    fill(tmp_path / "a", log="new", state="new", added="new")
    real, count = store.write, iter(range(10))

    def failing(path: str, content: bytes) -> None:
        if next(count) == writes:
            raise KeyboardInterrupt
        real(path, content)

    store.write = failing  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        run.push()
    after = StoredRun(Store(store.url), "x", tmp_path / "b")
    assert after.fetch() == []
    found = texts(tmp_path / "b")
    assert set(found) >= {"log", "state"}
    assert set(found.values()) <= {"old", "new"}
    assert (found.get("added") == "new") == (writes >= 4)
    after.push()
    assert StoredRun(Store(store.url), "x", tmp_path / "c").fetch() == []


def test_a_list_of_hashes_that_leads_out_is_refused(store: Store, tmp_path: Path) -> None:
    store.write("runs/x/hashes.json", json.dumps({"files": {"../../y": ["0"]}}).encode())
    with pytest.raises(UserError, match=r"hashes.json is damaged .* outside the run"):
        StoredRun(store, "x", tmp_path).fetch()


def test_one_of_many_gets_the_lease(bucket: str) -> None:
    store = Store(f"{bucket}/lease")
    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(lambda n: store.create("runs/x/lease.json", b"%d" % n), range(8)))
    assert won.count(True) == 1


def test_who_lives_keeps_the_lease_and_who_is_gone_loses_it(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = Lease(store, "runs/x"), Lease(store, "runs/x")
    first.acquire()
    with pytest.raises(Busy, match="another worker is working on memory://"):
        second.acquire(stop=lambda: True)
    first.release()
    second.acquire()
    second.release()
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    first.owner = first.owner.replace(f" {os.getpid()} ", f" {gone.pid} ")
    first.acquire()
    second.acquire()
    with pytest.raises(Busy, match="another worker has taken over"):
        first.renew()
    first.release()
    second.renew()


def test_a_lease_without_a_beat_is_taken_over(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "SILENCE", 0.2)
    monkeypatch.setattr(leases, "POLL", 0.05)
    lost, other = Lease(store, "runs/x"), Lease(store, "runs/x")
    lost.owner = "another-machine 1 abc"
    lost.acquire()
    begun = time.monotonic()
    other.acquire()
    assert time.monotonic() - begun > 0.2
    other.renew()


def test_a_run_that_another_worker_holds_is_told_and_not_waited_for_long(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "SILENCE", 1.0)
    monkeypatch.setattr(leases, "POLL", 0.05)
    plan, others = Plan("x", tiny_config()), Others(tmp_path, store.url)
    assert not others.work_on(plan)
    holder, waiting = Lease(store, "runs/x"), Lease(store, "runs/x")
    holder.owner = "another-machine 1 abc"
    holder.acquire()
    assert others.work_on(plan)
    beats = threading.Timer(0.2, holder.renew)
    beats.start()
    begun = time.monotonic()
    with pytest.raises(Busy, match="another worker is working on memory://"):
        waiting.acquire()
    assert time.monotonic() - begun < 1.0
    beats.join()
    assert others.work_on(plan)
    time.sleep(1.1)
    assert not others.work_on(plan), "it has been silent for too long"
    holder.release()
    assert not others.work_on(plan)


@pytest.mark.slow
def test_a_run_worked_on_in_storage_has_the_bytes_of_one_in_a_folder(
    bucket: str, tmp_path: Path, probe_cache_folder: Path
) -> None:
    config = tiny_config()
    home, url = tmp_path / "home", f"{bucket}/run"
    open_or_create(home / "runs" / "seed-0", config)
    asked = Resources(device="cpu", store=url, save_every=0.0)
    outcome = work(home / "runs" / "seed-0", home, asked, lambda line: None)
    assert outcome.reason == "done"
    assert not (home / "runs" / "seed-0" / "checkpoints" / "step-00000009.safetensors").exists()
    assert {path.name for path in (home / "runs" / "seed-0").iterdir() if path.is_file()} - {
        ".lock"
    } == set(SMALL)
    assert fetch_sweep(Store(url), tmp_path / "back", ["seed-0"], ()) == []
    for _ in tiny_session(tmp_path / "alone" / "seed-0", config, probe_cache_folder).execute():
        pass
    assert content(tmp_path / "back" / "runs" / "seed-0") == content(tmp_path / "alone" / "seed-0")
    assert Store(url).read("runs/seed-0/lease.json") is None


def test_what_a_store_lacks_is_told_in_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["sweep", "status", "nothing://there"]) == 2
    assert "nothing://there cannot be used: " in capsys.readouterr().err
    assert main(["sweep", "collect", "memory://there"]) == 2
    assert "sweep fetch memory://there --out DIR" in capsys.readouterr().err
    assert main(["sweep", "fetch", str(tmp_path)]) == 2
    assert "conceptspace sweep fetch URL --out DIR" in capsys.readouterr().err
    monkeypatch.delitem(sys.modules["fsspec.registry"]._registry, "s3", raising=False)
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(UserError, match=r"pip install 'conceptspace\[s3\]'"):
        Store("s3://bucket/x")


@pytest.mark.slow
def test_a_killed_worker_is_resumed_from_the_bucket_to_the_same_bytes(
    bucket: str, tmp_path: Path, probe_cache_folder: Path
) -> None:
    plan = Plan("seed-0", tiny_config(train__steps=400, train__checkpoint_steps=(100, 200, 400)))
    store, out = Store(f"{bucket}/killed"), tmp_path / "out"
    asked = Resources(device="cpu", store=store.url, save_every=0.0)
    killed: list[bool] = []

    def stop() -> bool:
        if not killed and store.read("runs/seed-0/resume/step-00000100.json") and kill(out):
            killed.append(True)
            shutil.rmtree(out / "runs")  # as on another machine
        return False

    events = list(local.execute([plan], out, jobs=1, resources=asked, stop=stop))
    assert killed
    assert [type(e) for e in events if isinstance(e, Lost | Finished)] == [Lost, Finished]
    assert fetch_sweep(store, tmp_path / "back", ["seed-0"], ()) == []
    back = tmp_path / "back" / "runs" / "seed-0"
    for _ in tiny_session(tmp_path / "alone" / "seed-0", plan.config, probe_cache_folder).execute():
        pass
    assert content(back) == content(tmp_path / "alone" / "seed-0")
    assert list(Run(back).training()["step"]) == list(range(1, 401))


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["local", "ray"])
def test_the_command_sweeps_into_a_bucket(
    engine: str,
    bucket: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if engine == "ray":
        pytest.importorskip("ray")
        monkeypatch.setenv("RAY_worker_niceness", "0")
    monkeypatch.setenv("CONCEPTSPACE_CACHE", str(tmp_path / "cache"))
    (tmp_path / "tiny.toml").write_text(tiny_config().text())
    (tmp_path / "sweep.toml").write_text('base = "tiny.toml"\n[axes]\nseed = "0..1"\n')
    url, asked = f"{bucket}/{engine}", ["--engine", engine, "--device", "cpu", "--jobs", "2"]
    command = ["sweep", str(tmp_path / "sweep.toml"), "--out", url, *asked]
    assert main(command) == 0
    assert main(["sweep", "status", url]) == 0
    assert "2 runs: 2 done" in capsys.readouterr().out
    assert main(["sweep", "fetch", url, "--out", str(tmp_path / "back")]) == 0
    assert len(Run(tmp_path / "back" / "runs" / "seed-1").sheets()) == 3
    shutil.rmtree(tmp_path / "cache" / "sweeps")
    assert main(command) == 0
    assert "2 runs, 2 exist" in capsys.readouterr().err
