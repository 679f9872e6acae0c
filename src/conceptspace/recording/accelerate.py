"""Recording inside loops of ``accelerate``, such as the training scripts of ``diffusers``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol, runtime_checkable

import torch
from torch import nn

from conceptspace.errors import UserError
from conceptspace.events import Evaluated
from conceptspace.models.modes import evaluating
from conceptspace.recording.recorder import Recorder

SHARDED = ("FSDP", "DEEPSPEED", "MEGATRON_LM")
"""Kinds of distribution under which it may be that no process has the whole model."""


@runtime_checkable
class Average(Protocol):
    """Averaged weights, such as ``EMAModel`` of diffusers, or those of ``torch_ema``."""

    def store(self, parameters: Any) -> None:
        """Put the parameters aside."""

    def copy_to(self, parameters: Any) -> None:
        """Write the average into the parameters."""

    def restore(self, parameters: Any) -> None:
        """Write back what was put aside."""


class AccelerateRecorder:
    """Records the checkpoints that a recorder plans, in a loop that an ``Accelerator`` drives.

    ::

        recorder = Recorder("runs/mine", space, judge)
        make = lambda unet: from_diffusers(unet, scheduler)
        with AccelerateRecorder(recorder, accelerator, make, average=ema) as record:
            for batch in data:
                with accelerator.accumulate(unet):
                    ...
                if accelerator.sync_gradients:
                    step += 1
                    record(step, unet, loss=loss)

    Call it after every step of the optimizer, in every process: what is not planned, or recorded
    already, is passed over. The main process asks the unwrapped model, in evaluation mode, and the
    others wait.

    Args:
        recorder: not opened yet.
        accelerator: of ``accelerate``.
        model: unwrapped network -> what is asked, see :meth:`Recorder.checkpoint`.
        average: of the weights; asked in their place, which are put back afterwards.

    Raises:
        UserError: no process has the whole model.
    """

    def __init__(
        self,
        recorder: Recorder,
        accelerator: Any,
        model: Callable[[Any], Any],
        *,
        average: Average | None = None,
    ) -> None:
        kind = str(getattr(accelerator.distributed_type, "value", accelerator.distributed_type))
        if kind in SHARDED:
            raise UserError(
                f"with {kind} no process needs to have a whole model to ask; save checkpoints, and "
                "record them afterwards with conceptspace.replay"
            )
        self.recorder = recorder
        self.accelerator = accelerator
        self.model = model
        self.average = average

    def __enter__(self) -> AccelerateRecorder:
        if self.accelerator.is_main_process:
            self.recorder.__enter__()
        return self

    def __exit__(self, *failure: Any) -> None:
        if self.recorder.open:
            self.recorder.__exit__(*failure)

    def __call__(self, step: int, network: nn.Module, **metrics: Any) -> list[Evaluated]:
        """Record a step if it is planned.

        Args:
            step: of the optimizer.
            network: as ``accelerator.prepare`` returned it.
            metrics: numbers for the training log, ``loss`` among them; averaged over processes.

        Returns:
            See :meth:`Recorder.checkpoint`; nothing in other processes and at other steps.

        Raises:
            UserError: see :meth:`Recorder.checkpoint`.
            Diverged: an image or metric is not finite.
        """
        if step not in self.recorder.steps:
            return []
        device = self.accelerator.device
        numbers = {
            name: self.accelerator.reduce(torch.as_tensor(value, device=device).detach(), "mean")
            for name, value in metrics.items()
        }
        found: list[Evaluated] = []
        if self.accelerator.is_main_process:
            inner = self.accelerator.unwrap_model(network, keep_torch_compile=False)
            with self._averaged(inner), evaluating(inner):
                found = self.recorder.checkpoint(step, self.model(inner), **numbers)
        self.accelerator.wait_for_everyone()
        return found

    @contextmanager
    def _averaged(self, network: nn.Module) -> Iterator[None]:
        if self.average is None:
            yield
            return
        self.average.store(network.parameters())
        self.average.copy_to(network.parameters())
        try:
            yield
        finally:
            self.average.restore(network.parameters())
