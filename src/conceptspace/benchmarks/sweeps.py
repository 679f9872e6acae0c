"""What a sweep loses: ``python -m conceptspace.benchmarks.sweeps --out DIR``.

It carries out short runs with 1, 2 and more workers of one thread each, local ones and Ray's;
measures what a worker's start, a task of Ray's and a storage cost; and simulates 1000 runs on 8, 64
and 512 workers from these times.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from heapq import heapify, heapreplace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from conceptspace.benchmarks.machine import describe
from conceptspace.config import merged, nested
from conceptspace.files import write_json
from conceptspace.presets import quick
from conceptspace.store import Run
from conceptspace.sweeps import local, on_ray
from conceptspace.sweeps.cost import taken
from conceptspace.sweeps.plan import Plan
from conceptspace.sweeps.progress import Failed
from conceptspace.sweeps.resources import Resources
from conceptspace.sweeps.storage import Store, StoredRun

ENGINES: dict[str, Callable[..., Iterator[object]]] = {
    "local": local.execute,
    "ray": on_ray.execute,
}

RUNS = 1000
WORKERS = (8, 64, 512)
SHORT = {
    "data.images_per_class": 256,
    "train.steps": 150,
    "train.checkpoint_schedule": "explicit",
    "train.checkpoint_steps": [50, 100, 150],
}
"""The quick preset, shortened to seconds."""

EMPTY = 200
"""Empty tasks that are timed."""


@dataclass(frozen=True)
class Losses:
    """Where the time of workers goes; the shares add up to 1.

    Attributes:
        hours: until the last run has ended.
        runs: working on runs.
        start_up: starting the workers.
        engine: handing out tasks.
        storage: fetching runs and bringing them back.
        stragglers: waiting for the last run.
    """

    hours: float
    runs: float
    start_up: float
    engine: float
    storage: float
    stragglers: float


def simulate(
    seconds: Sequence[float], workers: int, *, start_up: float, engine: float, storage: float
) -> Losses:
    """Runs that are handed out in their order, each to the first worker that is free.

    Args:
        seconds: of each run.
        workers: how many.
        start_up: seconds of each worker before its first run.
        engine: seconds of a worker for each task.
        storage: likewise.
    """
    free = [start_up] * workers
    heapify(free)
    for each in seconds:
        heapreplace(free, free[0] + engine + each + storage)
    end = max(free)
    whole = end * workers
    return Losses(
        hours=end / 3600,
        runs=sum(seconds) / whole,
        start_up=start_up * workers / whole,
        engine=engine * len(seconds) / whole,
        storage=storage * len(seconds) / whole,
        stragglers=sum(end - each for each in free) / whole,
    )


def carry_out(engine: str, workers: int, runs: int, out: Path) -> tuple[float, list[float]]:
    """Seconds that runs take together, the engine's own start included, and each of them.

    Raises:
        RuntimeError: one failed.
    """
    plans = [
        Plan(f"seed-{seed}", merged(quick(), nested({**SHORT, "seed": seed}), "benchmark"))
        for seed in range(runs)
    ]
    begun = time.perf_counter()
    for event in ENGINES[engine](plans, out, jobs=workers, resources=Resources(device="cpu")):
        if isinstance(event, Failed):
            raise RuntimeError(event.reason)
    return time.perf_counter() - begun, [taken(Run(plan.folder(out))) for plan in plans]


def runs_an_hour(
    engine: str, workers: Sequence[int], runs: int, out: Path
) -> tuple[list[dict[str, Any]], list[float]]:
    """Runs an hour by the number of workers, and seconds of each run with the fewest of them.

    The efficiency is that of a worker, against one where the fewest work.

    Args:
        engine: one of :data:`ENGINES`.
        workers: how many at once, several times.
        runs: of each worker.
        out: output folder.
    """
    measured, times = list[dict[str, Any]](), list[float]()
    for number in sorted(workers):
        whole, each = carry_out(engine, number, runs * number, out / f"{number}")
        times = times or each
        pace = 3600 * len(each) / whole
        alone = measured[0]["runs_an_hour"] / measured[0]["workers"] if measured else pace / number
        measured.append(
            {
                "engine": engine,
                "workers": number,
                "runs_an_hour": pace,
                "efficiency": pace / number / alone,
                "load_after": os.getloadavg()[0],
            }
        )
    return measured, times


def starting() -> float:
    """Seconds until a new process can begin with a run."""
    begun = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import conceptspace.sweeps.worker"], check=True)
    return time.perf_counter() - begun


def ray_task() -> float:
    """Seconds that a worker of Ray's is kept by a task that does nothing."""
    import ray

    ray.init(address="local", num_cpus=1, include_dashboard=False, log_to_driver=False)
    try:
        empty = ray.remote(lambda: None)
        ray.get([empty.remote() for _ in range(10)])
        begun = time.perf_counter()
        ray.get([empty.remote() for _ in range(EMPTY)])
        return (time.perf_counter() - begun) / EMPTY
    finally:
        ray.shutdown()


def storing(run: Path, url: str) -> float:
    """Seconds to bring a run to a storage and to fetch it again."""
    begun = time.perf_counter()
    StoredRun(Store(url), "benchmark", run).push()
    StoredRun(Store(url), "benchmark", run.with_name("fetched")).fetch()
    return time.perf_counter() - begun


def contents(run: Path) -> dict[str, int]:
    """How much is brought to a storage with a run."""
    sizes = [path.stat().st_size for path in run.rglob("*") if path.is_file()]
    return {"files": len(sizes), "bytes": sum(sizes)}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, simulate, print, and write ``DIR/sweeps.json``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--engines", choices=tuple(ENGINES), nargs="+", default=list(ENGINES))
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--runs", type=int, default=4, help="of each worker")
    parser.add_argument("--seconds", type=float, help="mean time of a run to simulate")
    parser.add_argument("--storage", default="", metavar="URL")
    given = parser.parse_args(arguments)
    if len(set(given.workers)) < len(given.workers) or min(given.workers) < 1 or given.runs < 1:
        parser.error("--workers are different numbers from 1, and --runs is one from 1")
    load = os.getloadavg()
    carry_out("local", 1, 1, given.out / "warm")  # the probe is trained, the kernels are compiled
    measured, times = list[dict[str, Any]](), list[float]()
    for engine in given.engines:
        found, each = runs_an_hour(engine, given.workers, given.runs, given.out / engine)
        measured += found
        times = times or each
    scale = given.seconds / np.mean(times) if given.seconds else 1.0
    drawn = np.random.default_rng(0).choice(np.asarray(times) * scale, RUNS)
    warm = given.out / "warm" / "runs" / "seed-0"
    cost = {
        "start_up": starting(),
        "engine": ray_task() if "ray" in given.engines else 0.0,
        "storage": storing(warm, given.storage) if given.storage else 0.0,
    }
    report = {
        "arguments": list(sys.argv[1:] if arguments is None else arguments),
        "machine": describe(torch.device("cpu")),
        "load_before": load,
        "measured": measured,
        "seconds": times,
        "cost": cost,
        "stored": contents(warm) if given.storage else None,
        "simulated": {n: asdict(simulate(drawn.tolist(), n, **cost)) for n in WORKERS},
    }
    write_json(given.out / "sweeps.json", report)
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
