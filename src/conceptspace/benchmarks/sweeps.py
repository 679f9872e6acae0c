"""What a sweep loses: ``python -m conceptspace.benchmarks.sweeps --out DIR``.

It carries out short runs with 1, 2 and more workers of one thread each, measures what a worker's
start and a task of Ray's cost, and simulates 1000 runs on 8, 64 and 512 workers from these times.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from heapq import heapify, heapreplace
from pathlib import Path

import numpy as np

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
    """Seconds that runs take together, and each of them.

    Raises:
        RuntimeError: one failed.
    """
    plans = [
        Plan(f"seed-{seed}", merged(quick(), nested({**SHORT, "seed": seed}), "benchmark"))
        for seed in range(runs)
    ]
    engines: dict[str, Callable[..., Iterator[object]]]
    engines = {"local": local.execute, "ray": on_ray.execute}
    begun = time.perf_counter()
    for event in engines[engine](plans, out, jobs=workers, resources=Resources(device="cpu")):
        if isinstance(event, Failed):
            raise RuntimeError(event.reason)
    return time.perf_counter() - begun, [taken(Run(plan.folder(out))) for plan in plans]


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


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, simulate, print, and write ``DIR/sweeps.json``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--engine", choices=("local", "ray"), default="ray")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--runs", type=int, default=4, help="of each worker")
    parser.add_argument("--seconds", type=float, help="mean time of a run to simulate")
    parser.add_argument("--storage", default="", metavar="URL")
    given = parser.parse_args(arguments)
    carry_out("local", 1, 1, given.out / "warm")  # the probe is trained, the kernels are compiled
    measured, times = [], list[float]()
    for workers in given.workers:
        whole, each = carry_out(
            given.engine, workers, given.runs * workers, given.out / f"{workers}"
        )
        times += each if workers == given.workers[0] else []
        measured.append({"workers": workers, "runs_an_hour": 3600 * len(each) / whole})
    for one in measured:
        alone = measured[0]["runs_an_hour"] / measured[0]["workers"]
        one["efficiency"] = one["runs_an_hour"] / alone / one["workers"]
    scale = given.seconds / np.mean(times) if given.seconds else 1.0
    drawn = np.random.default_rng(0).choice(np.asarray(times) * scale, RUNS)
    cost = {
        "start_up": starting(),
        "engine": ray_task() if given.engine == "ray" else 0.0,
        "storage": storing(given.out / "warm" / "runs" / "seed-0", given.storage)
        if given.storage
        else 0.0,
    }
    simulated = {n: asdict(simulate(drawn.tolist(), n, **cost)) for n in WORKERS}
    told = {"measured": measured, "seconds": times, "cost": cost, "simulated": simulated}
    write_json(given.out / "sweeps.json", told)
    print(json.dumps(told, indent=2))


if __name__ == "__main__":
    main()
