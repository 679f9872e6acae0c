"""Checkpoint files that exist already, as a series of models."""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from conceptspace.errors import UserError

Model = TypeVar("Model")


def replay(
    paths: Iterable[str | Path],
    load: Callable[[Path], Model],
    *,
    skip: Container[int] = (),
) -> Iterator[tuple[int, Model]]:
    """Load checkpoints one after the other, by increasing step.

    ::

        for step, model in replay(Path("ckpt").glob("*.pt"), load, skip=recorder.recorded):
            recorder.checkpoint(step, model)

    Args:
        paths: files or folders; the last number in a name is the step, as in ``model-00400.pt``.
        load: path -> model, called when its turn comes.
        skip: steps that are not loaded.

    Raises:
        UserError: there is no path, a name has no number, or two have the same; at once.
    """
    steps: dict[int, Path] = {}
    for path in map(Path, paths):
        step = _step_of(path)
        if step in steps:
            raise UserError(f"{steps[step]} and {path} are both of step {step}")
        steps[step] = path
    if not steps:
        raise UserError("there are no checkpoints to replay")
    return ((step, load(steps[step])) for step in sorted(steps) if step not in skip)


def _step_of(path: Path) -> int:
    numbers = re.findall(r"\d+", path.stem if path.suffix.lstrip(".").isalpha() else path.name)
    if not numbers:
        raise UserError(f"the name of {path} holds no step")
    return int(numbers[-1])
