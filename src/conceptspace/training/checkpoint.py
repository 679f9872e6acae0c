"""Checkpoints on disk: safetensors with a JSON beside it that holds the SHA-256.

``step-00000400.safetensors`` holds the weights used for sampling, ``step-00000400.json`` the step
and the hash. The JSON is written last: a checkpoint without one was interrupted and does not count.
"""

from __future__ import annotations

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

from conceptspace import files
from conceptspace.errors import UserError
from conceptspace.events import Stopped
from conceptspace.files import read_record, sha256, write_atomically, write_record
from conceptspace.run_folder import of_steps, step_name, step_of

MOST_UNDER_WAY = 3
"""Jobs that may wait for the writing thread: the weights, the state and the clearing of one step,
so that two checkpoints never pile up in memory."""


class DamagedCheckpoint(UserError):
    """A checkpoint whose content does not match its hash, or cannot be read."""


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
    record = {"step": step, "sha256": sha256(content), **information}
    files.DISK.remove(path.with_suffix(".json"))
    write_atomically(path, content)
    write_record(path.with_suffix(".json"), record)
    return path


class Writer:
    """Saves checkpoints one after the other in a thread, while training goes on.

    Tensors are copied when :meth:`save` is called, so they may change at once. At most
    :data:`MOST_UNDER_WAY` jobs wait; the next call waits for the first of them. After a job that
    failed none is begun, so that what is saved has no gap. Its error is raised by a later call, or
    on leaving the ``with`` block, which waits for the last job; a failure of the block itself is
    raised in its place, with a note of it.

    The thread must not compute with tensors: PyTorch would start a second team of OpenMP threads,
    and with more threads than cores GNU's OpenMP lets all of them sleep between operations, which
    made every later step of the quick preset take twice as long (docs/performance.md).
    """

    def __init__(self) -> None:
        self.thread = ThreadPoolExecutor(max_workers=1)
        self.under_way: deque[Future[Any]] = deque()
        self.failed = False

    def __enter__(self) -> Writer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: object
    ) -> None:
        self.thread.shutdown(wait=True)
        try:
            self._wait(0)
        except Exception as failed:
            if error is None or isinstance(error, Stopped | KeyboardInterrupt | GeneratorExit):
                raise
            error.add_note(f"and what should be saved could not be: {failed}")

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
        self.under_way.append(self.thread.submit(self._do, job, *arguments))

    def _do(self, job: Callable[..., object], *arguments: object) -> None:
        if not self.failed:
            self.failed = True
            job(*arguments)
            self.failed = False

    def _wait(self, most: int) -> None:
        while len(self.under_way) > most:
            self.under_way.popleft().result()


def load(folder: Path, step: int, device: torch.device | None = None) -> dict[str, Tensor]:
    """Read and verify a checkpoint.

    Raises:
        DamagedCheckpoint: it is missing, incomplete or not what was written.
    """
    path, content = folder / f"{step_name(step)}.safetensors", _content(folder, step)
    try:
        tensors = load_tensors(content)
    except SafetensorError as error:
        raise DamagedCheckpoint(f"checkpoint {path} cannot be read: {error}") from None
    return {name: tensor.to(device) for name, tensor in tensors.items()} if device else tensors


def information(folder: Path, step: int) -> dict[str, Any]:
    """What was saved besides the tensors: step, sha256 and the further values.

    Raises:
        ValueError: the file is damaged.
        OSError: it cannot be read.
    """
    return read_record(folder / f"{step_name(step)}.json")


def is_whole(folder: Path, step: int) -> bool:
    """Whether a checkpoint is there with the content that was written."""
    try:
        _content(folder, step)
    except DamagedCheckpoint:
        return False
    return True


def _content(folder: Path, step: int) -> bytes:
    """The bytes of the tensors, verified.

    Raises:
        DamagedCheckpoint: they are missing, incomplete or not what was written.
    """
    path = folder / f"{step_name(step)}.safetensors"
    try:
        expected = information(folder, step)["sha256"]
        content = path.read_bytes()
    except (OSError, ValueError, KeyError) as error:
        raise DamagedCheckpoint(f"checkpoint {path} is incomplete: {error}") from None
    if sha256(content) != expected:
        raise DamagedCheckpoint(
            f"checkpoint {path} is damaged: its SHA-256 is not the recorded one"
        )
    return content


def remove(folder: Path, step: int) -> None:
    """Delete a checkpoint, its JSON first."""
    path = folder / f"{step_name(step)}.json"
    files.DISK.remove(path)
    files.DISK.remove(path.with_suffix(".safetensors"))


def saved_steps(folder: Path) -> list[int]:
    """Steps of the complete checkpoints in a folder, increasing; contents are not verified.

    Files whose names are not those of a step, like copies, do not count.
    """
    return sorted(
        step_of(path)
        for path in of_steps(folder, ".json")
        if path.with_suffix(".safetensors").exists()
    )
