"""How long runs will take, before they have run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import nn

from conceptspace.cache import probe_cache
from conceptspace.config import RunConfig
from conceptspace.engine.device import seconds
from conceptspace.engine.precision import LoweredModel, fastest_precision
from conceptspace.engine.replacing import fuse
from conceptspace.errors import UserError
from conceptspace.experiment import parts
from conceptspace.experiment.needs import images_asked, needs, protocols_asked
from conceptspace.judges.probe import Probe, ProbeSettings, untrained
from conceptspace.models.modes import evaluating
from conceptspace.protocols.base import Costly
from conceptspace.store import Run
from conceptspace.sweeps.plan import Plan

BACKWARD = 3
"""A training step costs as much as this many evaluations of the network on its batch."""

LONG = 0.1
"""Seconds from which a batch is long enough to tell how long an image takes."""


@dataclass(frozen=True)
class TimeLeft:
    """How long it takes until every run of a plan exists.

    Attributes:
        at_once: runs that work at a time.
        runs: seconds for the runs that do not exist.
        probes: seconds for each probe that has to be trained before.
    """

    at_once: int
    runs: float
    probes: tuple[float, ...]


def passes(config: RunConfig) -> int:
    """Images that pass through the network in a run, forward passes counted."""
    steps, each = config.evaluate.sampling_steps, 0
    for protocol in protocols_asked(config):
        each += images_asked(protocol, config) * steps
        if isinstance(protocol, Costly):
            each += (protocol.passes - 1) * images_asked(protocol, config) * steps
            each += protocol.beside(steps)
    trained = BACKWARD * config.train.steps * config.train.batch_size
    return trained + each * len(parts.checkpoints(config))


def covered(plan: Plan, out: Path) -> bool:
    """Whether a run exists, without complaint about a folder that holds something else."""
    try:
        return plan.exists(out)
    except (UserError, OSError):
        return False


def taken(run: Run) -> float:
    """What a run has taken; 0 where its record does not tell."""
    try:
        return float(run.information().get("seconds", 0.0))
    except (UserError, OSError):
        return 0.0


def measured(config: RunConfig, device: torch.device) -> float:
    """Seconds for an image to pass through the config's network here, with one thread on a CPU.

    Batches grow until one takes :data:`LONG`; that one passes again, and the faster pass counts.
    """
    lowered = LoweredModel(parts.model(config, device), fastest_precision(device))
    most = min(64, config.evaluate.batch_size)
    return _each(lowered.fast, lambda count: _batch(config, count, device), most, device)


def probe_seconds(config: RunConfig, settings: ProbeSettings, device: torch.device) -> float:
    """Seconds that training a probe of a run takes here, with one thread on a CPU."""
    side = config.data.resolution
    space = parts.world(config.data).space
    probe = fuse(Probe(space.names, settings, space.sizes), device)

    def batch(count: int) -> tuple[torch.Tensor, ...]:
        return (torch.rand(count, 3, side, side, device=device),)

    each = _each(probe, batch, settings.batch_size, device)
    return BACKWARD * settings.steps * settings.batch_size * each


def untrained_probes(config: RunConfig, cache: Path) -> dict[Path, ProbeSettings]:
    """The probes that a run needs and the cache lacks, by where they will be."""
    world = parts.world(config.data)
    places = [(untrained(world, settings, cache), settings) for settings in parts.probes(config)]
    return {folder: settings for folder, settings in places if folder is not None}


def probes_left(
    plans: Sequence[Plan], out: Path, cache: Path
) -> list[tuple[RunConfig, ProbeSettings]]:
    """Each probe that runs which do not exist need and the cache lacks, with one of the configs."""
    alike = {
        (plan.config.data.model_dump_json(), plan.config.probe.model_dump_json()): plan.config
        for plan in plans
        if not covered(plan, out)
    }
    found: dict[Path, tuple[RunConfig, ProbeSettings]] = {}
    for config in alike.values():
        for folder, settings in untrained_probes(config, cache).items():
            found.setdefault(folder, (config, settings))
    return list(found.values())


def _each(
    network: nn.Module,
    batch: Callable[[int], tuple[torch.Tensor, ...]],
    most: int,
    device: torch.device,
) -> float:
    """Seconds for one of at most so many inputs to pass, see :func:`measured`."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        count, took = 0, 0.0
        with torch.no_grad(), evaluating(network):
            while count < most and took < LONG:
                count = min(most, 4 * count or 1)
                one = partial(network, *batch(count))
                one()  # the first pass of a size prepares it
                took = seconds(one, device)
            again = seconds(one, device)
        return min(took, again) / count
    finally:
        torch.set_num_threads(threads)


def _batch(config: RunConfig, count: int, device: torch.device) -> tuple[torch.Tensor, ...]:
    """Blank images, noise levels and prompts."""
    side, width = config.data.resolution, len(parts.conditioning(config.data).visible())
    z = torch.zeros(count, 3, side, side, device=device)
    z = z.contiguous(memory_format=torch.channels_last)
    return z, torch.zeros(count, device=device), torch.zeros(count, width, device=device)


def estimate(
    plans: Sequence[Plan],
    out: Path,
    jobs: int,
    guess: Callable[[RunConfig], float],
) -> float:
    """Seconds until the runs that do not exist will have finished, ``jobs`` at once.

    The speed is that of the runs below ``out`` that have finished.

    Args:
        plans: every run.
        out: output folder.
        jobs: how many at once.
        guess: seconds for an image to pass, where none has finished; asked once for each network.
    """
    done = {plan.name for plan in plans if covered(plan, out)}
    spent = {p.name: taken(Run(p.folder(out))) for p in plans if p.name in done}
    left = [plan for plan in plans if plan.name not in done]
    if any(spent.values()):
        timed = sum(passes(plan.config) for plan in plans if spent.get(plan.name))
        speed = sum(spent.values()) / timed
        times = [speed * passes(plan.config) for plan in left]
    else:
        speeds: dict[str, float] = {}
        for plan in left:
            if _network(plan.config) not in speeds:
                speeds[_network(plan.config)] = guess(plan.config)
        times = [speeds[_network(plan.config)] * passes(plan.config) for plan in left]
    return max(sum(times) / jobs, max(times, default=0.0))


def time_left(plans: Sequence[Plan], out: Path, jobs: int, device: torch.device) -> TimeLeft:
    """Measure here how long the runs that do not exist will take, and the probes that they need."""
    runs = estimate(plans, out, jobs, lambda config: measured(config, device))
    probes = [probe_seconds(*each, device) for each in probes_left(plans, out, probe_cache())]
    return TimeLeft(jobs, runs, tuple(probes))


def disk(plans: Sequence[Plan], out: Path) -> int:
    """Bytes that the runs which do not exist will take."""
    return sum(needs(plan.config).disk for plan in plans if not covered(plan, out))


def _network(config: RunConfig) -> str:
    """What decides how long an image takes to pass."""
    return f"{config.preset} {config.data.resolution} {config.model.model_dump_json()}"
