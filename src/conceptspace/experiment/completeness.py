"""Which of a run's planned checkpoints are there."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from conceptspace.analysis.steps import in_words
from conceptspace.config import RunConfig
from conceptspace.errors import UserError
from conceptspace.experiment import parts
from conceptspace.hints import command
from conceptspace.store import Run
from conceptspace.tables import NAIVE
from conceptspace.training import checkpoint


class Incomplete(UserError):
    """A run that has ended lacks checkpoints that were planned."""

    status = 1


def planned_steps(run: Run) -> list[int]:
    """Steps at which a run was to save checkpoints; no code of one's own is imported for it."""
    description = run.description
    return parts.checkpoints(description) if isinstance(description, RunConfig) else []


def missing_checkpoints(run: Run) -> list[int]:
    """Planned steps up to the newest saved one whose checkpoints are not there."""
    saved = checkpoint.saved_steps(run.checkpoints)
    newest = max([*saved, *checkpoint.saved_steps(run.folder.resume)], default=-1)
    return [s for s in planned_steps(run) if s <= newest and s not in saved]


def unscored(table: pd.DataFrame, config: RunConfig) -> list[int]:
    """Planned steps that a trajectory table lacks, under plain prompting or a planned protocol."""
    scored = table.groupby("protocol")["step"].agg(set).to_dict()
    asked = [scored.get(name, set()) for name in (NAIVE, *config.evaluate.protocols)]
    return [s for s in parts.checkpoints(config) if not all(s in steps for steps in asked)]


def missing_in_words(run: Run) -> str:
    """Which checkpoints are missing, and how to make them again; empty if none is."""
    lacking = missing_checkpoints(run)
    if not lacking:
        return ""
    return (
        f"the checkpoints of {in_words(lacking)} are missing in {run.checkpoints}; make them "
        f"again with: {resume_command(run)}"
    )


def saved(run: Run, config: RunConfig, step: int | None) -> int:
    """A step whose checkpoint a protocol asks for, the last planned one for None.

    Raises:
        UserError: no checkpoint is planned there, or it is not saved.
    """
    step = parts.planned(config, step)
    if step not in checkpoint.saved_steps(run.checkpoints):
        raise UserError(
            f"a protocol needs the checkpoint of step {step}, which {run.path} does not have; go "
            f"on with: {resume_command(run)}"
        )
    return step


def chosen(run: Run, steps: Sequence[int] | None = None) -> list[int]:
    """The steps of the saved checkpoints, or those of them that are asked for, in order.

    Raises:
        UserError: one that is asked for is not saved.
    """
    there = checkpoint.saved_steps(run.checkpoints)
    if steps is None:
        return there
    if lacking := sorted({*steps} - {*there}):
        raise UserError(
            f"{run.path} has no checkpoint of {in_words(lacking)}; it has those of "
            f"{', '.join(map(str, there))}"
        )
    return sorted({*steps})


def resume_command(run: Run) -> str:
    """The command that goes on with a run."""
    return command("run", "--out", run.path)


def has_last_checkpoint(run: Run) -> bool:
    """Whether the last planned checkpoint is saved; patching takes its embeddings."""
    return planned_steps(run)[-1] in checkpoint.saved_steps(run.checkpoints)


def require_checkpoints(run: Run) -> None:
    """Raise ``UserError`` for a run without a checkpoint."""
    if not checkpoint.saved_steps(run.checkpoints):
        raise UserError(f"{run.path} has no checkpoints yet; run: {resume_command(run)}")
