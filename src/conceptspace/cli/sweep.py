"""The command ``sweep``: runs of a sweep file, and how they stand."""

from __future__ import annotations

import json
import os
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from conceptspace.cli.carry_out import carried_out, duration
from conceptspace.cli.parser import INTERRUPTED
from conceptspace.cli.sweep_flags import STATUS
from conceptspace.errors import UserError
from conceptspace.experiment import parts
from conceptspace.experiment.needs import told
from conceptspace.sweeps import local, on_ray
from conceptspace.sweeps.cost import covered, disk, estimate, measured
from conceptspace.sweeps.plan import Plan
from conceptspace.sweeps.progress import Interrupted, Progress
from conceptspace.sweeps.read import read_sweep
from conceptspace.sweeps.resources import Resources
from conceptspace.sweeps.status import SweepStatus, status


def sweep(options: Namespace) -> int:
    """Carry out a sweep file, or tell how a sweep stands."""
    if options.file == STATUS:
        return _status(options)
    if options.folder is not None:
        raise UserError(f"unknown argument {options.folder}; only `sweep status DIR` takes two")
    if options.out is None:
        raise UserError("say where the runs go: --out DIR")
    out: Path = options.out
    plans = read_sweep(Path(options.file))
    resources = Resources(
        options.cpus_per_run,
        options.gpus_per_run,
        options.device,
        options.retries,
        tuple(dict.fromkeys(options.log)),
    )
    jobs = options.jobs or max(1, (os.cpu_count() or 1) // resources.threads)
    if options.dry_run:
        return _dry_run(plans, out, jobs, resources)
    engine, at_once = _engine(options, plans, resources, jobs)
    there = sum(covered(plan, out) for plan in plans)
    print(f"{len(plans)} runs, {there} exist", file=sys.stderr)
    try:
        failed = carried_out(engine, plans, out, at_once)
    except Interrupted:
        print("stopped; the same command goes on where it was", file=sys.stderr)
        return INTERRUPTED
    print(f"how they stand: conceptspace sweep status {out}", file=sys.stderr)
    return 1 if failed else 0


def _engine(
    options: Namespace, plans: Sequence[Plan], resources: Resources, jobs: int
) -> tuple[Callable[[Callable[[], bool]], Iterator[Progress]], int]:
    """What works on the runs, and how many at once; 0 where that is a cluster's business."""
    out: Path = options.out
    if options.engine == "local":
        if options.address:
            raise UserError("--address is that of a Ray cluster; add --engine ray")
        return (
            lambda stop: local.execute(plans, out, jobs=jobs, resources=resources, stop=stop)
        ), jobs
    on_cluster = bool(options.address or os.environ.get(on_ray.ADDRESS))
    return (
        lambda stop: on_ray.execute(
            plans,
            out,
            resources=resources,
            address=options.address,
            jobs=options.jobs,
            stop=stop,
        )
    ), 0 if on_cluster else jobs


def _dry_run(plans: Sequence[Plan], out: Path, jobs: int, resources: Resources) -> int:
    """Every run, and what they will take."""
    device = parts.device(resources.device)
    for plan in plans:
        print(f"{plan.name}  {'exists' if covered(plan, out) else 'missing'}")
    seconds = estimate(plans, out, jobs, lambda config: measured(config, device))
    print(
        f"{len(plans)} runs, about {duration(seconds)} with {jobs} at once, "
        f"and {told(disk(plans, out))} of disk"
    )
    return 0


def _status(options: Namespace) -> int:
    if options.folder is None:
        raise UserError("name the sweep's folder: conceptspace sweep status DIR")
    found = status(options.folder)
    print(_json(found) if options.json else _text(found))
    return 0


def _json(found: SweepStatus) -> str:
    runs = [asdict(run) for run in found.runs]
    whole = {"runs": runs, "counts": found.counts, "hours_left": found.hours_left}
    return json.dumps(whole, indent=2, allow_nan=False)


def _text(found: SweepStatus) -> str:
    """The counts, then every run that is neither done nor waiting."""
    counts = ", ".join(f"{count} {name}" for name, count in found.counts.items())
    left = f"; about {duration(3600 * found.hours_left)} left" if found.hours_left else ""
    lines = [f"{len(found.runs)} runs: {counts}{left}"]
    for run in found.runs:
        if run.status not in ("done", "waiting"):
            why = run.reason or f"{100 * run.share:.0f} % of its checkpoints"
            lines.append(f"{run.name}: {run.status}, {why}")
    return "\n".join(lines)
