"""Training in a process of its own: the same bytes, and an end in every case."""

import os
import signal
import time
from hashlib import sha256
from pathlib import Path

import pytest

from conceptspace.errors import Diverged
from conceptspace.events import Evaluated, Stopped, Trained
from conceptspace.experiment.session import Session
from conceptspace.experiment.training_process import Ended, TrainingProcess
from conceptspace.store import Run, open_or_create
from conceptspace.training import checkpoint
from tiny import CPU, tiny_config

PROTOCOLS = ("overprompting-color", "patching")


def session(
    folder: Path, probe_cache_folder: Path, beside: bool = True, **changes: object
) -> Session:
    config = tiny_config(**{"evaluate__protocols": PROTOCOLS, **changes})
    return Session(open_or_create(folder, config)[0], CPU, probe_cache_folder, beside=beside)


def contents(folder: Path) -> dict[str, str]:
    """The hashes of all files but those that hold times."""
    files = {str(p.relative_to(folder)): p for p in folder.rglob("*") if p.is_file()}
    left_out = ("run.json", "training.parquet")
    return {n: sha256(p.read_bytes()).hexdigest() for n, p in files.items() if n not in left_out}


def running(process: int) -> bool:
    try:
        return bool(Path(f"/proc/{process}/cmdline").read_bytes())  # empty once it has ended
    except FileNotFoundError:
        return False


def losses(folder: Path) -> list[float]:
    return list(Run(folder).training()["loss"])


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory, probe_cache_folder: Path) -> Path:
    """A run of one process."""
    folder = tmp_path_factory.mktemp("alone") / "run"
    assert list(session(folder, probe_cache_folder, beside=False).execute())
    return folder


def test_a_process_of_its_own_makes_the_same_run(
    alone: Path, tmp_path: Path, probe_cache_folder: Path
) -> None:
    events = list(session(tmp_path / "run", probe_cache_folder).execute())
    assert contents(tmp_path / "run") == contents(alone)
    assert losses(tmp_path / "run") == losses(alone)
    information, before = Run(tmp_path / "run").information(), Run(alone).information()
    assert information["status"] == "finished"
    assert information["replaced"] == before["replaced"]
    assert information["probe"] == before["probe"]
    assert [e.step for e in events if isinstance(e, Trained)] == list(range(1, 10))
    scored = [(e.step, e.protocol) for e in events if isinstance(e, Evaluated)]
    assert sorted(scored) == sorted((s, p) for s in (0, 4, 9) for p in ("naive", *PROTOCOLS))


@pytest.mark.slow
def test_it_stops_saves_and_goes_on_to_the_same_bytes(
    alone: Path, tmp_path: Path, probe_cache_folder: Path
) -> None:
    folder = tmp_path / "run"
    asked = iter((False, False, True))
    with pytest.raises(Stopped) as stopped:
        list(
            session(folder, probe_cache_folder, train__steps=10**5).execute(
                lambda: next(asked, True)
            )
        )
    step = stopped.value.step
    assert 0 < step < 10**5
    assert checkpoint.saved_steps(folder / "resume")[-1] == step
    assert Run(folder).information()["status"] == "stopped"


@pytest.mark.slow
def test_it_goes_on_after_a_kill_to_the_same_bytes(
    alone: Path, tmp_path: Path, probe_cache_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, children = tmp_path / "run", []
    enter = TrainingProcess.__enter__

    def entered(self: TrainingProcess) -> TrainingProcess:
        found = enter(self)
        children.append(self.process)
        return found

    monkeypatch.setattr(TrainingProcess, "__enter__", entered)
    events = session(folder, probe_cache_folder).execute()
    next(events)
    children[0].send_signal(signal.SIGKILL)
    with pytest.raises(Ended, match=r"ended \(status -9\); the same command goes on"):
        list(events)
    assert Run(folder).information()["status"] == "failed"
    list(session(folder, probe_cache_folder).execute())
    assert contents(folder) == contents(alone)


@pytest.mark.slow
def test_its_divergence_is_reported_as_such(tmp_path: Path, probe_cache_folder: Path) -> None:
    folder = tmp_path / "run"
    with pytest.raises(Diverged, match=r"training diverged at step \d"):
        list(
            session(
                folder, probe_cache_folder, train__learning_rate=1e4, train__steps=200
            ).execute()
        )
    assert Run(folder).information()["status"] == "diverged"


@pytest.mark.slow
def test_it_leaves_when_the_other_is_killed(tmp_path: Path, probe_cache_folder: Path) -> None:
    folder = tmp_path / "run"
    run, _ = open_or_create(folder, tiny_config(train__steps=10**5))
    reading, writing = os.pipe()
    holder = os.fork()
    if holder == 0:  # this one would hold the lock
        training = TrainingProcess(run, CPU, "float32").__enter__()
        os.write(writing, str(training.process.pid).encode() + b"\n")
        time.sleep(600)
        os._exit(0)
    child = int(os.read(reading, 20))
    os.kill(holder, signal.SIGKILL)
    os.waitpid(holder, 0)
    patience = time.monotonic() + 60  # it has to have started before it can know
    while running(child) and time.monotonic() < patience:
        time.sleep(0.1)
    outlived = running(child)
    if outlived:
        os.kill(child, signal.SIGKILL)
    assert not outlived
