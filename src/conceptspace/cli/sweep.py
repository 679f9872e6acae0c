"""The command ``sweep``: runs of a sweep file, and how they stand."""

from __future__ import annotations

import json
import os
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import torch

from conceptspace.cache import sweep_cache
from conceptspace.cli.carry_out import Engine, carried_out, time_in_words
from conceptspace.cli.parser import INTERRUPTED, refuse_others
from conceptspace.cli.standing import sentence, unfinished
from conceptspace.cli.sweep_flags import COLLECT, FETCH, STATUS, TAKES
from conceptspace.errors import UserError
from conceptspace.experiment import parts
from conceptspace.experiment.needs import bytes_in_words
from conceptspace.files import sha256
from conceptspace.store import Run
from conceptspace.sweeps import local, on_ray, slurm
from conceptspace.sweeps.cost import covered, disk, time_left
from conceptspace.sweeps.file import read_sweep
from conceptspace.sweeps.folder import COLLECTION, FAILURES, SWEEP, planned_runs
from conceptspace.sweeps.outlook import REFUSED, outlook
from conceptspace.sweeps.plan import Plan
from conceptspace.sweeps.progress import Interrupted, Progress
from conceptspace.sweeps.resources import Resources
from conceptspace.sweeps.status import SweepStatus, status
from conceptspace.sweeps.storage import (
    SMALL,
    Store,
    claim,
    fetch_records,
    fetch_sweep,
    push_records,
)

RECORDS = (SWEEP, FAILURES)


def sweep(options: Namespace) -> int:
    """Carry out a sweep file, or print how a sweep stands."""
    if options.file in TAKES:
        _refuse_others(options)
        return {STATUS: _status, COLLECT: _collect, FETCH: _fetch}[options.file](options)
    if options.json:
        raise UserError("--json is for sweep status; a sweep file takes none")
    if options.folder is not None:
        raise UserError(
            f"unknown argument {options.folder}; only sweep status, collect and fetch take a folder"
        )
    if options.out is None:
        raise UserError("say where the runs go: --out DIR")
    plans = read_sweep(Path(options.file))
    store = Store(options.out) if isinstance(options.out, str) else None
    resources = Resources(
        options.cpus_per_run,
        options.gpus_per_run,
        options.device,
        options.retries,
        tuple(dict.fromkeys(options.log)),
        store.url if store is not None else "",
    )
    _refuse_mixed(options, resources)
    out = options.out = options.out if store is None else here(store)
    if store is not None:
        fetch_records(store, out, RECORDS)
        _warn(fetch_sweep(store, out, [plan.name for plan in plans], SMALL))
    jobs = options.jobs or max(1, (os.cpu_count() or 1) // resources.threads)
    if options.dry_run:
        return _dry_run(options, plans, resources, jobs)
    if options.slurm:
        return _submit(options, plans, resources)
    engine, at_once = _engine(options, plans, resources, jobs)
    if store is not None:
        engine = _copied_to_storage(engine, store, out)
    there = sum(covered(plan, out) for plan in plans)
    print(f"{len(plans)} runs, {there} exist", file=sys.stderr)
    try:
        failed = carried_out(engine, plans, out, at_once)
    except Interrupted:
        print("stopped; the same command goes on where it was", file=sys.stderr)
        return INTERRUPTED
    where = out if store is None else store.url
    print(f"how they stand: conceptspace sweep status {where}", file=sys.stderr)
    if store is None and failed < len(plans):
        _print_collected(collect_plans(out, [plan.name for plan in plans]), out)
    return 1 if failed else 0


def _refuse_others(options: Namespace) -> None:
    """Refuse flags that a word in the place of the file does not take."""
    plain = ["sweep", options.file]
    plain += [str(options.folder)] if options.folder is not None else []
    plain += ["--json"] if options.json and options.file == STATUS else []
    plain += (
        ["--out", str(options.out)] if options.out is not None and options.file == FETCH else []
    )
    refuse_others(options, plain, TAKES[options.file])


def _refuse_mixed(options: Namespace, resources: Resources) -> None:
    """Refuse flags of one engine beside another, before anything is written.

    Raises:
        UserError: names them.
    """
    if options.slurm:
        if resources.store:
            raise UserError("--slurm needs a folder that all nodes see; storage takes --engine ray")
        if options.engine != "local":
            raise UserError(
                "--slurm and --engine ray exclude each other; start Ray in an allocation"
            )
        slurm.refuse_shares(resources)
    elif options.sbatch:
        raise UserError("--sbatch gives options to Slurm; add --slurm")
    elif options.engine == "local":
        if options.address:
            raise UserError("--address is that of a Ray cluster; add --engine ray")
        local.refuse_gpus(resources)


def _engine(
    options: Namespace, plans: Sequence[Plan], resources: Resources, jobs: int
) -> tuple[Callable[[Callable[[], bool]], Iterator[Progress]], int]:
    """What works on the runs, and on how many at once; 0 if a cluster decides that."""
    out: Path = options.out
    if options.engine == "local":
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
    ), 0 if on_cluster and not options.jobs else jobs


def _submit(options: Namespace, plans: Sequence[Plan], resources: Resources) -> int:
    """Submit the runs to Slurm, and do not wait for them."""
    out: Path = options.out
    job = slurm.submit(plans, out, resources, at_once=options.jobs, options=options.sbatch)
    if not job:
        print(f"all {len(plans)} runs exist", file=sys.stderr)
        return 0
    print(
        f"Slurm has job {job}; end it with: scancel {job}; how the runs stand: conceptspace sweep "
        f"status {out}; the same command goes on with what is left",
        file=sys.stderr,
    )
    return 0


def _dry_run(options: Namespace, plans: Sequence[Plan], resources: Resources, jobs: int) -> int:
    """Every run, and what they will take."""
    out, works_here = options.out, options.engine == "local" and not options.slurm
    device, timed = _timed_on(resources.device, works_here)
    found = [outlook(plan, out, device if works_here else None) for plan in plans]
    for one in found:
        print(f"{one.plan.name}  {one}")
    possible = [one.plan for one in found if one.state != REFUSED]
    print(
        f"{len(plans)} runs, about {time_in_words(time_left(possible, out, jobs, device))}, "
        f"and {bytes_in_words(disk(possible, out))} of disk{timed}"
    )
    if len(possible) == len(plans):
        return 0
    if options.slurm:  # it submits all or none
        raise UserError(next(one.reason for one in found if one.state == REFUSED))
    return 1


def _timed_on(name: str, works_here: bool) -> tuple[torch.device, str]:
    """The device on which the runs' steps are timed, and what to say of it.

    A cluster may have a device that the machine from which runs are submitted has not.
    """
    try:
        return parts.device(name), ""
    except UserError:
        if works_here:
            raise
    return torch.device("cpu"), f"; timed with one thread of a CPU, for {name} is not here"


def _status(options: Namespace) -> int:
    if options.folder is None:
        raise UserError("name the sweep's folder: conceptspace sweep status DIR")
    out = options.folder
    if isinstance(out, str):
        store, out = Store(out), here(Store(out))
        fetch_records(store, out, RECORDS)
        _warn(fetch_sweep(store, out, [run.name for run in planned_runs(out)[0]], SMALL))
    found = status(out)
    lines = [sentence(found), *unfinished(found)]
    print(_json(found) if options.json else "\n".join(lines))
    return 0


def _collect(options: Namespace) -> int:
    if options.folder is None:
        raise UserError("name the sweep's folder: conceptspace sweep collect DIR")
    out = options.folder
    if isinstance(out, str):
        raise UserError(f"fetch the sweep first: conceptspace sweep fetch {out} --out DIR")
    _print_collected(collect_plans(out, [run.name for run in planned_runs(out)[0]]), out)
    return 0


def _fetch(options: Namespace) -> int:
    """Copy a sweep from a storage into a folder."""
    if not isinstance(options.folder, str) or not isinstance(options.out, Path):
        raise UserError("say what goes where: conceptspace sweep fetch URL --out DIR")
    store, out = Store(options.folder), options.out
    claim(store, out)
    fetch_records(store, out, RECORDS)
    problems = fetch_sweep(store, out, [run.name for run in planned_runs(out)[0]], ())
    _warn(problems)
    print(f"runs in {out / 'runs'}", file=sys.stderr)
    return 1 if problems else 0


def _warn(problems: Sequence[str]) -> None:
    for problem in problems:
        print(problem, file=sys.stderr)


def here(store: Store) -> Path:
    """The local folder for a sweep in a storage."""
    return sweep_cache() / sha256(store.url.encode())[:16]


def _copied_to_storage(engine: Engine, store: Store, out: Path) -> Engine:
    """The engine, while the files of the sweep itself are copied to the storage."""

    def events(stop: Callable[[], bool]) -> Iterator[Progress]:
        push_records(store, out, RECORDS)
        for event in engine(stop):
            yield event
            push_records(store, out, (FAILURES,))

    return events


def collect_plans(out: Path, names: Sequence[str]) -> dict[str, str]:
    """Collect those runs of a sweep that were begun; why others are left out, by name."""
    from conceptspace.collection.write import collect  # a dry run needs no statistics

    folders = {name: out / "runs" / name for name in names}
    begun = {n: Run(folder) for n, folder in folders.items() if (folder / "config.toml").is_file()}
    left_out = {name: "it has not begun" for name in names if name not in begun}
    return left_out | collect(begun, out / COLLECTION)


def _print_collected(left_out: Mapping[str, str], out: Path) -> None:
    for name, reason in left_out.items():
        print(f"not in the collection: {name}: {reason}", file=sys.stderr)
    print(f"all runs in one: {out / COLLECTION}", file=sys.stderr)


def _json(found: SweepStatus) -> str:
    runs = [asdict(run) for run in found.runs]
    whole = {"runs": runs, "counts": found.counts, "hours_left": found.hours_left}
    return json.dumps(whole, indent=2, allow_nan=False)
