"""Runs of a sweep as an array of Slurm: one task a run, on nodes that see the folder.

::

    OUT/
      sweep.json      every run, see :mod:`conceptspace.sweeps.folder`
      slurm-HASH.json the runs of an array, what each is given, the job's number
      slurm.sh        what was submitted
      logs/slurm-N.log

A task works on its run like the local engine: a worker that is lost is replaced, and one whose time
is up, or that is preempted, saves and ends; Slurm queues preempted tasks again.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from conceptspace.errors import UserError
from conceptspace.experiment import parts
from conceptspace.files import make_folders, read_record, sha256, write_atomically, write_record
from conceptspace.locking import worked_on
from conceptspace.store import Run, open_or_create
from conceptspace.sweeps import local
from conceptspace.sweeps.folder import begin
from conceptspace.sweeps.plan import Plan
from conceptspace.sweeps.progress import Failed, Interrupted
from conceptspace.sweeps.resources import Resources
from conceptspace.sweeps.worker import STOPPED, Stop

SCRIPT = "slurm.sh"

NOTICE = 60
"""Seconds before the end of its time at which a task is told to save."""


def submit(
    plans: Sequence[Plan],
    out: Path,
    resources: Resources,
    *,
    at_once: int | None = None,
    options: Sequence[str] = (),
) -> str:
    """Submit the runs that do not exist; what exists is skipped.

    A run that another process works on comes last in the array, and its task waits for that.

    Args:
        plans: the runs.
        out: output folder, which all nodes see under the same path.
        resources: of each run; GPUs are whole.
        at_once: how many tasks may run at once; None for as many as Slurm allows.
        options: further ones of ``sbatch`` without dashes, such as ``partition=gpu``.

    Returns:
        The job's number; empty where every run exists.

    Raises:
        UserError: a run cannot be begun, Slurm is not there or refuses the job, or GPUs are to be
            shared.
    """
    for plan in plans:
        parts.validate(plan.config)
    refuse_shares(resources)
    waiting = [plan for plan in plans if not plan.exists(out)]
    waiting.sort(key=lambda plan: worked_on(plan.folder(out)))
    for plan in waiting:
        open_or_create(plan.folder(out), plan.config)
    begin(out, plans, at_once or 0)
    if not waiting:
        return ""
    record = {"runs": [plan.name for plan in waiting], "resources": asdict(resources)}
    # Tasks of an earlier array may still wait, and read what was written for them.
    path = out.resolve() / f"slurm-{sha256(json.dumps(record).encode())[:8]}.json"
    text = batch_script(len(waiting), path, resources, at_once, options)
    make_folders(out / "logs")
    write_record(path, record)
    write_atomically(out / SCRIPT, text.encode())
    job = _sbatch(out / SCRIPT)
    write_record(path, record | {"job": job})
    return job


def batch_script(
    runs: int, record: Path, resources: Resources, at_once: int | None, options: Sequence[str]
) -> str:
    """The batch script of an array whose runs a record in the sweep's folder names."""
    most, out = f"%{at_once}" if at_once else "", record.parent
    given = [
        f"job-name={out.name or 'sweep'}",
        f"array=0-{runs - 1}{most}",
        f"cpus-per-task={resources.threads}",
        *([f"gpus-per-task={int(resources.gpus)}", "ntasks=1"] if resources.gpus else []),
        f"output={out}/logs/slurm-%a.log",
        "open-mode=append",
        "requeue",
        f"signal=B:TERM@{NOTICE}",
        *options,
    ]
    lines = [f"#SBATCH --{option}" for option in given]
    task = [sys.executable, "-m", "conceptspace.sweeps.slurm", str(record)]
    return "\n".join(["#!/bin/sh", *lines, f'exec {shlex.join(task)} "$SLURM_ARRAY_TASK_ID"', ""])


def refuse_shares(resources: Resources) -> None:
    """Refuse a GPU that is to be shared by runs.

    Raises:
        UserError: it is.
    """
    if resources.gpus % 1:
        raise UserError(
            "Slurm gives a run whole GPUs; to share one, start Ray in an allocation and add "
            "--engine ray --address"
        )


def _sbatch(path: Path) -> str:
    """Submit a script; the job's number."""
    try:
        done = subprocess.run(["sbatch", "--parsable", path], capture_output=True, text=True)
    except FileNotFoundError:
        raise UserError(
            f"--slurm needs sbatch, which is not here; submit where it is: sbatch {path}"
        ) from None
    if done.returncode:
        said = next(iter(done.stderr.strip().splitlines()), f"status {done.returncode}")
        raise UserError(f"Slurm refuses {path}: {said.removeprefix('sbatch: error: ')}")
    return done.stdout.strip().partition(";")[0]


def main(path: str, index: str) -> int:
    """The task of a run; returns the exit status."""
    home, record = Path(path).parent, read_record(Path(path))
    given = record["resources"]
    resources = Resources(**given | {"loggers": tuple(given["loggers"])})
    name = record["runs"][int(index)]
    plan = Plan(name, Run(home / "runs" / name).config)
    status = 0
    with Stop().listening() as stop:
        try:
            for event in local.execute(
                [plan], home, jobs=1, resources=replace(resources, gpus=0.0), stop=stop
            ):
                print(json.dumps({"run": name, "event": type(event).__name__}), flush=True)
                if isinstance(event, Failed):
                    print(event.reason, flush=True)
                    status = 1
        except Interrupted:
            status = STOPPED
    return status


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
