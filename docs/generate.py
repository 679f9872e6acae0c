"""Pages of the site that come from the code: settings, a run's folder, figures, the reference."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path

import conceptspace
from conceptspace import run_folder as folder_of_a_run
from conceptspace import store
from conceptspace.cli.settings import Setting, stored
from conceptspace.paper.framework.registry import FIGURES

PARTS = {
    "Data": ("space", "worlds"),
    "Models": ("models",),
    "Protocols": ("protocols",),
    "Judges": ("judges",),
    "Recording": ("recording", "store", "training", "errors"),
    "Experiments and pages": ("config", "settings", "experiment", "analysis", "presentation"),
}
"""Titles of the reference, and which modules of the public names belong there."""


def write(folder: Path) -> None:
    """Write all pages into a folder."""
    folder.mkdir(exist_ok=True)
    pages = {
        "settings": settings(),
        "folder": run_folder(),
        "paper": figures_of_the_paper(),
        "reference": reference(),
    }
    for name, text in pages.items():
        path = folder / f"{name}.md"
        if not path.exists() or path.read_text() != text:  # what is as it was is not built again
            path.write_text(text)


def settings() -> str:
    """Every setting with its form, its value in each preset, and its meaning."""
    lines = [
        "# Settings",
        "",
        "Each is a flag of `run`, `quickstart` and `signal`, with dashes for underscores, and a "
        "key in the TOML of `--config`, below the section that comes before the dot.",
    ]
    section = None
    for one in stored():
        group = one.name.split(".")[0] if "." in one.name else "run"
        if group != section:
            section = group
            presets = list(one.defaults)
            lines += ["", f"## {group}", "", f"| setting | {' | '.join(presets)} | meaning |"]
            lines += [f"|---|{'---|' * len(presets)}---|"]
        lines.append(_row(one))
    return "\n".join(lines) + "\n"


def _row(one: Setting) -> str:
    values = " | ".join(value or "–" for value in one.defaults.values())
    names = f" {', '.join(one.choices)}." if one.choices else ""
    meaning = (one.meaning + names).replace("|", r"\|")
    return f"| `{one.name}` | {values} | {meaning} |"


def run_folder() -> str:
    """What is in a run's folder, as the module that opens it tells."""
    told = inspect.cleandoc(folder_of_a_run.__doc__ or "")
    tree = told.partition("::\n\n")[2]
    lines = [line.removeprefix("    ") for line in tree.splitlines()]
    columns = (
        f"The columns of `trajectory.parquet` are `{', '.join(store.TRAJECTORY_COLUMNS)}`. "
        "The concept `joint` holds the joint accuracy; its coordinate is missing. Accuracy and "
        "coordinate are by the [judge](../judge.md): without a valid object 0 and 1/2. `valid` is "
        "the share of images with one, missing where there is no judge; `probe` the accuracy by "
        "the plain probe. `scores` has the same for single images, with `sample` in place of "
        "`samples`."
    )
    return "\n".join(["# A run's folder", "", "```text", *lines, "```", "", columns, ""])


def figures_of_the_paper() -> str:
    """Each figure with its claim, what decides about it, and what it costs in each preset."""
    lines = [
        "# Figures of the paper",
        "",
        "`conceptspace reproduce NAME` runs, draws and [checks](../reproduce.md#claims) them.",
        "",
        "The 95 % interval over seeds of the primary endpoint decides.",
        "",
        "| name | figures | claim | primary endpoint | `quick` | `paper` |",
        "|---|---|---|---|---|---|",
    ]
    for name, figure in FIGURES.items():
        cost = figure.cost
        cells = (
            f"`{name}`",
            figure.number,
            figure.claim,
            figure.endpoint,
            cost["quick"],
            cost["paper"],
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def reference() -> str:
    """A page of the public names for each part of the package."""
    lines = [
        "# Reference",
        "",
        "What `import conceptspace as cs` gives, from the docstrings.",
        "",
    ]
    for title, modules in PARTS.items():
        lines += [f"## {title}", ""]
        lines += ["```{eval-rst}", ".. currentmodule:: conceptspace", "", ".. autosummary::"]
        lines += ["   :toctree: api", "", *(f"   {name}" for name in public(modules)), "```", ""]
    return "\n".join(lines)


def public(modules: tuple[str, ...]) -> Iterator[str]:
    """The public names whose homes are in these modules, in alphabetical order."""
    for name in conceptspace.__all__:
        home = conceptspace._HOMES[name]
        if home.split(".")[0] in modules:
            yield name
