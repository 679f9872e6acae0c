"""Runs side by side: each in a process of its own, with one thread."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from conceptspace import build, needs
from conceptspace.errors import UserError
from conceptspace.store import Run, open_or_create
from conceptspace.sweeps.plan import Plan

POLL = 0.2
"""Seconds between looks at the processes."""

STOPPED = 130
"""Exit status of a worker that was asked to stop."""


@dataclass(frozen=True)
class Started:
    """A run begins, or goes on."""

    plan: Plan
    resumed: bool


@dataclass(frozen=True)
class Finished:
    """A run has covered its plan."""

    plan: Plan
    seconds: float


@dataclass(frozen=True)
class Failed:
    """A run ended without covering its plan; ``reason`` says why, in one sentence."""

    plan: Plan
    reason: str


Progress = Started | Finished | Failed


class Interrupted(Exception):
    """The user asked to stop; every run saved what it had."""


@dataclass
class _Worker:
    plan: Plan
    process: subprocess.Popen[bytes]
    log: Path
    started: float


def execute(
    plans: Sequence[Plan],
    out: Path,
    *,
    jobs: int,
    device: str = "auto",
    stop: Callable[[], bool] = lambda: False,
) -> Iterator[Progress]:
    """Bring every plan to its end, several at once; what exists is skipped.

    A run that fails is reported, and the others go on. Each worker has one thread, so that a
    result does not depend on how many work at once, and writes to ``OUT/logs``. It stops when this
    process is gone.

    Args:
        plans: the runs.
        out: output folder.
        jobs: how many at once.
        device: ``auto``, ``cpu`` or ``cuda``.
        stop: asked all the time; when it says so, the workers save and end.

    Raises:
        Interrupted: ``stop`` said so.
    """
    waiting, workers = list(plans), list[_Worker]()
    try:
        while waiting or workers:
            if stop():
                raise Interrupted
            while waiting and len(workers) < jobs:
                plan = waiting.pop(0)
                try:
                    if plan.exists(out):
                        continue
                    needs.require(plan.config, plan.folder(out), build.device(device))
                    resumed = open_or_create(plan.folder(out), plan.config)[1]
                except (UserError, OSError) as error:
                    yield Failed(plan, str(error))
                    continue
                workers.append(_start(plan, out, device))
                yield Started(plan, resumed)
            for worker in [w for w in workers if w.process.poll() is not None]:
                workers.remove(worker)
                yield _ended(worker, out)
            time.sleep(POLL)
    finally:
        for worker in workers:
            worker.process.terminate()
        for worker in workers:
            worker.process.wait()


def _start(plan: Plan, out: Path, device: str) -> _Worker:
    log = out / "logs" / f"{plan.name.replace('/', '-')}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "conceptspace.sweeps.worker", str(plan.folder(out)), device]
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    with log.open("ab") as file:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            env=os.environ | threads,
            start_new_session=True,
        )
    return _Worker(plan, process, log, time.perf_counter())


def _ended(worker: _Worker, out: Path) -> Finished | Failed:
    plan, status = worker.plan, worker.process.returncode
    if status == 0 and plan.exists(out):
        seconds = Run(plan.folder(out)).information().get("seconds", 0.0)
        return Finished(plan, float(seconds))
    lines = worker.log.read_text(errors="replace").strip().splitlines()
    last = lines[-1] if lines else "it left no message"
    if status == STOPPED:
        last = "it was stopped; the same command goes on with it"
    elif status < 0:
        last = f"its process was ended by signal {-status}; the same command goes on with it"
    return Failed(plan, f"{last} (log: {worker.log})")
