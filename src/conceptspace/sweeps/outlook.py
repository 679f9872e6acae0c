"""What a command would do with each run of a plan, found without doing it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from conceptspace.errors import UserError
from conceptspace.experiment import needs
from conceptspace.experiment.alike import require_alike
from conceptspace.locking import worked_on
from conceptspace.store import run_in
from conceptspace.sweeps.plan import Plan

EXISTS, UNFINISHED, MISSING, REFUSED = "exists", "unfinished", "missing", "refused"


@dataclass(frozen=True)
class Outlook:
    """What would be done with a run.

    Attributes:
        plan: of the run.
        state: ``exists``, ``unfinished``, ``missing`` or ``refused``.
        reason: why it is refused or waited for, in one sentence; otherwise empty.
    """

    plan: Plan
    state: str
    reason: str = ""

    def __str__(self) -> str:
        return f"{self.state}: {self.reason}" if self.reason else self.state


def outlook(plan: Plan, out: Path, device: torch.device | None) -> Outlook:
    """What would be done with a run.

    Args:
        plan: of the run.
        out: output folder.
        device: of this machine, on which the run has to fit; None where another one works on it.
    """
    folder = plan.folder(out)
    try:
        if plan.exists(out):
            return Outlook(plan, EXISTS)
        if worked_on(folder):
            return Outlook(plan, UNFINISHED, "another process is working on it")
        if device is not None:
            needs.require(plan.config, folder, device)
        run = run_in(folder, plan.config)
        if run is None:
            return Outlook(plan, MISSING)
        require_alike(run, plan.config, plan.config.evaluate.protocols)
    except (UserError, OSError) as error:
        return Outlook(plan, REFUSED, str(error))
    return Outlook(plan, UNFINISHED)
