"""Where everything lies in the folder of a run.

::

    RUN/
      config.toml               the resolved config; enough to repeat the run. Of a recorded run:
                                how the model was asked and judged
      space.json                the concepts with their values, and which classes train
      run.json                  versions, hardware, hashes, wall times, status
      training.parquet          loss terms, gradient norm, gamma(0), gamma(1), images per second
      checkpoints/              step-00000400.safetensors and .json, weights for sampling
      resume/                   the last two full training states
      scores/PROTOCOL/          step-00000400.parquet: every generated image's scores
      samples/PROTOCOL/         step-00000400.png: every generated image, and which is which
      trajectory.parquet        the scores, averaged over images
      best.parquet              of a run that was kept without its scores: what was found in them
      classes/                  00.png: an image of each class, where they are not rendered
      figures/                  PNG and SVG
      report.html               one self-contained page
"""

from __future__ import annotations

import re
from pathlib import Path

STEP = re.compile(r"step-(\d{8,})")
"""Stem of the names of files that belong to a step."""

LOCK = ".lock"
"""Name of the file that the process which works on a run holds locked."""

WRITTEN = ("", "checkpoints", "resume", "scores/*", "samples/*", "classes")
"""Folders of a run that are written under its lock only."""


class RunFolder:
    """The paths of a run; nothing is read, and nothing has to be there.

    Args:
        path: of the folder.

    Attributes:
        config, space, information, training, trajectory, best, report, lock: files.
        checkpoints, resume, pictures, figures: folders; ``pictures`` is ``classes/``.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config = path / "config.toml"
        self.space = path / "space.json"
        self.information = path / "run.json"
        self.training = path / "training.parquet"
        self.trajectory = path / "trajectory.parquet"
        self.best = path / "best.parquet"
        self.report = path / "report.html"
        self.lock = path / LOCK
        self.checkpoints = path / "checkpoints"
        self.resume = path / "resume"
        self.pictures = path / "classes"
        self.figures = path / "figures"

    def scores(self, protocol: str, step: int) -> Path:
        """The scores of every image of a checkpoint under a protocol."""
        return self.path / "scores" / protocol / f"{step_name(step)}.parquet"

    def sheet(self, protocol: str, step: int) -> Path:
        """The contact sheet of a checkpoint under a protocol."""
        return self.path / "samples" / protocol / f"{step_name(step)}.png"

    def all_scores(self) -> list[Path]:
        """The files of scores that are there, by protocol and step."""
        protocols = sorted((self.path / "scores").glob("*"))
        return [path for protocol in protocols for path in of_steps(protocol, ".parquet")]

    def scored_steps(self, protocol: str) -> list[int]:
        """The steps that have scores under a protocol, increasing."""
        return [step_of(path) for path in of_steps(self.path / "scores" / protocol, ".parquet")]

    def sheets(self, protocol: str) -> list[Path]:
        """The contact sheets of a protocol that are there, by step."""
        return of_steps(self.path / "samples" / protocol, ".png")


def step_name(step: int) -> str:
    """File stem of a step; names sort like steps below 10⁸."""
    return f"step-{step:08d}"


def step_of(path: Path) -> int:
    """The step whose file this is."""
    return int(path.stem.removeprefix("step-"))


def of_steps(folder: Path, suffix: str) -> list[Path]:
    """The files of steps in a folder, by step; others, like copies of them, do not count."""
    return sorted(
        (p for p in folder.glob(f"step-*{suffix}") if STEP.fullmatch(p.stem)), key=step_of
    )
