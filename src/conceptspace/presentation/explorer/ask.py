"""Ask a kept checkpoint for a few images of a point in concept space, from the page.

Nothing is written. One request is worked on at a time and one waits; each makes a few images, and
is given up after a while.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from threading import BoundedSemaphore, Lock
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from conceptspace.analysis.points import numbers
from conceptspace.config import RunConfig
from conceptspace.errors import UserError
from conceptspace.experiment import parts
from conceptspace.judges.function import checked_judge
from conceptspace.models.config import MODELS
from conceptspace.models.modes import evaluating
from conceptspace.models.sampling import Denoiser, gaussian, sample
from conceptspace.models.vdm import VDM
from conceptspace.presentation.explorer.guarded import bound_of, require_plain
from conceptspace.presentation.explorer.spaces import png, uri
from conceptspace.presentation.style import pixels
from conceptspace.protocols.prompts import placed
from conceptspace.recording.sheets import as_tiles
from conceptspace.run_folder import step_name
from conceptspace.seeding import generator
from conceptspace.store import Run
from conceptspace.training import checkpoint
from conceptspace.worlds import border
from conceptspace.worlds.config import WORLDS
from conceptspace.worlds.rendered import RenderedWorld

IMAGES = 8
"""How many are made for a point."""

MOST_STEPS = 50
"""At most so many denoising steps, even where the run's evaluation takes more."""

MOST_WEIGHTS = 10**8
LARGEST = 128
"""Pixels per side."""

PATIENCE = 60.0
"""Seconds after which a request is given up."""

REACH = 4.0
"""How far from the first value of a concept one may ask; its second value is at 1."""

Tree = dict[str, Any]


class AskerBusy(UserError):
    """The model is asked already, and somebody waits."""


class PointAsker:
    """Makes images of points in concept space; the model that was asked last is kept.

    Args:
        patience: see :data:`PATIENCE`.
    """

    def __init__(self, patience: float = PATIENCE) -> None:
        self.patience = patience
        self._places = BoundedSemaphore(2)
        self._at_work = Lock()
        self._kept: tuple[tuple[str, int, str], _Asked] | None = None

    def __call__(self, run: Run, version: str, step: int, at: Sequence[float]) -> Tree:
        """Images for a point.

        ::

            {"src": PNG of one row, a data URI, "tile": 16, "columns": 8, "seconds": 1.2,
             "asked": [1.25, 0.5], "landed": [[0.98, 0.4], ...] or null, "valid": [true, ...]}

        ``asked`` is the point after concepts were cut at their limits; ``landed`` is where the
        judge sees each image, null where the world has no judge of its own. The noise depends on
        the run's seed alone, so images of neighboring points resemble each other.

        Args:
            run: with its checkpoints.
            version: of its files; with another one the model is loaded anew.
            step: of a checkpoint.
            at: coordinate of each concept; 0 and 1 are the means of its first two values.

        Raises:
            AskerBusy: one request is being worked on and another one waits.
            UserError: the run has no such checkpoint, cannot be asked, or takes too long.
        """
        if not self._places.acquire(blocking=False):
            raise AskerBusy("the model is being asked already; ask again in a moment")
        try:
            until = time.monotonic() + self.patience
            if not self._at_work.acquire(timeout=self.patience):
                raise AskerBusy("the model is being asked for long already; ask again later")
            try:
                return self._answer(run, version, step, at, until)
            finally:
                self._at_work.release()
        finally:
            self._places.release()

    def _answer(self, run: Run, version: str, step: int, at: Sequence[float], until: float) -> Tree:
        began, key = time.monotonic(), (str(run.path), step, version)
        if self._kept is None or self._kept[0] != key:
            self._kept = None
            self._kept = key, _Asked(run, step)
        answer = self._kept[1].images(at, until)
        return answer | {"seconds": round(time.monotonic() - began, 2)}


class _Asked:
    """A checkpoint with its world and judge."""

    def __init__(self, run: Run, step: int) -> None:
        self.config = _askable(run)
        if step not in checkpoint.saved_steps(run.checkpoints):
            raise UserError(f"{run.name} keeps no checkpoint of step {step}")
        for path in run.checkpoints.glob(f"{step_name(step)}.*"):
            require_plain(path, bound_of(run))
        self.world: RenderedWorld = parts.rendered(self.config.data)
        own = self.config.data.judge(self.world)
        self.judge = None if own is None else checked_judge(own, self.world.space.concepts)
        self.model: VDM = parts.model(self.config, torch.device("cpu"))
        self.model.load_state_dict(checkpoint.load(run.checkpoints, step))

    def images(self, at: Sequence[float], until: float) -> Tree:
        """See :meth:`PointAsker.__call__`."""
        z, asked = self._prompt(at)
        h = parts.conditioning(self.config.data)(z.expand(IMAGES, -1))
        side, evaluation = self.world.resolution, self.config.evaluate
        with evaluating(self.model):
            x = sample(
                _in_time(self.model, until),
                self.model.schedule,
                h,
                steps=min(evaluation.sampling_steps, MOST_STEPS),
                noise=gaussian((IMAGES, 3, side, side), generator(self.config.seed, "ask")),
                sampler=evaluation.sampler,
            )
        made = self.model.decode(x)
        tiles = as_tiles(made)
        row = np.concatenate([pixels(tile.numpy()) for tile in tiles], axis=1)
        strip = {"src": uri(png(Image.fromarray(row))), "tile": tiles.shape[-1], "columns": IMAGES}
        return strip | {"asked": asked, **self._judged(made)}

    def _prompt(self, at: Sequence[float]) -> tuple[Tensor, list[float]]:
        """The concept vector of a point, and the point after its concepts were cut."""
        space = self.world.space
        if len(at) != len(space.concepts):
            raise UserError(f"a point has {len(space.concepts)} numbers here, not {len(at)}")
        if not all(math.isfinite(t) and abs(t) <= REACH for t in at):
            raise UserError(f"the numbers of a point lie between -{REACH:g} and {REACH:g}")
        z, asked = border.class_mean(self.world, str(space.classes[0])).clone(), []
        for concept, t in zip(space.concepts, at, strict=True):
            _, columns = placed(self.world, concept.name, "asking")
            first, second = concept.mean(0), concept.mean(1)
            value = first + t * (second - first)
            value = value if concept.categorical else value.clamp(*concept.limits)
            z[columns] = value.to(z)
            asked.append(float(concept.coordinate(value)))
        return z, [round(value, 4) for value in asked]

    @torch.no_grad()
    def _judged(self, images: Tensor) -> Tree:
        if self.judge is None:
            return {"landed": None, "valid": None}
        found = self.judge(images)
        landed = [numbers(row) for row in found.coordinates.double().numpy()]
        return {"landed": landed, "valid": None if found.valid is None else found.valid.tolist()}


def _askable(run: Run) -> RunConfig:
    """The config of a run, if its model can be asked at little cost.

    Raises:
        UserError: it cannot.
    """
    config = run.description
    if not isinstance(config, RunConfig):
        raise UserError(f"{run.name} keeps no model: it was recorded from elsewhere")
    if config.data.kind not in WORLDS.built_in or config.model.kind not in MODELS.built_in:
        raise UserError(
            f"{run.name} has data or a network of its own kind; it is not asked here, because that "
            "would run code that its config names"
        )
    if config.model.weights() > MOST_WEIGHTS or config.data.resolution > LARGEST:
        raise UserError(
            f"{run.name} is too large to be asked here: more than {MOST_WEIGHTS:.0e} weights or "
            f"{LARGEST} pixels"
        )
    return config


def _in_time(model: Denoiser, until: float) -> Denoiser:
    """The same denoiser, which gives up after a moment."""

    def denoise(z: Tensor, gamma: Tensor, h: Tensor) -> Tensor:
        if time.monotonic() > until:
            raise UserError("the model takes too long; it was given up")
        return model(z, gamma, h)

    return denoise


def steps_of(run: Run) -> list[int]:
    """The steps at which a run can be asked; none if it cannot."""
    try:
        _askable(run)
        return checkpoint.saved_steps(run.checkpoints)
    except (UserError, OSError):
        return []
