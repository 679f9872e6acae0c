"""What a command would do, printed without doing it."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from conceptspace.analysis.steps import in_words
from conceptspace.cache import probe_cache
from conceptspace.cli.carry_out import duration
from conceptspace.config import RunConfig, merged
from conceptspace.experiment import parts
from conceptspace.experiment.alike import require_alike
from conceptspace.experiment.completeness import chosen, missing_in_words, saved
from conceptspace.experiment.extension import Extension
from conceptspace.experiment.needs import (
    bytes_in_words,
    images_asked,
    needs,
    parameters,
    protocols_asked,
    require,
)
from conceptspace.locking import refuse_busy
from conceptspace.models.vdm import VDM
from conceptspace.protocols import registry
from conceptspace.recording.book import Book
from conceptspace.store import Run, run_in
from conceptspace.sweeps.cost import measured, passes, probe_seconds, untrained_probes
from conceptspace.training import checkpoint


def of_run(
    folder: Path,
    config: RunConfig,
    longer: Extension | None,
    device: torch.device,
    processes: int = 1,
) -> int:
    """Print what `run` would make, in which time, memory and space.

    Raises:
        UserError: what `run` would say: there is something else in the folder, the run was begun
            otherwise, or another process works on it; after the print, that it does not fit here.
    """
    run = run_in(folder, config) if longer is None else longer.run
    if run is not None:
        refuse_busy(folder)
        require_alike(run, config, config.evaluate.protocols)
    steps = parts.checkpoints(config)
    need, asked = needs(config), protocols_asked(config)
    images = len(steps) * sum(images_asked(protocol, config) for protocol in asked)
    rows = {
        "run": str(longer or _new_or_resumed(folder, run)),
        "training": f"{config.train.steps} steps of {config.train.batch_size} images",
        "checkpoints": f"{len(steps)}, from step {steps[0]} to {steps[-1]}",
        "asks": ", ".join(protocol.name for protocol in asked),
        "images": f"{images} are made and scored",
        "weights": f"{parameters(config):,}",
        "probe": _probe(config, device),
        "memory": f"about {bytes_in_words(need.memory(device, processes))}",
        "disk": f"about {bytes_in_words(need.disk)}",
        "time": f"about {duration(passes(config) * measured(config, device))} from the beginning, "
        "with one thread in one process, besides the probe",
    }
    width = max(map(len, rows))
    for name, value in rows.items():
        print(f"{name:{width}}  {value}")
    require(config, folder, device, processes)
    return 0


def _probe(config: RunConfig, device: torch.device) -> str:
    """Whether the probe is there, and the second one if there is to be one, or how long training
    takes.
    """
    left = untrained_probes(config, probe_cache()).values()
    if not left:
        return "in the cache"
    seconds = sum(probe_seconds(config, settings, device) for settings in left)
    return f"about {duration(seconds)} to train{' two' * (len(left) > 1)}, once for these images"


def _new_or_resumed(folder: Path, run: Run | None) -> str:
    """Whether there is a run in a folder, and how far it is."""
    if run is None:
        return f"new in {folder}"
    last = max(checkpoint.saved_steps(run.folder.resume), default=0)
    return f"the one in {folder} goes on from step {last}"


def of_evaluation(
    run: Run,
    protocols: Sequence[str],
    sweeps: Mapping[str, Sequence[float]],
    own: Mapping[str, Mapping[str, Any]],
    steps: Sequence[int] | None,
) -> int:
    """Print which checkpoints `evaluate` would score under which protocols.

    Raises:
        UserError: what `evaluate` would say: there is no such protocol, it needs a checkpoint that
            is not there, scores are damaged, or they were made otherwise, or another process works
            on the run.
    """
    refuse_busy(run.path)
    changes = {"evaluate": dict(sweeps), "protocols": own}
    config = merged(run.config, changes, "the protocols' settings")
    require_alike(run, config, protocols)

    def load(step: int | None) -> VDM:
        saved(run, config, step)
        return parts.outline(config)

    made = [registry.make(name, parts.context(config, load)) for name in protocols]
    if lacking := missing_in_words(run):
        print(lacking, file=sys.stderr)
    classes = parts.world(config.data).space.classes
    book = Book(run, config.seed, classes)
    there = chosen(run, steps)
    for protocol in made:
        left = [step for step in there if book.missing(protocol, step)]
        each = images_asked(protocol, config)
        what = f"{each} images at {in_words(left)}" if left else "all is there"
        print(f"{protocol.name}: {what}")
    return 0
