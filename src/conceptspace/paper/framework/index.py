"""``results/README.md``: every figure with its claims and verdicts, and what was not run."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from conceptspace.analysis.claims import Verdict
from conceptspace.errors import UserError
from conceptspace.files import write_atomically
from conceptspace.paper.framework.figure import PaperFigure
from conceptspace.paper.framework.ledger import markdown, read_ledger
from conceptspace.paper.framework.outputs import LEDGER, PROVENANCE
from conceptspace.paper.framework.registry import FIGURES
from conceptspace.presets import PRESETS

HEAD = """# Results

Made by `conceptspace reproduce --index {name}`; never edited by hand. Every figure here was drawn
and every claim checked from the tables beside it, which `conceptspace reproduce FIG --preset PRESET
--out {name}/PRESET --no-training` does again. A claim's criterion was fixed in code before its
runs; [docs/reproduce.md](../docs/reproduce.md) tells how to read effects, intervals and verdicts,
[docs/concepts.md](../docs/concepts.md) what the words mean. Of a class such as 11 each digit is the
value of one concept, in the order of the config; OOD classes are never trained.
"""


def write_index(folder: Path) -> Path:
    """Write the page of a results folder with one subfolder per preset.

    Raises:
        UserError: there is no subfolder of a preset.
    """
    path = folder / "README.md"
    write_atomically(path, index(folder).encode())
    return path


def index(folder: Path) -> str:
    """The page's text."""
    if not any((folder / name).is_dir() for name in PRESETS):
        raise UserError(f"{folder} has no folder called {' or '.join(PRESETS)}")
    parts = [HEAD.format(name=folder.name)]
    for preset in PRESETS:
        parts.append(_preset(folder, preset))
    return "\n".join(parts)


def _preset(folder: Path, preset: str) -> str:
    made = {n: f for n, f in FIGURES.items() if (folder / preset / n / LEDGER).exists()}
    ledgers = {name: read_ledger(folder / preset / name / LEDGER) for name in made}
    rows = [row for ledger in ledgers.values() for row in ledger["rows"]]
    lines = [f"## {preset}", ""]
    if made:
        lines += [
            f"Primary endpoints, one a figure: {_tally([r for r in rows if r.get('primary')])} All "
            f"claims checked: {_tally(rows)}",
            "",
            *_overview(ledgers),
        ]
    for name, figure in made.items():
        lines += _figure(folder, preset, figure, ledgers[name])
    left = [figure for name, figure in FIGURES.items() if name not in made]
    if left:
        lines += ["### Not run", ""]
        for figure in left:
            lines.append(
                f"- {_heading(figure)}: not drawn here. It takes "
                f"{figure.cost[preset]}: `conceptspace reproduce {figure.name} --preset {preset}`"
            )
        lines.append("")
    return "\n".join(lines)


def _tally(rows: list[dict[str, Any]]) -> str:
    verdicts = Counter(row["verdict"] for row in rows)
    return f"{len(rows)}, of which " + ", ".join(f"{verdicts[v]} {v}" for v in Verdict) + "."


def _overview(ledgers: dict[str, dict[str, Any]]) -> list[str]:
    lines = ["| figure | claim | verdict |", "|---|---|---|"]
    for ledger in ledgers.values():
        for row in ledger["rows"]:
            mark = "**" if row.get("primary") else ""
            lines.append(f"| {ledger['number']} | {mark}{row['claim']}{mark} | {row['verdict']} |")
    return [*lines, ""]


def _figure(folder: Path, preset: str, figure: PaperFigure, ledger: dict[str, Any]) -> list[str]:
    place = folder / preset / figure.name
    origin = json.loads((place / PROVENANCE).read_text())
    lines = [f"### {_heading(figure)}", "", f"*{ledger['claim']}*", ""]
    for picture in sorted(place.glob("*.png")):
        lines += [f"![{figure.title}]({preset}/{figure.name}/{picture.name})", ""]
    for page in sorted(place.glob("*.html")):
        lines += [f"To be turned: [{page.name}]({preset}/{figure.name}/{page.name})", ""]
    lines += [markdown(ledger["rows"])]
    lines += [_origin(origin, ledger), ""]
    return lines


def _heading(figure: PaperFigure) -> str:
    """Its number in the paper, if it has one, and its title."""
    if not figure.number[0].isdigit():
        return figure.title
    several = "s" if " and " in figure.number else ""
    return f"Fig{several}. {figure.number}, {figure.title}"


def _origin(origin: dict[str, Any], ledger: dict[str, Any]) -> str:
    runs, missing = origin["runs"], ledger["missing"]
    drawn = origin["drawn"]
    text = f"Drawn by `{drawn['command']}` at commit `{drawn['commit']}`."
    if not runs:
        return f"{text} No run is involved."
    hours = origin["wall_seconds"] / 3600
    devices = ", ".join(sorted({_device(run) for run in runs.values()}))
    text += f" {len(runs)} runs, {hours:.1f} hours in all, on {devices}."
    if missing:
        text += f" Not finished: {', '.join(missing)}."
    return text


def _device(run: dict[str, Any]) -> str:
    device = str(run.get("device", "unknown device"))
    if "processor" in run and device.startswith("cpu"):
        return f"{run['processor']} ({run.get('threads', '?')} thread)"
    return device
