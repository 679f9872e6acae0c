"""What an engine tells while it works on the runs of a sweep."""

from __future__ import annotations

from dataclasses import dataclass

from conceptspace.sweeps.plan import Plan


@dataclass(frozen=True)
class Started:
    """A run begins, or goes on."""

    plan: Plan
    resumed: bool


@dataclass(frozen=True)
class Finished:
    """A run has covered its plan."""

    plan: Plan
    seconds: float


@dataclass(frozen=True)
class Lost:
    """The worker of a run is gone; another one goes on from the last checkpoint."""

    plan: Plan
    reason: str


@dataclass(frozen=True)
class Failed:
    """A run ended without covering its plan; ``reason`` says why, in one sentence."""

    plan: Plan
    reason: str


@dataclass(frozen=True)
class Elsewhere:
    """A run is waited for: it is the next, and another process works on it."""

    plan: Plan


Progress = Started | Finished | Lost | Failed | Elsewhere


class Interrupted(Exception):
    """The user asked to stop; every run saved what it had."""
