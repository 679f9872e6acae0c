"""Progress of a run on a terminal (rich) or as plain lines."""

from __future__ import annotations

import math
import signal
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import FrameType

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

from conceptspace.events import Evaluated, Event, Notice, Trained

PLAIN_INTERVAL = 5.0
"""Seconds between plain progress lines."""


class Interrupt:
    """Turns the first Ctrl-C into a request to stop after the current step."""

    def __init__(self) -> None:
        self.requested = False

    def __call__(self) -> bool:
        return self.requested

    @contextmanager
    def listening(self) -> Iterator[Interrupt]:
        """Listen to Ctrl-C and SIGTERM; a second Ctrl-C ends the program at once."""

        def handle(number: int, frame: FrameType | None) -> None:
            if self.requested:
                raise KeyboardInterrupt
            self.requested = True

        before = {s: signal.signal(s, handle) for s in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


class Speed:
    """Steps per second and time left, from the training steps seen."""

    def __init__(self) -> None:
        self.first: tuple[float, int] | None = None
        self.text = ""

    def seen(self, event: Trained) -> str:
        """How fast it goes, as a phrase."""
        if self.first is None:
            self.first = (event.at, event.step)
        seconds, steps = event.at - self.first[0], event.step - self.first[1]
        if steps > 0 and seconds > 0:
            left = int((event.last - event.step) * seconds / steps)
            self.text = f"{steps / seconds:.1f} steps/s, {left // 60}:{left % 60:02d} left"
        return self.text


def accuracies_in_words(event: Evaluated) -> str:
    """Joint accuracies by class and the share of valid images, as a phrase."""
    shares = " ".join(f"{name} {value:.2f}" for name, value in event.accuracies.items())
    return shares if math.isnan(event.valid) else f"{shares}, {100 * event.valid:.0f} % valid"


def show(events: Iterable[Event]) -> None:
    """Print events: live on a terminal, else as lines."""
    console = Console(stderr=True)
    if console.is_terminal:
        _live(events, console)
    else:
        _plain(events)


def _plain(events: Iterable[Event]) -> None:
    speed, last = Speed(), 0.0
    for event in events:
        match event:
            case Notice(text):
                print(text, file=sys.stderr, flush=True)
            case Evaluated(step, protocol):
                line = f"step {step}: {protocol} joint accuracy {accuracies_in_words(event)}"
                print(line, file=sys.stderr, flush=True)
            case Trained(step, final):
                pace = speed.seen(event)
                if time.perf_counter() - last > PLAIN_INTERVAL and pace:
                    last = time.perf_counter()
                    print(f"step {step} of {final}, {pace}", file=sys.stderr, flush=True)


def _live(events: Iterable[Event], console: Console) -> None:
    speed = Speed()
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn())
    with Progress(*columns, TextColumn("{task.fields[note]}"), console=console) as progress:
        task = progress.add_task("preparing", total=None, note="")
        scores = ""
        for event in events:
            match event:
                case Notice(text):
                    progress.console.print(text, markup=False, highlight=False)
                case Evaluated(step, protocol):
                    scores = f"{protocol} {accuracies_in_words(event)}"
                    note = f"step {step}  {speed.text}  {scores}"
                    progress.update(task, note=note, description="scoring")
                case Trained(step, final):
                    note = f"{step}/{final}  {speed.seen(event)}  {scores}"
                    progress.update(
                        task, total=final, completed=step, note=note, description="training"
                    )
