"""Runs of a plan on the terminal: a line whenever one begins, ends or fails."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from conceptspace.cli.progress import Interrupt
from conceptspace.sweeps.cost import TimeLeft
from conceptspace.sweeps.folder import begin, remembered
from conceptspace.sweeps.plan import Plan
from conceptspace.sweeps.progress import Elsewhere, Failed, Finished, Lost, Progress, Started

Engine = Callable[[Callable[[], bool]], Iterator[Progress]]
"""From a function that says whether to stop to the events of the runs."""


def carried_out(engine: Engine, plans: Sequence[Plan], out: Path, at_once: int) -> int:
    """Let an engine work on the plans until Ctrl-C; returns how many runs failed.

    Raises:
        Interrupted: the user asked to stop.
    """
    begin(out, plans, at_once)
    interrupt, failed = Interrupt(), 0
    with interrupt.listening():
        for event in remembered(engine(interrupt), out):
            match event:
                case Started(_, resumed):
                    status = "goes on" if resumed else "begins"
                case Finished(_, seconds):
                    status = f"done in {duration(seconds)}"
                case Lost(_, reason):
                    status = f"{reason}; it goes on from its last checkpoint"
                case Elsewhere():
                    status = "another process is working on it; waiting for that"
                case Failed(_, reason):
                    failed += 1
                    status = f"failed: {reason}"
            print(f"{event.plan.name}: {status}", file=sys.stderr, flush=True)
    return failed


def time_in_words(time: TimeLeft) -> str:
    """How long the runs will take, and the probes that have to be trained."""
    text = f"{duration(time.runs)} with {time.at_once} at once"
    if not time.probes:
        return text
    count = f"{len(time.probes)} probes" if len(time.probes) > 1 else "a probe"
    return f"{text}, besides {duration(sum(time.probes))} for {count}"


def duration(seconds: float) -> str:
    """A time in words: seconds, minutes from two on, hours from two on."""
    minutes = seconds / 60
    if minutes < 2:
        return f"{seconds:.0f} seconds"
    return f"{minutes / 60:.1f} hours" if minutes >= 120 else f"{minutes:.0f} minutes"
