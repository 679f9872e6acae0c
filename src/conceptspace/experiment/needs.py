"""How much memory and disk a run will need, estimated before anything is made.

The estimate counts the tensors that are there at the same time: images, weights with their average
and the optimizer's moments, activations, the judge's masks; and the files: checkpoints, training
states, scores and contact sheets. It separates runs that cannot end from those that can; its error
for the quick preset stands in docs/performance.md.
"""

from __future__ import annotations

import contextlib
import math
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import torch

from conceptspace.config import RunConfig
from conceptspace.errors import UserError
from conceptspace.experiment import parts
from conceptspace.models.config import LIVE, unet_activations
from conceptspace.protocols import registry
from conceptspace.protocols.base import Protocol
from conceptspace.protocols.naive import Naive

FLOAT = 4
"""Bytes of a number."""

PROGRAM = 750 * 2**20
"""Bytes of Python with PyTorch, pandas and the figures, before any data."""

COPIES = 2
"""Times that images are in memory while they are rendered, joined or stored."""

SCORE = 12
"""Bytes on disk of an image's score for one concept, in compressed Parquet."""

STEP = 60
"""Bytes on disk of a step in the training log."""

PAGE = 8 * 2**20
"""Bytes on disk of the figures and the page, beside what they take from the contact sheets."""

SHARED = ("cpu", "mps")
"""Devices that compute in the computer's memory; GPUs of Apple have none of their own."""

CGROUP = Path("/sys/fs/cgroup/memory.max")


@dataclass(frozen=True)
class Needs:
    """Bytes at the peak of a run.

    Attributes:
        program: beside the tensors below, in the computer's memory.
        tensors: on the device that computes.
        disk: of the run's folder at its largest: while a training state is written, the two before
            it are there.
    """

    program: int
    tensors: int
    disk: int

    def memory(self, device: torch.device, processes: int = 1) -> int:
        """Bytes of the computer's memory, if ``device`` computes; 2 processes if training has its
        own.
        """
        return processes * self.program + (self.tensors if device.type in SHARED else 0)


def needs(config: RunConfig) -> Needs:
    """The estimate for a config.

    Raises:
        UserError: the config describes something impossible.
    """
    data, train = config.data, config.train
    space = parts.world(data).space
    image = 3 * data.resolution**2 * FLOAT
    weights = parameters(config) * FLOAT
    passing = config.model.activations(data.resolution) * FLOAT
    training = (
        len(space.train_classes) * data.images_per_class * image * COPIES
        + 6 * weights
        + train.batch_size * passing
    )
    probe = config.probe
    probing = (
        math.prod(space.sizes) * (probe.images_per_class + probe.held_out_per_class)
    ) * image * COPIES + probe.batch_size * FLOAT * unet_activations(
        probe.channels, 1, 1, data.resolution
    )
    images = {p.name: images_asked(p, config) for p in protocols_asked(config)}
    largest = max(images.values())
    asked = min(config.evaluate.batch_size, largest)
    evaluating = largest * image * COPIES + asked * passing // LIVE * 2 + data.judge_memory()
    tensors = max(training + evaluating, probing)
    states = 8 * weights
    checkpoints = len(parts.checkpoints(config))
    every = checkpoints * sum(images.values())
    disk = (
        checkpoints * weights
        + 3 * 4 * weights
        + every * (3 * data.resolution**2 + SCORE * len(space.concepts))
        + train.steps * STEP
        + PAGE
    )
    return Needs(PROGRAM + states, tensors, disk)


def parameters(config: RunConfig) -> int:
    """How many numbers the model learns."""
    return sum(parameter.numel() for parameter in parts.outline(config).parameters())


def protocols_asked(config: RunConfig) -> list[Protocol]:
    """Naive prompting, and the protocols that a run adds after training.

    Raises:
        UserError: one does not fit the run.
    """
    names = config.evaluate.protocols
    return [Naive(), *(registry.make(name, parts.context(config)) for name in names)]


def images_asked(protocol: Protocol, config: RunConfig) -> int:
    """Images that one checkpoint makes under a protocol."""
    classes = parts.world(config.data).space.classes
    settings = sum(len(protocol.settings(name)) for name in classes)
    return settings * parts.sampling(config, protocol.name).samples


def require(config: RunConfig, folder: Path, device: torch.device, processes: int = 1) -> None:
    """Refuse a run that needs more than this machine has, before anything is made.

    Args:
        config: of the run.
        folder: where its files will lie; its disk is looked at.
        device: that computes.
        processes: 2 where training has one of its own.

    Raises:
        UserError: more is needed than there is; it names both.
    """
    found = needs(config)
    _enough(found.memory(device, processes), _memory(), "memory", "this machine has")
    if device.type == "cuda":
        _enough(found.tensors, torch.cuda.mem_get_info(device)[1], "GPU memory", "the GPU has")
    there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    _enough(
        found.disk - _held(folder), shutil.disk_usage(there).free, "disk", f"at {there} is free"
    )


def _held(folder: Path) -> int:
    """Bytes of the files in a folder; those that another process removes meanwhile do not count."""
    held = 0
    for file in folder.rglob("*"):
        with contextlib.suppress(OSError):
            held += file.stat().st_size
    return held


def _enough(needed: int, there: int, what: str, where: str) -> None:
    if needed > there:
        raise UserError(
            f"this run needs about {bytes_in_words(needed)} of {what}, and {where} "
            f"{bytes_in_words(there)}; take fewer or smaller images, channels, samples or "
            "checkpoints"
        )


def _memory() -> int:
    """Bytes of memory that this process may have."""
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        return min(whole, int(CGROUP.read_text()))
    except (OSError, ValueError):
        return whole


def bytes_in_words(count: int) -> str:
    """Bytes in words: 1.5 GB."""
    size, unit = count / 10**6, "MB"
    for larger in ("GB", "TB", "PB", "EB"):
        if size < 1000:
            break
        size, unit = size / 1000, larger
    return f"{size:.3g} {unit}"
