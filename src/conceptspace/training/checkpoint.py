"""Checkpoints on disk: safetensors with a JSON beside it that holds the SHA-256.

``step-00000400.safetensors`` holds the weights used for sampling, ``step-00000400.json`` the step
and the hash. The JSON is written last: a checkpoint without one was interrupted and does not count.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from conceptspace.errors import UserError
from conceptspace.files import sha256, write_atomically, write_json

MOST_UNDER_WAY = 3
"""Jobs that may wait for the writing thread: the weights, the state and the clearing of one step,
so that two checkpoints never pile up in memory."""


class DamagedCheckpoint(UserError):
    """A checkpoint whose content does not match its hash, or cannot be read."""


def step_name(step: int) -> str:
    """File stem of a step; names sort like steps."""
    return f"step-{step:08d}"


def save(folder: Path, step: int, tensors: Mapping[str, Tensor], **information: Any) -> Path:
    """Write tensors, then their JSON; a crash at any moment leaves no half checkpoint.

    Args:
        folder: created if missing.
        step: names the files.
        tensors: any device; stored contiguous.
        information: further JSON values to keep beside the hash.
    """
    stored = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    content = save_tensors(stored)
    path = folder / f"{step_name(step)}.safetensors"
    path.with_suffix(".json").unlink(missing_ok=True)
    write_atomically(path, content)
    write_json(path.with_suffix(".json"), {"step": step, "sha256": sha256(content), **information})
    return path


class Writer:
    """Saves checkpoints one after the other in a thread, while training goes on.

    Tensors are copied when :meth:`save` is called, so they may change at once. At most
    :data:`MOST_UNDER_WAY` jobs wait; the next call waits for the first of them. What went wrong is
    raised by a later call, or on leaving the ``with`` block, which waits for the last job.

    The thread must not compute with tensors: PyTorch would start a second team of OpenMP threads,
    and with more threads than cores GNU's OpenMP lets all of them sleep between operations, which
    made every later step of the quick preset take twice as long (docs/performance.md).
    """

    def __init__(self) -> None:
        self.thread = ThreadPoolExecutor(max_workers=1)
        self.under_way: deque[Future[Any]] = deque()

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, *error: object) -> None:
        self.thread.shutdown(wait=True)
        if error[0] is None:
            self._wait(0)

    def save(self, folder: Path, step: int, tensors: Mapping[str, Tensor]) -> None:
        """Like :func:`save`."""
        copies = {
            name: t.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)
            for name, t in tensors.items()
        }
        self.then(save, folder, step, copies)

    def then(self, job: Callable[..., object], *arguments: object) -> None:
        """Do something when everything before has been written."""
        self._wait(MOST_UNDER_WAY - 1)
        self.under_way.append(self.thread.submit(job, *arguments))

    def _wait(self, most: int) -> None:
        while len(self.under_way) > most:
            self.under_way.popleft().result()


def load(folder: Path, step: int, device: torch.device | None = None) -> dict[str, Tensor]:
    """Read and verify a checkpoint.

    Raises:
        DamagedCheckpoint: it is missing, incomplete or not what was written.
    """
    path = folder / f"{step_name(step)}.safetensors"
    try:
        expected = json.loads(path.with_suffix(".json").read_text())["sha256"]
        content = path.read_bytes()
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DamagedCheckpoint(f"checkpoint {path} is incomplete: {error}") from None
    if sha256(content) != expected:
        raise DamagedCheckpoint(
            f"checkpoint {path} is damaged: its SHA-256 is not the recorded one"
        )
    try:
        tensors = load_tensors(content)
    except SafetensorError as error:
        raise DamagedCheckpoint(f"checkpoint {path} cannot be read: {error}") from None
    return {name: tensor.to(device) for name, tensor in tensors.items()} if device else tensors


def information(folder: Path, step: int) -> dict[str, Any]:
    """What was saved beside the tensors: step, sha256 and the further values."""
    return dict(json.loads((folder / f"{step_name(step)}.json").read_text()))


def remove(folder: Path, step: int) -> None:
    """Delete a checkpoint, its JSON first."""
    path = folder / f"{step_name(step)}.json"
    path.unlink(missing_ok=True)
    path.with_suffix(".safetensors").unlink(missing_ok=True)


def saved_steps(folder: Path) -> list[int]:
    """Steps of the complete checkpoints in a folder, increasing; contents are not verified."""
    return sorted(
        int(path.stem.removeprefix("step-"))
        for path in folder.glob("step-*.json")
        if path.with_suffix(".safetensors").exists()
    )
