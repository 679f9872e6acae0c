"""Pages of the site that come from the code: commands, settings, a run's folder, figures, names."""

from __future__ import annotations

import argparse
import inspect
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import conceptspace
from conceptspace import run_folder as folder_of_a_run
from conceptspace import store
from conceptspace.cli.parser import parser
from conceptspace.cli.settings import Setting, stored
from conceptspace.config import RunConfig
from conceptspace.paper.framework.registry import FIGURES
from conceptspace.presets import PRESETS
from conceptspace.settings.tree import dotted

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
        "commands": commands(),
        "settings": settings(),
        "folder": run_folder(),
        "paper": figures_of_the_paper(),
        "reference": reference(),
    }
    for name, text in pages.items():
        path = folder / f"{name}.md"
        if not path.exists() or path.read_text() != text:  # what is as it was is not built again
            path.write_text(text)


def commands() -> str:
    """Every command with its purpose, an example, and its flags but for the settings."""
    lines = ["# Commands and their flags", ""]
    for name, command in parser().commands.items():
        example = (command.epilog or "").removeprefix("example: ")
        lines += [f"## {name}", "", command.description or "", ""]
        lines += ["```sh", example, "```", "", "| argument | meaning |", "|---|---|"]
        lines += [_argument(one) for one in command._actions if one.dest != "help"]
        lines.append("")
    return "\n".join(lines)


def _argument(one: argparse.Action) -> str:
    value = one.metavar or ",".join(map(str, one.choices or ()))
    called = " ".join(filter(None, [", ".join(one.option_strings), str(value)])) or one.dest
    return f"| `{called.replace('|', chr(92) + '|')}` | {one.help or '–'} |"


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
    text = inspect.cleandoc(folder_of_a_run.__doc__ or "")
    tree = text.partition("::\n\n")[2]
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
    for preset in PRESETS:
        lines += ["", f"## Runs of `{preset}`", "", "| runs | figures | seeds | settings |"]
        lines += ["|---|---|---|---|", *_designs(preset)]
    return "\n".join([*lines, ""])


def _designs(preset: str) -> Iterator[str]:
    """A row for each setting and sample: the figures that use it, its seeds, where it differs."""
    configs: dict[str, RunConfig] = {}
    samples: dict[tuple[str, tuple[int, ...]], list[str]] = defaultdict(list)
    for name, figure in FIGURES.items():
        seeds: dict[str, set[int]] = defaultdict(set)
        for plan in figure.plans(preset, None):
            setting, _, seed = plan.name.rpartition("/seed-")
            configs.setdefault(setting, plan.config)
            seeds[setting].add(int(seed))
        for setting, of in seeds.items():
            samples[setting, tuple(sorted(of))].append(name)
    usual = dotted(PRESETS[preset]().model_dump())
    order = list(configs)
    for (setting, of), names in sorted(samples.items(), key=lambda item: order.index(item[0][0])):
        there = dotted(configs[setting].model_dump())
        changed = ", ".join(
            f"`{name}` {_shown(value)}"
            for name, value in there.items()
            if name != "seed" and value != usual.get(name)
        )
        used = ", ".join(f"`{name}`" for name in names)
        yield f"| `{setting}` | {used} | {_ranges(list(of))} | {changed or 'the preset'} |"


def _shown(value: object) -> str:
    return ",".join(map(str, value)) or "none" if isinstance(value, tuple | list) else str(value)


def _ranges(numbers: list[int]) -> str:
    """Whole numbers, neighbors as a range: "0, 3 to 5"."""
    found: list[list[int]] = []
    for number in numbers:
        if found and number == found[-1][1] + 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return ", ".join(f"{low}" if low == high else f"{low} to {high}" for low, high in found)


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
