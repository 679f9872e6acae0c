"""The process of one run: ``python -m conceptspace.sweeps.worker FOLDER DEVICE``.

Its lines tell of the scored checkpoints. Exit status: 0 done, 2 a mistake told in one sentence,
130 stopped on request or because the process that started it is gone; what was done is saved.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from types import FrameType

import torch

from conceptspace import build, events, pipeline
from conceptspace.cache import probe_cache
from conceptspace.errors import UserError
from conceptspace.store import Run
from conceptspace.sweeps.local import STOPPED
from conceptspace.sweeps.origin import commit, processor


class Stop:
    """Says to stop after SIGTERM or SIGINT, or when the parent process has ended."""

    def __init__(self) -> None:
        self.parent = os.getppid()
        self.requested = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._request)

    def _request(self, number: int, frame: FrameType | None) -> None:
        self.requested = True

    def __call__(self) -> bool:
        return self.requested or os.getppid() != self.parent


def main(folder: Path, device: str) -> int:
    """Execute the run in a folder; returns the exit status."""
    stop = Stop()
    torch.set_num_threads(1)
    try:
        run = Run(folder)
        commits = [*run.information().get("commits", []), commit()]
        run.note(commits=list(dict.fromkeys(commits)), processor=processor())
        session = pipeline.Session(run, build.device(device), probe_cache())
        for event in session.execute(stop):
            match event:
                case events.Notice(text):
                    print(text, flush=True)
                case events.Evaluated(step, protocol, accuracies):
                    told = " ".join(f"{name} {value:.2f}" for name, value in accuracies.items())
                    print(f"step {step}: {protocol} joint accuracy {told}", flush=True)
    except events.Stopped as stopped:
        print(f"stopped at step {stopped.step}", flush=True)
        return STOPPED
    except UserError as error:
        print(error, flush=True)
        return error.status
    except OSError as error:
        print(f"{error.strerror}: {error.filename}", flush=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2]))
