"""Recording inside the training of Lightning (``conceptspace[lightning]``)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from warnings import warn

from torch import Tensor

from conceptspace.errors import UserError
from conceptspace.models.modes import evaluating
from conceptspace.recording.recorder import Recorder

try:
    from lightning.pytorch import Callback, LightningModule, Trainer, callbacks
except ImportError as error:
    raise UserError(
        f"LightningRecorder needs the package lightning ({error}); install it with: pip install "
        "'conceptspace[lightning]'"
    ) from None

SHARDED = ("FSDPStrategy", "DeepSpeedStrategy", "ModelParallelStrategy")
"""Strategies under which no process has the whole model."""


class LightningRecorder(Callback):
    """Records the checkpoints that a recorder plans while a ``Trainer`` fits a module.

    ::

        recorder = Recorder("runs/mine", space, judge)
        record = LightningRecorder(recorder, lambda m: from_diffusers(m.unet, m.scheduler))
        Trainer(max_steps=20_000, callbacks=[record]).fit(module, data)

    A step is one of the optimizer, ``trainer.global_step``, however many batches are accumulated
    for it; of several optimizers Lightning counts the steps of each, so that planned steps have to
    be among those that it comes to at the end of a batch. What has been recorded is not asked
    again, whether the fit goes on from a checkpoint of Lightning (``ckpt_path=``) or starts anew.
    The main process records, in evaluation mode, while the others wait for its next gradient. Where
    Lightning averages weights (``WeightAveraging``), the average is recorded, as it is what
    Lightning validates; the recorder stands behind it in the list of callbacks.

    Args:
        recorder: not opened yet; open from the start of the fit to its end.
        model: module -> what is asked, see :meth:`Recorder.checkpoint`.
        metrics: names of logged numbers that are kept beside the loss. Where a training step
            returns no loss, as with manual optimization, it is what is logged as ``loss``; without
            one, no numbers are kept, and a warning says so.
    """

    def __init__(
        self,
        recorder: Recorder,
        model: Callable[[Any], Any],
        metrics: Sequence[str] = (),
    ) -> None:
        self.recorder = recorder
        self.model = model
        self.metrics = tuple(metrics)
        self.step = -1
        self.warned = False

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Open the recorder.

        Raises:
            UserError: see :class:`Recorder`; or no process has the whole model.
        """
        if type(trainer.strategy).__name__ in SHARDED:
            raise UserError(
                f"{type(trainer.strategy).__name__} leaves no process with a whole model to ask; "
                "save checkpoints, and record them afterwards with conceptspace.replay"
            )
        if trainer.is_global_zero:
            self.recorder.__enter__()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Record the step from which the fit starts, if it is planned."""
        self._record(trainer, pl_module, {})

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Record a step that is planned, once the optimizer has made it.

        Raises:
            UserError: a planned step lies within the batch.
        """
        if trainer.global_step == self.step:
            return
        self._require_none_between(self.step + 1, trainer.global_step)
        loss = outputs.get("loss") if isinstance(outputs, dict) else outputs
        logged = trainer.callback_metrics
        numbers = {"loss": logged["loss"]} if "loss" in logged else {}
        if isinstance(loss, Tensor):
            numbers["loss"] = loss.detach() * trainer.accumulate_grad_batches
        numbers |= {name: logged[name] for name in self.metrics if name in logged}
        if "loss" not in numbers:
            self._warn()
            numbers = {}
        self._record(trainer, pl_module, numbers)

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Close the recorder."""
        self._close(None)

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        """Close the recorder, which notes why."""
        self._close(exception)

    def _record(self, trainer: Trainer, module: LightningModule, numbers: dict[str, Any]) -> None:
        self.step = trainer.global_step
        if not self.recorder.open or self.step not in self.recorder.steps:
            return
        with _averaged(trainer, module), evaluating(module):
            self.recorder.checkpoint(self.step, self.model(module), **numbers)

    def _require_none_between(self, first: int, now: int) -> None:
        """Refuse a plan that several optimizers pass over, before the training is for nothing."""
        passed = [step for step in range(first, now) if step in self.recorder.steps]
        if self.recorder.open and passed:
            raise UserError(
                f"step {passed[0]} is planned, and trainer.global_step went from {first - 1} to "
                f"{now} within a batch, since it counts the steps of every optimizer; plan steps "
                f"that it comes to, as with steps=range(0, N, {now - first + 1})"
            )

    def _warn(self) -> None:
        """Say once that numbers are not kept."""
        if self.metrics and self.recorder.open and not self.warned:
            self.warned = True
            warn(
                f"{', '.join(self.metrics)} are not recorded, as the training step returns no loss "
                'to keep beside them; log one with self.log("loss", ...)',
                stacklevel=2,
            )

    def _close(self, failure: BaseException | None) -> None:
        if self.recorder.open:
            none = (None, None, None)
            raised = none if failure is None else (type(failure), failure, failure.__traceback__)
            self.recorder.__exit__(*raised)


@contextmanager
def _averaged(trainer: Trainer, module: LightningModule) -> Iterator[None]:
    """The averaged weights in the module's place, by the hooks that do so for validation."""
    kind: Any = getattr(callbacks, "WeightAveraging", ())  # from Lightning 2.6 on
    every: list[Any] = trainer.callbacks  # type: ignore[attr-defined]
    found = [callback for callback in every if isinstance(callback, kind)]
    for callback in found:
        callback.on_validation_epoch_start(trainer, module)
    try:
        yield
    finally:
        for callback in found:
            callback.on_validation_epoch_end(trainer, module)
