"""The training of one run from where it stands, with checkpoints, states and the log."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import torch
from torch import Tensor

from conceptspace.analysis.steps import in_words
from conceptspace.config import RunConfig
from conceptspace.engine.precision import Precision
from conceptspace.engine.replacing import fused
from conceptspace.events import Event, Notice, Stopped, Trained
from conceptspace.experiment import parts
from conceptspace.store import Run
from conceptspace.training import checkpoint
from conceptspace.training.log import TrainingLog
from conceptspace.training.loop import Trainer
from conceptspace.worlds.dataset import split_dataset
from conceptspace.worlds.world import World

RESUME_STATES = 2
"""Full training states kept, so that a damaged one leaves an older one to go on from."""

AtCheckpoint = Callable[[int, Mapping[str, Tensor]], Iterator[Event]]
"""A function that is called with the step and the sampling weights of each new checkpoint."""


def nothing(step: int, weights: Mapping[str, Tensor]) -> Iterator[Event]:
    """Only save the checkpoint."""
    return iter(())


class Training:
    """Trains a run, whose lock the caller holds.

    Args:
        run: the folder.
        config: of the run.
        world: of the config.
        device: where to compute.
        precision: of the wide layers.
    """

    def __init__(
        self, run: Run, config: RunConfig, world: World, device: torch.device, precision: Precision
    ) -> None:
        self.run = run
        self.config = config
        self.world = world
        self.device = device
        self.precision = precision
        self.planned = parts.checkpoints(config)
        self.passed_over: set[int] = set()
        self.whole: set[int] = set()

    def events(
        self, stop: Callable[[], bool], at_checkpoint: AtCheckpoint = nothing
    ) -> Iterator[Event]:
        """Train to the last step.

        Args:
            stop: asked after every step.
            at_checkpoint: see :data:`AtCheckpoint`.

        Raises:
            Stopped: ``stop`` said so; the state is saved.
            Diverged: a loss or gradient is not finite.
            OSError: something could not be read or written.
        """
        last = self.config.train.steps
        trainer, log = self._trainer(), TrainingLog(self.run.folder.training)
        yield from self._restore(trainer)
        if log.aside:
            yield Notice(f"{log.aside} The log goes on from step {trainer.step}.")
        log.forget_after(trainer.step)
        with checkpoint.Writer() as self.writer:
            first = trainer.step
            if first in self.planned and first not in self.whole:
                yield from self._save(trainer, log, at_checkpoint)
            for record in trainer.run(last):
                log.add(record, self.config.train.batch_size)
                if trainer.update.note and record.step == first + 1:
                    yield Notice(trainer.update.note)
                yield Trained(record.step, last, record.loss.total, record.grad_norm)
                halted = stop()
                if record.step in self.planned or record.step == last or halted:
                    yield from self._save(trainer, log, at_checkpoint)
                    log.rest()
                if halted:
                    raise Stopped(record.step)

    def _trainer(self) -> Trainer:
        config = self.config
        examples, _ = split_dataset(
            self.world,
            parts.conditioning(config.data),
            images_per_class=config.data.images_per_class,
            validation_share=config.data.validation_share,
            seed=config.seed,
            masking=parts.masking(config.data),
        )
        model = parts.model(config, self.device)
        self.run.note(replaced=fused(model))
        return Trainer(
            model,
            examples.to(self.device),
            parts.optimization(config),
            config.seed,
            self.precision,
        )

    def _restore(self, trainer: Trainer) -> Iterator[Event]:
        """Go on from the newest whole training state that is not behind a checkpoint that is
        missing or damaged, if there is one.
        """
        folder, checkpoints = self.run.folder.resume, self.run.checkpoints
        states = checkpoint.saved_steps(folder)
        self.whole = {step for step in self.planned if checkpoint.is_whole(checkpoints, step)}
        lacking = [
            step
            for step in self.planned
            if step not in self.whole and step < max(states, default=0)
        ]
        if lacking:
            yield Notice(
                f"the checkpoints of {in_words(lacking)} are missing or damaged in "
                f"{checkpoints}; going back to make them again"
            )
        for step in reversed(states):
            if lacking and step > lacking[0]:
                self.passed_over.add(step)
                continue
            try:
                trainer.restore(step, checkpoint.load(folder, step, self.device))
            except checkpoint.DamagedCheckpoint as error:
                self.passed_over.add(step)
                yield Notice(f"{error}; trying an older state")
                continue
            yield Notice(f"resuming at step {step}")
            return
        if self.passed_over or checkpoint.saved_steps(checkpoints):
            yield Notice(f"no whole training state is left in {folder}; starting again from step 0")

    def _save(
        self, trainer: Trainer, log: TrainingLog, at_checkpoint: AtCheckpoint
    ) -> Iterator[Event]:
        step = trainer.step
        log.write()
        if step in self.planned and step not in self.whole:
            self.writer.save(self.run.checkpoints, step, trainer.sampling_weights())
        self.writer.save(self.run.folder.resume, step, trainer.state())
        self.writer.then(self._forget_states, step)
        if step in self.planned:
            yield from at_checkpoint(step, trainer.sampling_weights())

    def _forget_states(self, newest: int) -> None:
        """Keep the last few training states only."""
        folder = self.run.folder.resume
        self.passed_over.discard(newest)
        saved = checkpoint.saved_steps(folder)
        kept = [s for s in saved if s not in self.passed_over][-RESUME_STATES:]
        for old in set(saved) - set(kept):
            checkpoint.remove(folder, old)
