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
        paths: files or folders; the step is the number behind "step" in the name, as in
            ``epoch=3-step=400-v1.ckpt``, else the last that stands alone, as in
            ``model-400-fp16.pt``, else the last.
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


STEP = re.compile(r"step[^A-Za-z0-9]*(\d+)|(?<![A-Za-z0-9.])(\d+)|(\d+)", re.IGNORECASE)


def _step_of(path: Path) -> int:
    name = path.stem if re.search("[A-Za-z]", path.suffix) else path.name
    found = STEP.findall(name)
    for kind in range(3):  # what follows "step", then what stands alone, then the end of a word
        if numbers := [each[kind] for each in found if each[kind]]:
            return int(numbers[-1])
    raise UserError(f"the name of {path} holds no step")
