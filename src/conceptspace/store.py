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
from conceptspace.files import write_atomically, write_json
from conceptspace.tables import JOINT, NAIVE, TRAJECTORY_COLUMNS

__all__ = ["JOINT", "NAIVE", "TRAJECTORY_COLUMNS", "Run", "Sheet", "open_or_create"]


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

    def information(self) -> dict[str, Any]:
        """The content of ``run.json``; empty before the run has started."""
        path = self.path / "run.json"
        try:
            return dict(json.loads(path.read_text())) if path.exists() else {}
        except ValueError as error:
            raise UserError(f"{path} is damaged: {error}") from None

    def note(self, **information: Any) -> None:
        """Add to ``run.json``."""
        write_json(self.path / "run.json", self.information() | information)

    def trajectory(self) -> pd.DataFrame:
        """The learning trajectory, columns :data:`TRAJECTORY_COLUMNS`.

        Raises:
            UserError: the run has not been evaluated yet.
        """
        return self._table("trajectory.parquet", "conceptspace evaluate")

    def training(self) -> pd.DataFrame:
        """One row per step: step, loss and its terms (bits per dimension), grad_norm, gamma_0,
        gamma_1, images_per_second.

        Raises:
            UserError: nothing has been trained yet.
        """
        return self._table("training.parquet", "conceptspace run")

    def scores(self) -> pd.DataFrame:
        """Every generated image's scores: run, seed, step, protocol, setting, concept_class,
        sample, concept, accuracy, coordinate, readout (1 where the analytic read-out finds the
        target value, missing where there is none).
        """
        parts = [
            pd.read_parquet(path) for path in sorted((self.path / "scores").glob("*/*.parquet"))
        ]
        if not parts:
            raise UserError(f"{self.path} has not been evaluated; run: conceptspace evaluate ...")
        return pd.concat(parts, ignore_index=True)

    def sheets(self, protocol: str = NAIVE) -> dict[int, Sheet]:
        """The contact sheet of each evaluated step, in order."""
        found = {}
        for path in sorted((self.path / "samples" / protocol).glob("step-*.json")):
            index = json.loads(path.read_text())
            found[int(index["step"])] = Sheet(
                path.with_suffix(".png"), index["tile"], index["rows"], index["columns"]
            )
        return found

    def _table(self, name: str, command: str) -> pd.DataFrame:
        path = self.path / name
        if not path.exists():
            raise UserError(f"{self.path} has no {name} yet; run: {command} ...")
        return pd.read_parquet(path)


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
                f"{path} holds a run with another config ({_difference(run.config, config)}); "
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


def _difference(old: RunConfig, new: RunConfig) -> str:
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
