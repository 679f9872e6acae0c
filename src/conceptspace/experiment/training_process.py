"""Training in a process of its own, while the one that holds the run scores its checkpoints.

The process writes pickled messages to its standard output: events, what belongs in ``run.json``,
and how it ended. A byte on its standard input asks it to stop. When the input ends without one,
whoever holds the run's lock is gone, and the process leaves at once as well.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Event as Flag
from threading import Thread
from typing import Any

import torch

from conceptspace.engine.native.memory import keep_freed_memory
from conceptspace.engine.precision import Precision
from conceptspace.errors import UserError
from conceptspace.events import Event, Notice, Stopped, Trained
from conceptspace.experiment import parts
from conceptspace.experiment.training import Training
from conceptspace.store import Run

STOP = b"s"


class Ended(UserError):
    """The process ended without a word, or by an error that is not the user's."""

    status = 1


class TrainingProcess:
    """Trains a run whose lock this process holds; use it in a ``with`` block.

    Leaving the block by an exception asks the process to save its state and stop, or kills it after
    ``KeyboardInterrupt``. It takes as many threads as PyTorch uses here.

    Args:
        run: the folder.
        device: where to compute.
        precision: of the wide layers.

    Attributes:
        ended: whether the training has reached its last step, and all events were passed on.
    """

    def __init__(self, run: Run, device: torch.device, precision: Precision) -> None:
        self.run = run
        self.ended = False
        self.asked = [str(run.path), str(device), precision]
        self.messages: SimpleQueue[tuple[str, Any]] = SimpleQueue()

    def __enter__(self) -> TrainingProcess:
        self.process = subprocess.Popen(
            [sys.executable, "-m", __name__, *self.asked],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | {"OMP_NUM_THREADS": str(torch.get_num_threads())},
            start_new_session=True,  # Ctrl-C is this process's to answer
        )
        self.reader = Thread(target=self._read, daemon=True)
        self.reader.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        if kind is not None and issubclass(kind, KeyboardInterrupt):
            self.process.kill()
        self.stop()
        self.process.wait()
        self.reader.join()
        for stream in (self.process.stdin, self.process.stdout):
            assert stream is not None
            stream.close()

    def stop(self) -> None:
        """Ask it to save its state and end; it does so after the step at which it is."""
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it may have ended
            os.write(self.process.stdin.fileno(), STOP)

    def events(self, timeout: float = 0.0) -> Iterator[Event]:
        """The events that it has sent since the last call.

        Args:
            timeout: seconds to wait for something.

        Raises:
            Stopped: it was asked to stop, and has saved its state.
            Diverged, UserError, OSError: as training here would.
            Ended: it was killed, or failed otherwise.
        """
        while not self.ended:
            try:
                kind, content = self.messages.get(timeout > 0, timeout)
            except Empty:
                return
            timeout = 0.0
            match kind:
                case "event":
                    yield content
                case "note":
                    self.run.note(**content)
                case "failed":
                    raise content
                case _:
                    self.ended = True

    def _read(self) -> None:
        stream = self.process.stdout
        assert stream is not None
        last = ""
        while last not in ("done", "failed"):
            try:
                last, content = pickle.load(stream)
            except Exception:  # cut off in the middle of a message, or before one
                status = self.process.wait()
                content = Ended(
                    f"the process that trains {self.run.path} ended (status {status}); the same "
                    "command goes on from the last training state"
                )
                last = "failed"
            self.messages.put((last, content))


class _Remote(Run):
    """A run whose ``run.json`` another process writes."""

    def __init__(self, path: Path, say: Callable[[str, Any], None]) -> None:
        super().__init__(path)
        self.say = say

    def note(self, **information: Any) -> None:
        self.say("note", information)


def main(folder: str, device: str, precision: Precision) -> None:
    """Train the run in a folder, and send everything to the standard output."""
    out, sys.stdout = sys.stdout.buffer, sys.stderr
    stop = Flag()
    Thread(target=_listen, args=(stop,), daemon=True).start()

    def say(kind: str, content: Any = None) -> None:
        pickle.dump((kind, content), out)
        out.flush()

    keep_freed_memory()
    try:
        run = _Remote(Path(folder), say)
        config = run.config
        world = parts.world(config.data)
        training = Training(run, config, world, torch.device(device), precision)
        for event in training.events(stop.is_set):
            say("event", _plain(event))
    except Exception as error:
        say("failed", _portable(error))
    else:
        say("done")


def _listen(stop: Flag) -> None:
    if not os.read(sys.stdin.fileno(), 1):
        os._exit(1)
    stop.set()


def _plain(event: Event) -> Event:
    """The event without tensors."""
    if isinstance(event, Trained):
        return replace(event, loss=float(event.loss), grad_norm=float(event.grad_norm))
    assert isinstance(event, Notice)
    return event


def _portable(error: Exception) -> Exception:
    """The error, if it means the same in another process."""
    if isinstance(error, Stopped | UserError | OSError):
        return error
    traceback.print_exc()
    return Ended(f"training failed: {type(error).__name__}: {error}")


if __name__ == "__main__":
    main(*sys.argv[1:])  # type: ignore[arg-type]
