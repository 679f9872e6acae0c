"""Runs side by side on this machine: each in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from conceptspace.errors import UserError
from conceptspace.experiment import needs, parts
from conceptspace.locking import Busy
from conceptspace.store import Run, open_or_create
from conceptspace.sweeps.cost import taken
from conceptspace.sweeps.others import Others
from conceptspace.sweeps.plan import Plan
from conceptspace.sweeps.progress import (
    Elsewhere,
    Failed,
    Finished,
    Interrupted,
    Lost,
    Progress,
    Started,
)
from conceptspace.sweeps.resources import Resources
from conceptspace.sweeps.worker import BUSY, STOPPED, UNCOVERED

POLL = 0.2
"""Seconds between looks at the processes."""

POLL_OTHERS = 1.0
"""Seconds between looks at runs that other processes work on."""

ONE_CORE = Resources()
"""What a run is given by default: a thread of its own."""


@dataclass
class _Worker:
    plan: Plan
    process: subprocess.Popen[bytes]
    log: Path


def execute(
    plans: Sequence[Plan],
    out: Path,
    *,
    jobs: int,
    resources: Resources = ONE_CORE,
    stop: Callable[[], bool] = lambda: False,
) -> Iterator[Progress]:
    """Bring every plan to its end, several at once; what exists is skipped.

    A run that fails, for whatever reason, is reported, and the others go on. A worker that was
    killed is replaced, and the run goes on from its last checkpoint. A run that another process
    works on comes after all others: a sweep that is begun twice is shared. Each worker has threads
    of its own, so that a result does not depend on how many work at once, and writes to
    ``OUT/logs``. It stops when this process is gone.

    Args:
        plans: the runs.
        out: output folder.
        jobs: how many at once.
        resources: of each run.
        stop: asked all the time; when it says so, the workers save and end.

    Raises:
        Interrupted: ``stop`` said so.
        UserError: GPUs are to be shared out, which this engine cannot.
    """
    refuse_gpus(resources)
    waiting, workers, lost = list(plans), list[_Worker](), Counter[str]()
    others, awaited = Others(out, resources.store), ""
    try:
        while waiting or workers:
            if stop():
                raise Interrupted
            while waiting and len(workers) < jobs:
                plan = next((p for p in waiting if not others.work_on(p)), None)
                if plan is None:
                    break
                waiting.remove(plan)
                try:
                    if plan.exists(out):
                        continue
                    needs.require(plan.config, plan.folder(out), parts.device(resources.device))
                    resumed = open_or_create(plan.folder(out), plan.config)[1]
                    workers.append(_start(plan, out, resources))
                except Busy:  # another process has begun it just now
                    waiting.append(plan)
                    break
                except Exception as error:  # of this run alone
                    yield _not_begun(plan, out, error)
                    continue
                yield Started(plan, resumed)
            if waiting and not workers and awaited != waiting[0].name:
                awaited = waiting[0].name
                yield Elsewhere(waiting[0])
            for worker in [w for w in workers if w.process.poll() is not None]:
                workers.remove(worker)
                event = _ended(worker, out)
                if isinstance(event, Lost):
                    lost[worker.plan.name] += 1
                    if lost[worker.plan.name] > resources.retries:
                        event = Failed(event.plan, event.reason)
                    else:
                        waiting.insert(0, worker.plan)
                elif isinstance(event, Elsewhere):
                    waiting.append(worker.plan)
                    continue
                yield event
            time.sleep(POLL if workers else POLL_OTHERS)
    finally:
        for worker in workers:
            worker.process.terminate()
        for worker in workers:
            worker.process.wait()


def refuse_gpus(resources: Resources) -> None:
    """Refuse GPUs that are to be shared out, which this engine cannot.

    Raises:
        UserError: they are.
    """
    if resources.gpus:
        raise UserError("local processes do not share out GPUs; add --engine ray")


def log_of(plan: Plan, out: Path) -> Path:
    """Where a run's worker writes what it says."""
    return out / "logs" / f"{plan.name.replace('/', '-')}.log"


def _start(plan: Plan, out: Path, resources: Resources) -> _Worker:
    log = log_of(plan, out)
    log.parent.mkdir(parents=True, exist_ok=True)
    asked = [str(plan.folder(out)), str(out), json.dumps(asdict(resources))]
    with log.open("ab") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "conceptspace.sweeps.worker", *asked],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            env=os.environ | resources.environment,
            start_new_session=True,
        )
    return _Worker(plan, process, log)


def _ended(worker: _Worker, out: Path) -> Finished | Lost | Failed | Elsewhere:
    plan, status = worker.plan, worker.process.returncode
    if status == 0:
        try:
            covered, problem = plan.exists(out), UNCOVERED
        except (UserError, OSError) as error:
            covered, problem = False, str(error)
        if covered:
            return Finished(plan, taken(Run(plan.folder(out))))
        return Failed(plan, f"{problem} (log: {worker.log})")
    if status == BUSY:
        return Elsewhere(plan)
    lines = list[str]()
    with suppress(OSError):
        lines = worker.log.read_text(errors="replace").strip().splitlines()
    last = lines[-1] if lines else "it left no message"
    if status < 0:
        return Lost(plan, f"its process was ended by signal {-status} (log: {worker.log})")
    if status == STOPPED:
        last = "it was stopped; the same command goes on with it"
    return Failed(plan, f"{last} (log: {worker.log})")


def _not_begun(plan: Plan, out: Path, error: Exception) -> Failed:
    """A run that could not be begun; of an error that nobody foresaw, its log tells where."""
    if isinstance(error, UserError | OSError):
        return Failed(plan, str(error))
    log = log_of(plan, out)
    with suppress(OSError):
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("a") as file:
            traceback.print_exception(error, file=file)
    first = next(iter(str(error).splitlines()), "")
    return Failed(plan, f"{type(error).__name__}: {first} (log: {log})")
