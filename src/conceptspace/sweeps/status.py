"""How the runs of a sweep stand, by what their folders tell."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from conceptspace.errors import UserError
from conceptspace.presentation.explorer.liveness import state
from conceptspace.run_folder import RunFolder
from conceptspace.store import Run
from conceptspace.sweeps.folder import Planned, failures, planned_runs
from conceptspace.tables import NAIVE

STATES = ("done", "running", "silent", "stopped", "failed", "diverged", "waiting")
"""How a run may stand. A silent one has written nothing for long: it was killed, or hangs."""

NAMES = {"finished": "done", "not started": "waiting", "unknown": "waiting"}


@dataclass(frozen=True)
class RunStatus:
    """How a run stands.

    Attributes:
        name: of the run.
        status: one of :data:`STATES`.
        reason: why it failed or diverged, in one sentence; otherwise empty.
        share: of its checkpoints that have been scored, from 0 to 1.
        seconds: that it has taken; of the sessions that have ended.
    """

    name: str
    status: str
    reason: str
    share: float
    seconds: float


@dataclass(frozen=True)
class SweepStatus:
    """How a sweep stands.

    Attributes:
        runs: every one, in the order of the plan.
        hours_left: until the last one will have finished at the pace of those that have; None
            before the first.
    """

    runs: tuple[RunStatus, ...]
    hours_left: float | None

    @property
    def counts(self) -> dict[str, int]:
        """How many runs stand how, in the order of :data:`STATES`; none is left out."""
        found = Counter(run.status for run in self.runs)
        return {name: found[name] for name in STATES if found[name]}


def status(out: Path, within: Path | None = None) -> SweepStatus:
    """How the sweep in a folder stands.

    Args:
        out: the sweep's folder.
        within: the folder that links in it may not leave; None if they may lead anywhere.

    Raises:
        UserError: no sweep was begun there, or what it keeps is damaged.
    """
    plans, at_once = planned_runs(out)
    failed = failures(out)
    runs = tuple(
        _status(plan, out, failed.get(plan.name, ""))
        if within is None or (out / "runs" / plan.name).resolve().is_relative_to(within.resolve())
        else RunStatus(plan.name, "failed", "a link that leads out; it is not read", 0.0, 0.0)
        for plan in plans
    )
    return SweepStatus(runs, _hours(plans, runs, at_once))


def _status(plan: Planned, out: Path, failure: str) -> RunStatus:
    folder = out / "runs" / plan.name
    if not RunFolder(folder).config.is_file():
        return RunStatus(plan.name, "failed" if failure else "waiting", failure, 0.0, 0.0)
    try:
        information = Run(folder).information()
    except UserError as error:
        return RunStatus(plan.name, "failed", str(error), 0.0, 0.0)
    found = state(folder, information).status
    found = NAMES.get(found, found)
    if failure and found not in ("done", "diverged"):
        found = "stopped" if found == "stopped" else "failed"
    reason = failure or str(information.get("reason", ""))
    scored = len(RunFolder(folder).scored_steps(NAIVE)) or _in_table(folder)
    share = 1.0 if found == "done" else min(1.0, scored / plan.checkpoints)
    return RunStatus(
        plan.name,
        found,
        reason if found in ("failed", "diverged") else "",
        share,
        float(information.get("seconds", 0.0)),
    )


def _in_table(folder: Path) -> int:
    """Checkpoints in the trajectory of a run that has no scores here, as one from a storage."""
    try:
        table = Run(folder).trajectory()
    except (UserError, OSError):
        return 0
    return int(table["step"][table["protocol"] == NAIVE].nunique())


def _hours(plans: list[Planned], runs: tuple[RunStatus, ...], at_once: int) -> float | None:
    pairs = list(zip(plans, runs, strict=True))
    spent = sum(run.seconds for _, run in pairs if run.status == "done")
    passed = sum(plan.passes for plan, run in pairs if run.status == "done")
    if not spent:
        return None
    left = [
        (1 - run.share) * plan.passes * spent / passed
        for plan, run in pairs
        if run.status not in ("done", "failed", "diverged")
    ]
    working = at_once or max(1, sum(run.status == "running" for run in runs))
    return max(sum(left) / working, max(left, default=0.0)) / 3600
