"""The details of a run: its training log, contact sheets, config and provenance."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from conceptspace.analysis.points import numbers
from conceptspace.contact_sheet import Sheet, read_sheet
from conceptspace.errors import UserError
from conceptspace.presentation.explorer.guarded import bound_of, require_plain
from conceptspace.store import Run

BINS = 240
"""Points that are kept of a training log; each is a mean over neighboring steps."""

CURVES = ("loss", "diffusion", "prior", "reconstruction", "grad_norm", "gamma_0", "gamma_1")

Tree = dict[str, Any]


def details(run: Run, sheets: Tree, problems: Sequence[str] = ()) -> Tree:
    """The details of a run, for the page.

    ::

        {"training": {"step": [...], "loss": [...], "gamma_0": [...], ...} or {},
         "sheets": {"naive": {"100": see :func:`sheet`}},
         "toml": "...", "provenance": {"status": "finished", ...},
         "notes": ["this run keeps no images", ...]}

    Args:
        run: an existing folder; the notes say what it lacks and what is damaged.
        sheets: of each protocol, by step; see :func:`sheet`.
        problems: what was wrong with sheets that are left out.
    """
    notes = list(problems)
    curves: Tree = {}
    try:
        curves = training_curves(run.training())
    except (UserError, OSError) as error:
        kept = not run.folder.training.exists()
        notes.append("This run keeps no training log." if kept else str(error))
    if not any(sheets.values()) and not problems:
        notes.append("This run keeps no images.")
    provenance: Tree = {}
    try:
        provenance = flat(run.information())
    except UserError as error:
        notes.append(str(error))
    return {
        "training": curves,
        "sheets": sheets,
        "toml": run.description.to_toml(),
        "provenance": provenance,
        "notes": notes,
    }


def training_curves(log: pd.DataFrame) -> Tree:
    """A training log, averaged over at most ``BINS`` stretches of steps.

    Raises:
        UserError: it has no steps.
    """
    if "step" not in log or not len(log):
        raise UserError("training.parquet holds no steps")
    edges = np.linspace(0, len(log), min(BINS, len(log)) + 1).astype(int)[:-1]
    counts = np.diff(np.append(edges, len(log)))
    curves: Tree = {"step": log["step"].to_numpy()[edges + counts - 1].tolist()}
    for name in CURVES:
        if name in log:
            sums = np.add.reduceat(log[name].to_numpy(dtype=np.float64), edges)
            curves[name] = numbers(sums / counts)
    return curves


def sheet_index(run: Run) -> tuple[dict[str, dict[int, Sheet]], list[str]]:
    """The contact sheets of every protocol, and what is wrong with those that are left out."""
    found: dict[str, dict[int, Sheet]] = {}
    problems = []
    for name in protocols_with_images(run):
        for path in run.folder.sheets(name):
            try:
                for part in (path, path.with_suffix(".json")):
                    require_plain(part, bound_of(run))
                step, read = read_sheet(path)
                found.setdefault(name, {})[step] = read
            except (UserError, OSError) as error:
                problems.append(str(error))
    return found, problems


def protocols_with_images(run: Run) -> list[str]:
    """The folders of contact sheets; none if a run keeps no images."""
    try:
        return sorted(path.name for path in (run.path / "samples").iterdir() if path.is_dir())
    except OSError:
        return []


def sheet(stored: Sheet, source: str) -> Tree:
    """``{"src": address, "tile": 16, "columns": 24, "rows": [[setting, class], ...]}``."""
    return {
        "src": source,
        "tile": stored.tile,
        "columns": stored.columns,
        "rows": [[row["setting"], row["concept_class"]] for row in stored.rows],
    }


def flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """A nested mapping under dotted names, its values as text."""
    found: dict[str, str] = {}
    for name, value in tree.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{prefix}{name}.")
        else:
            found[prefix + str(name)] = value if isinstance(value, str) else json.dumps(value)
    return found
