"""Where numbers and pictures of a run go besides its folder: TensorBoard, W&B, MLflow, or your own.

A logger is anything with the three methods of :class:`Logger`. :func:`logged` feeds loggers from
the events of a run, :class:`~conceptspace.recording.recorder.Recorder` from its checkpoints.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from importlib import import_module
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from PIL import Image

from conceptspace.errors import UserError
from conceptspace.events import Evaluated, Event, Trained
from conceptspace.store import Run

EVERY = 10
"""Gradient steps from one logged step to the next."""

KNOWN = {
    "tensorboard": ("conceptspace.loggers.tensorboard", "TensorBoard"),
    "wandb": ("conceptspace.loggers.wandb", "WeightsAndBiases"),
    "mlflow": ("conceptspace.loggers.mlflow", "MLflow"),
}
"""Module and class of each logger that has a name; each needs the extra of that name."""


@runtime_checkable
class Logger(Protocol):
    """Takes numbers and pictures by step."""

    def numbers(self, step: int, values: Mapping[str, float]) -> None:
        """Keep finite numbers of a gradient step, by names such as ``train/loss``."""

    def picture(self, step: int, name: str, pixels: np.ndarray) -> None:
        """Keep a picture of a gradient step: bytes of shape (height, width, 3)."""

    def close(self) -> None:
        """Write what waits, and end."""


def logger(name: str, run: Run, home: Path) -> Logger:
    """A known logger for a run.

    Args:
        name: one of :data:`KNOWN`.
        run: whose numbers it takes.
        home: folder of the sweep that the run belongs to, or of the run alone.

    Raises:
        UserError: there is no such logger, or its library is not installed.
    """
    if name not in KNOWN:
        raise UserError(f"there is no logger {name!r}; they are {', '.join(KNOWN)}")
    module, kind = KNOWN[name]
    try:
        made: Logger = getattr(import_module(module), kind)(run, home)
    except ImportError as error:
        raise UserError(
            f"the logger {name} needs {error.name}; install it: pip install 'conceptspace[{name}]'"
        ) from None
    return made


@contextmanager
def open_loggers(asked: Sequence[str | Logger], run: Run, home: Path) -> Iterator[list[Logger]]:
    """Loggers for a run, closed at the end; those of one's own are closed as well.

    Raises:
        UserError: see :func:`logger`.
    """
    with ExitStack() as stack:
        found = []
        for one in asked:
            found.append(logger(one, run, home) if isinstance(one, str) else one)
            stack.callback(found[-1].close)
        yield found


def logged(events: Iterable[Event], run: Run, loggers: Sequence[Logger]) -> Iterator[Event]:
    """The events of a run, of which loggers take the numbers and pictures.

    Loss and gradient norm of every :data:`EVERY` th step; at each scored checkpoint the joint
    accuracy of each class, the share of valid images, and the contact sheet.
    """
    for event in events:
        if loggers:
            match event:
                case Trained(step, last, loss, norm) if step % EVERY == 0 or step in (1, last):
                    values = {"train/loss": float(loss), "train/grad_norm": float(norm)}
                    _numbers(loggers, step, values)
                case Evaluated():
                    log_scores(event, run, loggers)
        yield event


def log_scores(scored: Evaluated, run: Run, loggers: Sequence[Logger]) -> None:
    """Give loggers the scores and the contact sheet of a checkpoint."""
    step, protocol = scored.step, scored.protocol
    values = {f"accuracy/{protocol}/{name}": value for name, value in scored.accuracies.items()}
    _numbers(loggers, step, values | {f"valid/{protocol}": scored.valid})
    sheet = run.folder.sheet(protocol, step)
    if sheet.exists():
        with Image.open(sheet) as image:
            pixels = np.asarray(image.convert("RGB"))
        for logger in loggers:
            logger.picture(step, f"samples/{protocol}", pixels)


def log_metrics(step: int, metrics: Mapping[str, float], loggers: Sequence[Logger]) -> None:
    """Give loggers the numbers that came with a checkpoint of one's own training."""
    _numbers(loggers, step, {f"train/{name}": value for name, value in metrics.items()})


def _numbers(loggers: Sequence[Logger], step: int, values: Mapping[str, float]) -> None:
    finite = {name: value for name, value in values.items() if math.isfinite(value)}
    for logger in loggers:
        logger.numbers(step, finite)
