"""Work on one run: in a process of its own, or in a task of a cluster.

``python -m conceptspace.sweeps.worker FOLDER HOME RESOURCES``, where RESOURCES is JSON, prints a
line for each scored checkpoint and exits with the status of its :class:`Outcome`.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import torch

from conceptspace import events
from conceptspace.cache import probe_cache
from conceptspace.errors import UserError
from conceptspace.experiment import parts
from conceptspace.experiment.session import Session
from conceptspace.locking import Busy
from conceptspace.loggers import logged, open_loggers
from conceptspace.store import Run
from conceptspace.sweeps.lease import Lease, held
from conceptspace.sweeps.origin import commit, processor
from conceptspace.sweeps.resources import Resources
from conceptspace.sweeps.storage import Store, StoredRun

STOPPED = 130
"""Status of a worker that was asked to stop."""

BUSY = 75
"""Status of a worker whose run another one works on, and goes on to."""

UNCOVERED = "it has ended, and lacks scores that were planned; the same command makes them"
"""Why a run counts as failed whose worker found nothing to complain of."""

PATIENCE = 5.0
"""Seconds that a worker waits for another one to leave its run before the engine, which works on
others meanwhile, waits for it."""

POLL = 0.5
"""Seconds between looks at a run that another worker holds."""


@dataclass(frozen=True)
class Outcome:
    """How the work on a run ended.

    Attributes:
        status: 0 done, 2 a mistake, described in one sentence, 1 the machine's fault or divergence,
            75 another worker works on the run, 130 stopped on request, or because the process that
            started this one is gone.
        reason: why, in one sentence.
    """

    status: int
    reason: str


class Stop:
    """Says to stop after SIGTERM or SIGINT, or when the parent process has ended."""

    def __init__(self) -> None:
        self.parent = os.getppid()
        self.requested = False

    def __call__(self) -> bool:
        return self.requested or os.getppid() != self.parent

    @contextmanager
    def listening(self) -> Iterator[Stop]:
        """Listen to the signals, and leave the handlers as they were."""

        def request(number: int, frame: FrameType | None) -> None:
            self.requested = True

        before = {s: signal.signal(s, request) for s in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def work(folder: Path, home: Path, resources: Resources, say: Callable[[str], None]) -> Outcome:
    """Bring the run in a folder to its end, whatever of it is there.

    Args:
        folder: of the run; its config is there.
        home: of the sweep, where loggers may keep what belongs to all runs.
        resources: of the run.
        say: called with every scored checkpoint, in one line.
    """
    torch.set_num_threads(resources.threads)
    with Stop().listening() as stop:
        try:
            with _brought(folder, home, resources, stop, say) as (halt, save):
                run = Run(folder)
                device = parts.device(resources.device)
                running = _alone(Session(run, device, probe_cache()), halt)
                with open_loggers(resources.loggers, run, home) as loggers:
                    for event in logged(running, run, loggers):
                        _tell(event, say)
                        if isinstance(event, events.Evaluated):
                            save()
        except events.Stopped as stopped:
            return Outcome(STOPPED, f"stopped at step {stopped.step}")
        except Busy as error:
            return Outcome(BUSY, str(error))
        except UserError as error:
            return Outcome(error.status, str(error))
        except OSError as error:
            reason = error.strerror or str(error) or type(error).__name__
            return Outcome(1, reason if error.filename is None else f"{reason}: {error.filename}")
    return Outcome(0, "done")


def _alone(session: Session, stop: Callable[[], bool]) -> Iterator[events.Event]:
    """The session's events, once no other worker holds the run.

    Raises:
        Busy: one still does after :data:`PATIENCE`.
    """
    until = time.monotonic() + PATIENCE
    while True:
        try:
            for number, event in enumerate(session.execute(stop)):
                if number == 0:
                    commits = [*session.run.information().get("commits", []), commit()]
                    session.run.note(commits=list(dict.fromkeys(commits)), processor=processor())
                yield event
            return
        except Busy:
            if stop() or time.monotonic() > until:
                raise
        time.sleep(POLL)


@contextmanager
def _brought(
    folder: Path,
    home: Path,
    resources: Resources,
    stop: Callable[[], bool],
    say: Callable[[str], None],
) -> Iterator[tuple[Callable[[], bool], Callable[[], None]]]:
    """Fetch a run from the storage, if there is one, and bring it back at the end, however it ends.

    Yields what says to stop, and what brings it back meanwhile, unless that was a moment ago.

    Raises:
        Busy: another worker works on the run, or has taken over.
        UserError: the storage does not answer.
    """
    if not resources.store:
        yield stop, lambda: None
        return
    store = Store(resources.store)
    run = StoredRun(store, folder.relative_to(home / "runs").as_posix(), folder)
    lease, last = Lease(store, run.place), time.monotonic()

    def save() -> None:
        nonlocal last
        if time.monotonic() - last >= resources.save_every:
            lease.renew()
            run.push()
            last = time.monotonic()

    with held(lease, stop) as halt:
        for problem in run.fetch():
            say(problem)
        try:
            yield halt, save
        finally:
            lease.renew()
            run.push()
        run.thin()


def _tell(event: events.Event, say: Callable[[str], None]) -> None:
    match event:
        case events.Notice(text):
            say(text)
        case events.Evaluated(step, protocol, accuracies):
            scores = " ".join(f"{name} {value:.2f}" for name, value in accuracies.items())
            say(f"step {step}: {protocol} joint accuracy {scores}")


def main(folder: str, home: str, resources: str) -> int:
    """Work on the run in a folder; returns the exit status."""
    given = json.loads(resources)
    asked = Resources(**given | {"loggers": tuple(given["loggers"])})
    outcome = work(Path(folder), Path(home), asked, lambda line: print(line, flush=True))
    if outcome.status:
        print(outcome.reason, flush=True)
    return outcome.status


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
