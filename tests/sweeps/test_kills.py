"""Twenty runs whose workers are killed ten times: nothing lost, nothing done twice, same tables."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from killing import kill

from conceptspace.store import Run
from conceptspace.sweeps import local, on_ray
from conceptspace.sweeps.plan import Plan
from conceptspace.sweeps.progress import Failed, Finished, Progress
from conceptspace.sweeps.resources import Resources
from tiny import tiny_config, tiny_session

KILLS = 10
GIVEN = Resources(device="cpu", retries=KILLS)
PLANS = [
    Plan(
        f"level/seed-{seed}",
        tiny_config(
            seed=seed,
            train__steps=60,
            train__checkpoint_steps=(20, 40, 60),
            evaluate__protocols=("overprompting-color",),
        ),
    )
    for seed in range(20)
]

Engine = Callable[..., Iterator[Progress]]


def killing(out: Path, killed: list[float]) -> Callable[[], bool]:
    """Never says to stop, but kills a worker every few seconds."""

    def stop() -> bool:
        if len(killed) < KILLS and time.monotonic() - (killed or [0])[-1] > 3 and kill(out):
            killed.append(time.monotonic())
        return False

    return stop


@pytest.mark.slow
@pytest.mark.parametrize("name", ["local", "ray"])
def test_ten_kills_in_twenty_runs_lose_nothing(
    name: str, tmp_path: Path, probe_cache_folder: Path
) -> None:
    engine: Engine = partial(local.execute, jobs=2)
    if name == "ray":
        pytest.importorskip("ray")
        os.environ.setdefault("RAY_worker_niceness", "0")
        engine = partial(on_ray.execute, jobs=2)
    killed: list[float] = []
    out = tmp_path / "out"
    events = list(engine(PLANS, out, resources=GIVEN, stop=killing(out, killed)))
    assert len(killed) == KILLS
    assert not [e for e in events if isinstance(e, Failed)]
    finished = [e.plan.name for e in events if isinstance(e, Finished)]
    assert sorted(finished) == sorted(p.name for p in PLANS)
    for plan in PLANS:
        run, alone = Run(plan.folder(out)), tmp_path / "alone" / plan.name
        alone.parent.mkdir(parents=True, exist_ok=True)
        for _ in tiny_session(alone, plan.config, probe_cache_folder).execute():
            pass
        assert list(run.training()["step"]) == list(range(1, 61))
        for kept in ("trajectory.parquet", "checkpoints/step-00000060.safetensors"):
            assert (run.path / kept).read_bytes() == (alone / kept).read_bytes()
