"""A run's folder: what is in it, how it is opened, and that it is never overwritten by surprise.

::

    RUN/
      config.toml               the resolved config; enough to repeat the run
      run.json                  versions, hardware, hashes, wall times, status
      training.parquet          loss terms, gradient norm, gamma(0), gamma(1), images per second
      checkpoints/              step-00000400.safetensors and .json, weights for sampling
      resume/                   the last two full training states
      scores/PROTOCOL/          step-00000400.parquet: every generated image's scores
      samples/PROTOCOL/         step-00000400.png: every generated image; .json: which is which
      trajectory.parquet        the scores, averaged over images
      classes/                  00.png: an image of each class, where they are not rendered
      figures/                  PNG and SVG
      report.html               one self-contained page
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from conceptspace.config import RunConfig, load
from conceptspace.errors import UserError
from conceptspace.files import read_table, write_atomically, write_json
from conceptspace.tables import JOINT, NAIVE, TRAJECTORY_COLUMNS

__all__ = [
    "JOINT",
    "NAIVE",
    "TRAJECTORY_COLUMNS",
    "Run",
    "Sheet",
    "open_or_create",
    "read_scores",
    "read_sheet",
]


ASIDE = ".parquet.damaged"
"""Suffix of a training log that could not be read when its run went on."""


@dataclass(frozen=True)
class Sheet:
    """A contact sheet: one row of square tiles per setting and class, one column per image.

    Attributes:
        path: the PNG.
        tile: pixels per side of a tile; tiles touch.
        rows: ``{"setting": ..., "concept_class": ...}`` of each row, from the top.
        columns: images per row.
    """

    path: Path
    tile: int
    rows: list[dict[str, str]]
    columns: int


class Run:
    """An existing run folder, for reading.

    Args:
        path: the folder.

    Raises:
        UserError: it is not a run folder, or its config cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if not (path / "config.toml").is_file():
            raise UserError(f"{path} is not a run: it has no config.toml")

    @cached_property
    def config(self) -> RunConfig:
        """The resolved config."""
        return load(self.path / "config.toml", RunConfig())

    @property
    def name(self) -> str:
        """The folder's name, which is the run's name in every table."""
        return self.path.resolve().name

    @property
    def checkpoints(self) -> Path:
        """The folder of the checkpoints."""
        return self.path / "checkpoints"

    @property
    def pictures(self) -> Path:
        """The folder of the images that stand for classes, where these are not rendered."""
        return self.path / "classes"

    def information(self) -> dict[str, Any]:
        """The content of ``run.json``; empty before the run has started.

        Raises:
            UserError: the file is damaged.
        """
        path = self.path / "run.json"
        try:
            return dict(json.loads(path.read_text())) if path.exists() else {}
        except (ValueError, TypeError) as error:
            raise UserError(
                f"{path} is damaged ({error}); delete it: it tells versions and times, and "
                "the next run or evaluate writes it anew"
            ) from None

    def note(self, **information: Any) -> None:
        """Add to ``run.json``."""
        write_json(self.path / "run.json", self.information() | information)

    def trajectory(self) -> pd.DataFrame:
        """The learning trajectory, columns :data:`TRAJECTORY_COLUMNS`.

        Raises:
            UserError: the run has not been evaluated yet, or the file is damaged.
        """
        path = self.path / "trajectory.parquet"
        command = f"conceptspace evaluate {self.path} --protocol {NAIVE}"
        if not path.exists():
            raise UserError(f"{self.path} has no {path.name} yet; run: {command}")
        return read_table(path, f"write it anew from the scores with: {command}")

    def training(self) -> pd.DataFrame:
        """One row per step: step, loss and its terms (bits per dimension), grad_norm, gamma_0,
        gamma_1, images_per_second.

        Raises:
            UserError: nothing has been trained yet, or the file is damaged.
        """
        path = self.path / "training.parquet"
        command = f"conceptspace run --out {self.path}"
        if path.exists():
            return read_table(path, f"set it aside with: {command}")
        if path.with_suffix(ASIDE).exists():
            raise UserError(
                f"{self.path} has no training log, the damaged one was set aside; for a new one "
                f"delete {self.path / 'resume'} and train again, to the same checkpoints, with: "
                f"{command}"
            )
        raise UserError(f"{self.path} has no {path.name} yet; run: {command}")

    def scores(self) -> pd.DataFrame:
        """Every generated image's scores: run, seed, step, protocol, setting, concept_class,
        sample, concept, accuracy and coordinate by the judge, valid, and probe, see
        :class:`conceptspace.measurement.scoring.Scorer`.

        Raises:
            UserError: the run has not been evaluated yet, or a file is damaged.
        """
        parts = [read_scores(path) for path in sorted((self.path / "scores").glob("*/*.parquet"))]
        if not parts:
            raise UserError(f"{self.path} has not been evaluated; run: conceptspace evaluate ...")
        return pd.concat(parts, ignore_index=True)

    def sheets(self, protocol: str = NAIVE) -> dict[int, Sheet]:
        """The contact sheet of each evaluated step, in order.

        Raises:
            UserError: an index is damaged.
        """
        paths = sorted((self.path / "samples" / protocol).glob("step-*.json"))
        return dict(read_sheet(path) for path in paths)


def read_scores(path: Path) -> pd.DataFrame:
    """The scores of one protocol and step, ``RUN/scores/PROTOCOL/step-00000400.parquet``.

    Raises:
        UserError: the file is damaged.
    """
    run, protocol = path.parents[2], path.parent.name
    again = f"conceptspace evaluate {run} --protocol {protocol}"
    return read_table(path, f"delete it and score that checkpoint again with: {again}")


def read_sheet(path: Path) -> tuple[int, Sheet]:
    """Step and contact sheet of an index, ``RUN/samples/PROTOCOL/step-00000400.json``.

    Raises:
        UserError: the file is damaged.
    """
    try:
        told = json.loads(path.read_text())
        sheet = Sheet(path.with_suffix(".png"), told["tile"], told["rows"], told["columns"])
        return int(told["step"]), sheet
    except (ValueError, KeyError, TypeError):
        raise damaged_sheet(path) from None


def damaged_sheet(path: Path) -> UserError:
    """What to say of a PNG or index of a contact sheet that cannot be read."""
    run, protocol = path.parents[2], path.parent.name
    scores = run / "scores" / protocol / f"{path.stem}.parquet"
    return UserError(
        f"{path} is damaged; delete {path.with_suffix('.*')} and {scores}, and make them again "
        f"with: conceptspace evaluate {run} --protocol {protocol}"
    )


def open_or_create(path: Path, config: RunConfig) -> tuple[Run, bool]:
    """The run in a folder, and whether it existed before.

    Raises:
        UserError: the folder holds a run with another config, or other files.
    """
    stored = path / "config.toml"
    if stored.exists():
        run = Run(path)
        if run.config != config:
            raise UserError(
                f"{path} holds a run with another config ({difference(run.config, config)}); "
                "choose another folder with --out"
            )
        return run, True
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise UserError(f"{path} exists and is not a run; choose another folder with --out")
    try:
        write_atomically(stored, config.to_toml().encode())
    except OSError as error:
        raise UserError(f"cannot create a run in {path}: {error.strerror}") from None
    return Run(path), False


def difference(old: RunConfig, new: RunConfig) -> str:
    """The first settings in which two configs differ, as a phrase."""
    a, b = _flat(old.model_dump()), _flat(new.model_dump())
    changed = [f"{k} is {a[k]!r} there, {b[k]!r} here" for k in a if a[k] != b.get(k)]
    more = f", and {len(changed) - 3} more" if len(changed) > 3 else ""
    return "; ".join(changed[:3]) + more


def _flat(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        nested = isinstance(value, dict)
        flat |= _flat(value, f"{prefix}{key}.") if nested else {prefix + key: value}
    return flat
