"""How long runs will take, before they have run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from conceptspace import build
from conceptspace.config import RunConfig
from conceptspace.errors import UserError
from conceptspace.needs import images_asked, protocols_asked
from conceptspace.protocols.base import Costly
from conceptspace.store import Run
from conceptspace.sweeps.plan import Plan

BACKWARD = 3
"""A training step costs as much as this many evaluations of the network on its batch."""

SECONDS = {"quick": 1.5e-3, "paper": 3e-4}
"""Seconds for one image to pass through a preset's network, where nothing has been measured: one
CPU core for ``quick``, an A100 for ``paper`` (App. A.2: 20 minutes for a run)."""


def passes(config: RunConfig) -> int:
    """Images that pass through the network in a run, forward passes counted."""
    steps, each = config.evaluate.sampling_steps, 0
    for protocol in protocols_asked(config):
        each += images_asked(protocol, config) * steps
        if isinstance(protocol, Costly):
            each += (protocol.passes - 1) * images_asked(protocol, config) * steps
            each += protocol.beside(steps)
    trained = BACKWARD * config.train.steps * config.train.batch_size
    return trained + each * len(build.checkpoints(config))


def covered(plan: Plan, out: Path) -> bool:
    """Whether a run exists, without complaint about a folder that holds something else."""
    try:
        return plan.exists(out)
    except UserError:
        return False


def estimate(plans: Sequence[Plan], out: Path, jobs: int) -> float:
    """Seconds until the runs that do not exist will have finished, ``jobs`` at once.

    The speed is that of the runs below ``out`` that have finished, else :data:`SECONDS`.
    """
    done = {plan.name for plan in plans if covered(plan, out)}
    spent = sum(
        Run(plan.folder(out)).information().get("seconds", 0.0)
        for plan in plans
        if plan.name in done
    )
    left = [plan for plan in plans if plan.name not in done]
    if spent:
        speed = spent / sum(passes(plan.config) for plan in plans if plan.name in done)
        times = [speed * passes(plan.config) for plan in left]
    else:
        times = [SECONDS[plan.config.preset] * passes(plan.config) for plan in left]
    return max(sum(times) / jobs, max(times, default=0.0))
