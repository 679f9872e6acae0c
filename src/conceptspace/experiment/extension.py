"""A run that goes on for longer than planned, and ends as if it had been planned so long.

Every draw depends on the seed and the step alone, and the learning rate is constant, so the steps
of a longer run begin with those of a shorter one. What depends on the number of steps is where
checkpoints are saved, and a protocol that takes the last of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from conceptspace.config import RunConfig, TrainConfig
from conceptspace.errors import UserError
from conceptspace.experiment import parts
from conceptspace.hints import quoted
from conceptspace.locking import alone
from conceptspace.run_folder import RunFolder
from conceptspace.store import Run
from conceptspace.tables import PATCHING
from conceptspace.training.checkpoint_schedule import (
    CheckpointSchedule,
    checkpoint_steps,
    longer_count,
    longer_last,
)

PLAN = ("steps", "checkpoint_schedule", "checkpoints", "first_checkpoint", "checkpoint_steps")
"""Settings of the training that an extension may change."""

TRIED = 200
"""Numbers of further checkpoints that are tried to find a schedule that fits."""


@dataclass(frozen=True)
class Extension:
    """A run and the config with which it goes on.

    Attributes:
        run: that is there.
        before: its config.
        config: with more steps; up to the last one before, checkpoints are where they were.
    """

    run: Run
    before: RunConfig
    config: RunConfig

    def __str__(self) -> str:
        first, last = self.before.train.steps, self.config.train.steps
        count = len(parts.checkpoints(self.config))
        where = f"the run in {self.run.path}"
        return f"{where} goes on from step {first} to {last}, with {count} checkpoints"

    def carry_out(self) -> None:
        """Give the run its new config; ``run.json`` keeps what was there before.

        Raises:
            UserError: another process works on the run, or has changed its config.
        """
        with alone(self.run.path):
            run = Run(self.run.path)
            if run.description.model_dump() != self.before.model_dump():
                raise UserError(f"{run.path} was given another config meanwhile; try again")
            steps = {"from": self.before.train.steps, "to": self.config.train.steps}
            run.change_config(self.config, **steps)


def extension(folder: Path, config: RunConfig) -> Extension | None:
    """How the run in a folder goes on to a config of more steps; None if that is no such case.

    Where nothing but ``train.steps`` is new, the number of checkpoints grows with it.

    Raises:
        UserError: no run of so many steps has the checkpoints that are there; or the run has been
            asked with what its last checkpoint knows.
    """
    if not RunFolder(folder).config.exists():
        return None
    run = Run(folder)
    before = run.description  # no code is imported that the folder names
    if not isinstance(before, RunConfig):
        return None
    train = before.train
    same = config.train.model_copy(update={name: getattr(train, name) for name in PLAN})
    alike = config.model_copy(update={"train": same}).model_dump() == before.model_dump()
    if not alike or config.train.steps <= train.steps:
        return None
    if (asked := folder / "scores" / PATCHING).exists():
        sheets = folder / "samples" / PATCHING
        raise UserError(
            f"{folder} was asked by patching, which takes the last checkpoint, and with more steps "
            f"that is another; to go on without these scores: rm -r {quoted(asked)} "
            f"{quoted(sheets)}"
        )
    return Extension(run, before, _fitted(folder, before, config))


def _fitted(folder: Path, before: RunConfig, config: RunConfig) -> RunConfig:
    """The config with checkpoints where they were, and some after them."""
    train = config.train
    only_steps = train.model_copy(update={"steps": before.train.steps}) == before.train
    scheduled = train.checkpoint_schedule != "explicit"
    if only_steps and scheduled and not _keeps(before, config):
        grown = longer_count(*_schedule(before.train), train.steps)
        config = _with(config, checkpoints=grown)
    if not _keeps(before, config):
        hint = _steps_that_fit(before, train.steps) if only_steps and scheduled else ""
        raise UserError(
            f"{folder} has checkpoints up to step {before.train.steps}, and a run to step "
            f"{train.steps} would have others before it{hint}; or name the steps, those that are "
            "there first: --train.checkpoint-schedule explicit --train.checkpoint-steps A,B,..."
        )
    if parts.checkpoints(config)[-1] <= before.train.steps:
        raise UserError(
            f"{folder} would have no checkpoint after step {before.train.steps}; name some with "
            "--train.checkpoint-steps, those that are there first"
        )
    return config


def _steps_that_fit(before: RunConfig, asked: int) -> str:
    """The numbers of steps nearest to the one asked for with which checkpoints stay, as a clause.

    Rounding moves a checkpoint now and then, so not every longer schedule will do.
    """
    schedule = _schedule(before.train)
    kind, first, last, count = schedule
    fitting = []
    for grown in range(count + 1, count + TRIED + 1):
        steps = longer_last(*schedule, grown)
        found = [s for s in checkpoint_steps(kind, first, steps, grown) if s <= last]
        if steps > last and found == parts.checkpoints(before):
            fitting.append(steps)
    below, above = ([s for s in fitting if s < asked], [s for s in fitting if s > asked])
    nearest = [f"--train.steps {steps}" for steps in (*below[-1:], *above[:1])]
    return f"; {' or '.join(nearest)} would keep them" if nearest else ""


def _keeps(before: RunConfig, config: RunConfig) -> bool:
    """Whether both have the same checkpoints as far as the first goes."""
    planned = parts.checkpoints(before)
    return [step for step in parts.checkpoints(config) if step <= before.train.steps] == planned


def _with(config: RunConfig, **changes: int) -> RunConfig:
    train = TrainConfig.model_validate({**config.train.model_dump(), **changes})
    return config.model_copy(update={"train": train})


def _schedule(train: TrainConfig) -> tuple[CheckpointSchedule, int, int, int]:
    assert train.checkpoint_schedule != "explicit"
    return train.checkpoint_schedule, train.first_checkpoint, train.steps, train.checkpoints
