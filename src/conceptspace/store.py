"""Reading a run, opening its folder, and never overwriting one by surprise."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from conceptspace.config import RunConfig, read, read_complete
from conceptspace.contact_sheet import Sheet, read_sheet, scored_again
from conceptspace.errors import UserError
from conceptspace.files import (
    leftovers,
    legible,
    make_folders,
    read_record,
    read_table,
    sha256,
    write_atomically,
    write_record,
)
from conceptspace.hints import command
from conceptspace.locking import alone
from conceptspace.run_folder import RunFolder
from conceptspace.settings.description import Description
from conceptspace.settings.recorded import RECORDED, recorded
from conceptspace.settings.tree import dotted
from conceptspace.tables import NAIVE, TRAJECTORY_COLUMNS

ASIDE = ".parquet.damaged"
"""Suffix of a training log that could not be read when its run went on."""


class Run:
    """An existing run folder, for reading.

    Args:
        path: the folder.

    Raises:
        UserError: it is not a run folder, or its config cannot be read.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = path = Path(path)
        self.folder = RunFolder(path)
        if not self.folder.config.is_file():
            raise UserError(f"{path} is not a run: it has no config.toml")

    @property
    def config(self) -> RunConfig:
        """The resolved config of a run that was trained here, to go on with it: kinds of one's own
        are imported.

        Raises:
            UserError: see :attr:`description`; the run was recorded; or a kind is not there.
        """
        found = self.description
        if not isinstance(found, RunConfig):
            raise UserError(
                f"{self.path} was recorded from a model that is not kept in it: it can be reported "
                "and shown, but neither trained nor evaluated by this command"
            )
        return found.loaded()

    @cached_property
    def description(self) -> Description:
        """The resolved config, or how a recorded run came about; no code is imported to read it.

        Raises:
            UserError: it cannot be read, or is not the one with which the run was begun.
        """
        path = self.folder.config
        values = read(path)
        kept = values.get("preset") == RECORDED
        config = recorded(values, str(path)) if kept else read_complete(path)
        if not self._fits(_digest(path)):
            raise UserError(
                f"{path} is not the config with which the run was begun (run.json keeps its "
                "SHA-256); put the old one back, or start a run with the new one in another folder"
            )
        return config

    @cached_property
    def settings(self) -> Mapping[str, Any]:
        """Every setting that has an effect, under its dotted name.

        Raises:
            UserError: see :attr:`description`.
        """
        return self.description.settings()

    def _fits(self, digest: str) -> bool:
        """Whether the run was begun with a config or goes on with it; true if nobody can say."""
        try:
            information = self.information()
        except UserError:
            return True
        extending = information.get("extending", {}).get("config")
        return information.get("config") in (None, digest) or extending == digest

    def begin(self) -> None:
        """Tie the run to its config, if it is not yet.

        A change of the config that was cut short counts if the config had been written.
        """
        information = self.information()
        if "config" in information and "extending" not in information:
            return
        digest, change = _digest(self.folder.config), information.pop("extending", None)
        if change is not None and change.get("config") == digest:
            information |= {
                "config": digest,
                "extensions": [*information.get("extensions", []), change],
            }
        write_record(self.folder.information, {"config": digest} | information)

    def change_config(self, config: Description, **change: Any) -> None:
        """Let a run go on with another config, under its lock.

        ``run.json`` lists such changes as ``extensions``: for each the values of ``change``, the
        time, and the digests of the config before and after it. At every moment between, one of
        the two configs is whole and the run's.
        """
        self.begin()
        text, before = config.text(), self.information()["config"]
        made = datetime.now(UTC).isoformat(timespec="seconds")
        digest = _digest_of(tomllib.loads(text))
        self.note(extending={**change, "made": made, "before": before, "config": digest})
        write_atomically(self.folder.config, text.encode())
        self.begin()

    @property
    def name(self) -> str:
        """The folder's name, which is the run's name in every table."""
        return legible(self.path.resolve().name)

    @property
    def checkpoints(self) -> Path:
        """The folder of the checkpoints."""
        return self.folder.checkpoints

    @property
    def pictures(self) -> Path:
        """The folder of the images that stand for classes, where these are not rendered."""
        return self.folder.pictures

    def information(self) -> dict[str, Any]:
        """The content of ``run.json``; empty before the run has started.

        Raises:
            UserError: the file is damaged.
        """
        path = self.folder.information
        try:
            return _typed(read_record(path)) if path.exists() else {}
        except ValueError as error:
            raise self.damaged_information(error) from None

    def damaged_information(self, why: object) -> UserError:
        """What to say of a ``run.json`` that cannot be used."""
        return UserError(
            f"{self.folder.information} is damaged ({why}); delete it, and the next run or "
            "evaluate writes it anew: lost are versions, times, and what would show that code, "
            "images or a protocol's settings have changed since"
        )

    def note(self, **information: Any) -> None:
        """Add to ``run.json``."""
        write_record(self.folder.information, self.information() | information)

    def trajectory(self) -> pd.DataFrame:
        """The learning trajectory, columns :data:`TRAJECTORY_COLUMNS`; under the run's name, even
        if its folder had another when it was written.

        Raises:
            UserError: the run has not been evaluated yet, or the file is damaged or lacks columns.
        """
        path = self.folder.trajectory
        again = scored_again(self.path, NAIVE)
        if not path.exists():
            raise UserError(f"{self.path} has no {path.name} yet; {again}")
        table = read_table(path, f"to write it anew from the scores, {again}")
        if lacking := [name for name in TRAJECTORY_COLUMNS if name not in table]:
            raise UserError(
                f"{path} lacks the columns {', '.join(lacking)}; to write it anew from the "
                f"scores, delete it and {again}"
            )
        return table.assign(run=self.name)

    def training(self) -> pd.DataFrame:
        """One row per step: step, loss and its terms (bits per dimension), grad_norm, gamma_0,
        gamma_1, images_per_second.

        Raises:
            UserError: nothing has been trained yet, or the file is damaged.
        """
        path = self.folder.training
        again = command("run", "--out", self.path)
        if path.exists():
            return read_table(path, f"set it aside with: {again}")
        if path.with_suffix(ASIDE).exists():
            raise UserError(
                f"{self.path} has no training log, the damaged one was set aside; for a new one "
                f"delete {self.folder.resume} and train again, to the same checkpoints, with: "
                f"{again}"
            )
        raise UserError(f"{self.path} has no {path.name} yet; run: {again}")

    def scores(self) -> pd.DataFrame:
        """Every generated image's scores: run, seed, step, protocol, setting, concept_class,
        sample, concept, accuracy and coordinate by the judge, valid, and probe, see
        :class:`conceptspace.recording.scoring.Scorer`.

        Raises:
            UserError: the run has not been evaluated yet, or a file is damaged.
        """
        parts = [read_scores(path) for path in self.folder.all_scores()]
        if not parts:
            raise not_scored(self.path)
        return pd.concat(parts, ignore_index=True)

    def kept_best(self) -> pd.DataFrame | None:
        """What :func:`conceptspace.analysis.elicitation.best_settings` found in a kept run.

        None where it was not kept, as in every run that has the scores of single images.

        Raises:
            UserError: the file is damaged.
        """
        path = self.folder.best
        again = "delete it, and keep the run again"
        return read_table(path, again).assign(run=self.name) if path.exists() else None

    def sheets(self, protocol: str = NAIVE) -> dict[int, Sheet]:
        """The contact sheet of each evaluated step, in order.

        Raises:
            UserError: one is damaged.
        """
        return dict(read_sheet(path) for path in self.folder.sheets(protocol))


def read_scores(path: Path) -> pd.DataFrame:
    """The scores of one protocol and step, ``RUN/scores/PROTOCOL/step-00000400.parquet``.

    They are under the run's name, even if its folder had another when they were written.

    Raises:
        UserError: the file is damaged.
    """
    run, protocol = path.parents[2], path.parent.name
    table = read_table(path, f"delete it, and {scored_again(run, protocol)}")
    return table.assign(run=legible(run.resolve().name))


def not_scored(path: Path) -> UserError:
    """The error for a run without scores."""
    return UserError(f"{path} has not been evaluated; run: {command('evaluate', path)}")


def open_or_create(path: Path, config: Description) -> tuple[Run, bool]:
    """The run in a folder, and whether it existed before.

    Raises:
        UserError: the folder holds a run with another config, or other files, or another process
            is creating a run in it.
    """
    there = run_in(path, config)
    if there is not None:
        return there, True
    try:
        make_folders(path)
        with alone(path):
            if RunFolder(path).config.exists():
                return _confirmed(path, config), True
            write_atomically(RunFolder(path).config, config.text().encode())
    except OSError as error:
        raise _not_created(path, error.strerror) from None
    return Run(path), False


def run_in(path: Path, config: Description) -> Run | None:
    """The run in a folder; None where it may be begun. Nothing is written.

    Raises:
        UserError: the folder holds a run with another config, or other files, or cannot be.
    """
    if not RunFolder(path).config.exists():
        try:
            _require_free(path, config)
        except OSError as error:
            raise _not_created(path, error.strerror) from None
    return _confirmed(path, config) if RunFolder(path).config.exists() else None


def _require_free(path: Path, config: Description) -> None:
    """Refuse a place that is there and is neither an empty folder nor, by now, a run.

    Raises:
        UserError: it holds other files, or is none; or it lies below a file.
        OSError: it cannot be looked into.
    """
    places = (path, *path.absolute().parents)
    nearest = next(place for place in places if place.exists() or place.is_symlink())
    if nearest is not path and not nearest.is_dir():
        raise _not_created(path, f"{nearest} is not a folder")
    if nearest is not path:
        return
    unfinished = {RunFolder(path).lock, *leftovers(path)}  # of a process that was killed
    others = not path.is_dir() or set(path.iterdir()) - unfinished
    if others and not RunFolder(path).config.exists():
        raise UserError(f"{path} exists and is not a run; {_elsewhere(config)}")


def _not_created(path: Path, reason: str | None) -> UserError:
    return UserError(f"cannot create a run in {path}: {reason}")


def _confirmed(path: Path, config: Description) -> Run:
    """The run in a folder, if it has this config.

    Raises:
        UserError: it has another; the settings that differ are named.
    """
    run = Run(path)
    there = run.description
    elsewhere = _elsewhere(config)
    if type(there) is not type(config):
        kinds = ("trained here", "recorded")
        was, is_ = kinds if isinstance(there, RunConfig) else kinds[::-1]
        raise UserError(f"{path} holds a run that was {was}, not one that is {is_}; {elsewhere}")
    if there.model_dump() != config.model_dump():
        raise UserError(
            f"{path} holds a run with another config ({difference(there, config)}); {elsewhere}"
        )
    return run


def _digest(path: Path) -> str:
    """SHA-256 of a TOML file's values, whatever its comments and order."""
    return _digest_of(tomllib.loads(path.read_text()))


def _digest_of(values: dict[str, Any]) -> str:
    return sha256(json.dumps(values, sort_keys=True, default=str).encode())


def _typed(information: dict[str, Any]) -> dict[str, Any]:
    """The content of ``run.json``, if the values that are computed with are of their type."""
    types: dict[str, Any] = {
        "seconds": (int, float),
        "status": str,
        "config": str,
        "probe": dict,
        "data": dict,
        "asked": dict,
        "code": dict,
        "extending": dict,
        "extensions": list,
    }
    for key, kind in types.items():
        if key in information and not isinstance(information[key], kind):
            raise ValueError(f"{key} is {information[key]!r}")
    return information


def difference(old: Description, new: Description) -> str:
    """The first settings in which two configs differ, in words."""
    a, b = dotted(old.model_dump()), dotted(new.model_dump())
    keys = dict.fromkeys([*a, *b])
    changed = [
        f"{k} is {_value_in_words(a, k)} there, {_value_in_words(b, k)} here"
        for k in keys
        if k not in a or k not in b or a[k] != b[k]
    ]
    more = f", and {len(changed) - 3} more" if len(changed) > 3 else ""
    return "; ".join(changed[:3]) + more


def _elsewhere(config: Description) -> str:
    return "choose another folder" + " with --out" * isinstance(config, RunConfig)


def _value_in_words(flat: dict[str, Any], key: str) -> str:
    return repr(flat[key]) if key in flat else "missing"
