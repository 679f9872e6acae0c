"""The small part of a finished run that is worth keeping."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from conceptspace.contact_sheet import KEYWORD, Sheet
from conceptspace.errors import UserError
from conceptspace.files import write_atomically, write_table
from conceptspace.paper.framework.figure import PaperFigure
from conceptspace.paper.framework.results import Result
from conceptspace.run_folder import RunFolder, step_of
from conceptspace.sweeps.plan import Plan
from conceptspace.tables import NAIVE

FILES = ("config.toml", "run.json", "trajectory.parquet")
"""What every kept run has."""

OVER_TRAINING = "images over training"
"""What is kept of the first of a figure's seeds alone."""

LOGGED = ("step", "loss", "diffusion", "reconstruction")
"""Columns of a kept training log."""


def keep(result: Result, folder: Path, extras: Sequence[str] = ()) -> bool:
    """Copy a run's small files to ``folder/runs/NAME``; returns whether it is there now.

    Kept are the config, the information and the trajectory; what was found in the scores of single
    images, where the run was asked in several ways; and on request the training log's loss, and
    images: of each class where nothing renders them, and of the last checkpoint under naive
    prompting, or of every checkpoint. A run that is there already stays as it is,
    except that extras are added to it. False means that it is there with other numbers.

    Args:
        result: a finished run.
        folder: e.g. ``results/quick``.
        extras: "training", "images", "images over training".

    Raises:
        UserError: another run is kept under the name.
    """
    source, target = result.run.path, result.plan.folder(folder)
    if source.resolve() == target.resolve():
        return True
    if result.plan.exists(folder):
        same = (source / FILES[2]).read_bytes() == (target / FILES[2]).read_bytes()
        if not same:
            return False
    elif (target / FILES[2]).exists():
        raise UserError(f"{target} holds an unfinished run; delete it, or keep elsewhere")
    there = RunFolder(target)
    for name in FILES:
        write_atomically(target / name, (source / name).read_bytes())
    if result.best is not None and result.table["protocol"].nunique() > 1:
        columns = [c for c in result.best if c not in ("run", "seed", "setting")]
        small = result.best[columns].assign(run=result.run.name, seed=result.seed, setting="best")
        write_table(there.best, small)
    if "training" in extras and result.log is not None:
        table = result.log[[c for c in LOGGED if c in result.log]]
        write_table(there.training, table.astype("float32").astype({"step": "int32"}))
    if OVER_TRAINING in extras:
        _keep_images(result, there, list(result.run.sheets().values()))
    elif "images" in extras:
        last = result.last_sheet()
        _keep_images(result, there, [last] if last is not None else [])
    return True


def extras_of(figures: Sequence[PaperFigure], plan: Plan, preset: str) -> list[str]:
    """What some figure wants to be kept of a run beside its tables."""
    wanted = {
        extra: None
        for figure in figures
        for extra in figure.keeps
        if plan.name in {p.name for p in figure.plans(preset, [plan.config.seed])}
        and (extra != OVER_TRAINING or _first(figure, preset) == plan.config.seed)
    }
    return list(wanted)


def _first(figure: PaperFigure, preset: str) -> int:
    """The first of a figure's own seeds."""
    return min(plan.config.seed for plan in figure.plans(preset, None))


def _keep_images(result: Result, target: RunFolder, sheets: Sequence[Sheet]) -> None:
    """The classes, and contact sheets, packed as small as it gets."""
    for picture in sorted(result.run.pictures.glob("*.png")):
        write_atomically(target.pictures / picture.name, picture.read_bytes())
    for sheet in sheets:
        with Image.open(io.BytesIO(sheet.content())) as image:
            index = PngInfo()
            index.add_text(KEYWORD, str(image.info[KEYWORD]))
            buffer = io.BytesIO()
            image.convert("RGB").save(buffer, "PNG", pnginfo=index, optimize=True)
        write_atomically(target.sheet(NAIVE, step_of(sheet.path)), buffer.getvalue())
