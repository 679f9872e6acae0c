"""A whole tiny run with a fault at every operation on the disk, one at a time.

A sample of it belongs to ``make test``; ``make test-faults`` does all of it.
"""

from __future__ import annotations

import os
import random
import re
import signal
import time
from pathlib import Path

import pytest
from campaign import PLANNED, config_file, contents
from disks import FAULTS, Counting, Crash

from conceptspace import files
from conceptspace.cache import VARIABLE
from conceptspace.cli import main
from conceptspace.engine.native.compiling import native
from conceptspace.store import Run
from conceptspace.training import checkpoint

SAMPLE = {"broken": 3, "full": 2, "killed": 3, "power loss": 3}
"""How many operations of each campaign are tried in ``make test``."""

KILLS = 200
"""SIGKILLs at random moments."""


@pytest.fixture(scope="module", autouse=True)
def only_what_is_stored():
    """No figures, and no curves of the probe, which take a third of the time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("conceptspace.cli.commands._report", lambda *a: None)
        patch.setattr("conceptspace.judges.probe.between", lambda *a: {})
        yield


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """What a run without faults writes, its number of operations, and its processor time."""
    native()
    for _ in range(2):  # the second time all modules are imported, as in what is compared with it
        folder, disk = tmp_path_factory.mktemp("reference"), Counting()
        started = time.process_time()
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(VARIABLE, str(folder / "cache"))
            patch.setattr(files, "DISK", disk)
            asked = ["--config", str(config_file(folder)), "--out", str(folder / "r")]
            assert main(["run", *asked]) == 0
        seconds = time.process_time() - started
    return contents(folder / "r"), disk.done, seconds


def faulty(fault, n, folder, monkeypatch, capsys):
    """Run with a fault; returns the exit status, None for a process that died, and what it said."""
    capsys.readouterr()
    with monkeypatch.context() as patch:
        patch.setattr(files, "DISK", FAULTS[fault](n))
        try:
            status = main(["run", "--config", str(config_file(folder)), "--out", str(folder / "r")])
        except Crash:
            status = None
    return status, capsys.readouterr().err


def check(fault, n, folder, reference, monkeypatch, capsys):
    """One fault, then a second start on a good disk."""
    folder.mkdir()
    monkeypatch.setenv(VARIABLE, str(folder / "cache"))
    status, error = faulty(fault, n, folder, monkeypatch, capsys)
    run, what = folder / "r", f"{fault} at operation {n}"
    assert "Traceback" not in error, what
    assert status in (None, 0, 1, 2), f"{what}: exit status {status}"
    if status:
        assert re.match(r"conceptspace: .*(space|error)", error.splitlines()[-1]), (
            f"{what}: {error}"
        )
    for place in ("checkpoints", "resume"):
        for step in checkpoint.saved_steps(run / place):
            checkpoint.load(run / place, step)
    if status == 0 or finished(run):
        assert checkpoint.saved_steps(run / "checkpoints") == PLANNED, f"{what}: called finished"
        assert contents(run) == reference[0], f"{what}: called finished"
    assert main(["run", "--config", str(config_file(folder)), "--out", str(run)]) == 0, what
    assert contents(run) == reference[0], what
    assert not list(run.rglob(".*.tmp")), what


def finished(run):
    """Whether a folder says that its run is finished."""
    return (run / "run.json").exists() and Run(run).information().get("status") == "finished"


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_at_some_operations(fault, tmp_path, reference, monkeypatch, capsys):
    operations, number = reference[1], SAMPLE[fault]
    for i in range(number):
        n = (2 * i + 1) * operations // (2 * number)
        check(fault, n, tmp_path / str(n), reference, monkeypatch, capsys)


@pytest.mark.faults
@pytest.mark.parametrize("part", range(20))
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_at_every_operation(fault, part, tmp_path, reference, monkeypatch, capsys):
    for n in range(part, reference[1], 20):
        check(fault, n, tmp_path / str(n), reference, monkeypatch, capsys)


def kill(folder, seconds):
    """Run in a process of its own and kill it after some processor time; whether it still ran.

    Processor time is the same share of a run however busy the machine is.
    """
    child = os.fork()
    if child == 0:
        os.close(2)
        os._exit(main(["run", "--config", str(config_file(folder)), "--out", str(folder / "r")]))
    ended = os.WEXITED | os.WNOHANG | os.WNOWAIT
    while processor_time(child) < seconds and os.waitid(os.P_PID, child, ended) is None:
        time.sleep(0.002)
    time.sleep(random.uniform(0, 0.02))  # between two ticks of that clock, and while a disk waits
    os.kill(child, signal.SIGKILL)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def processor_time(process):
    """Seconds, by the kernel's ticks of a hundredth."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def killed_at(moment, folder, reference, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(folder / "cache"))
    folder.mkdir()
    hit, run = kill(folder, moment * reference[2]), folder / "r"
    for place in ("checkpoints", "resume"):
        for step in checkpoint.saved_steps(run / place):
            checkpoint.load(run / place, step)
    if run.exists() and finished(run):
        assert checkpoint.saved_steps(run / "checkpoints") == PLANNED
    assert main(["run", "--config", str(config_file(folder)), "--out", str(run)]) == 0
    assert contents(run) == reference[0], f"killed after {moment:.2f} of the time"
    assert not list(run.rglob(".*.tmp"))
    return hit


def test_killed_at_some_moments(tmp_path, reference, monkeypatch):
    hits = [
        killed_at(moment, tmp_path / str(moment), reference, monkeypatch)
        for moment in (0.2, 0.5, 0.8)
    ]
    assert any(hits)


@pytest.mark.faults
@pytest.mark.parametrize("part", range(20))
def test_killed_at_many_moments(part, tmp_path, reference, monkeypatch):
    moments = [(part + 20 * i + 0.5) / KILLS for i in range(KILLS // 20)]
    hits = [killed_at(m, tmp_path / f"{m}", reference, monkeypatch) for m in moments]
    assert sum(hits) >= len(hits) / 2, "most were killed before they had ended"
