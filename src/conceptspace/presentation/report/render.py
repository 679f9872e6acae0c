"""From a payload and figures to one HTML file."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from conceptspace.data.concepts import ConceptSpace
from conceptspace.errors import UserError
from conceptspace.files import write_atomically
from conceptspace.presentation.report.payload import IMAGE_BUDGET, Tree, payload
from conceptspace.presentation.style import to_png, to_svg
from conceptspace.store import Run

FOLDER = Path(__file__).parent
LARGEST_SVG = 350_000
CSS_INCH = 120
FILE_WIDTH = 1000


@dataclass(frozen=True)
class Finding:
    """A sentence of the page.

    Attributes:
        text: plain text.
        figure: title of the figure that supports it, or nothing.
    """

    text: str
    figure: str = ""


def write(
    runs: Run | Sequence[Run],
    space: ConceptSpace,
    path: Path,
    *,
    findings: Sequence[Finding | str] = (),
    figures: Mapping[str, Figure | Path] | None = None,
    class_images: Mapping[str, ArrayLike] | None = None,
    title: str = "",
    image_budget: int = IMAGE_BUDGET,
) -> Path:
    """Write the report of one or several runs of the same concept space.

    Args:
        runs: evaluated runs; the page lets the reader choose among them.
        space: their concepts, and which classes train.
        path: the HTML file.
        findings: sentences, in order; all text is escaped.
        figures: under their titles; drawn figures, or PNG or SVG files.
        class_images: an image of each class, shape (3, H, W) or (H, W, 3) in [0, 1].
        title: of the page; otherwise the run's name, or the number of runs.
        image_budget: most bytes of PNG for all generated images; beyond it fewer are embedded.

    Returns:
        ``path``.
    """
    several = [runs] if isinstance(runs, Run) else list(runs)
    data = payload(several, space, class_images or {}, image_budget=image_budget)
    html = render(
        data,
        title=title or (several[0].name if len(several) == 1 else f"{len(several)} runs"),
        findings=findings,
        figures=figures or {},
        configs={run.name: run.config.to_toml() for run in several},
        provenance={run.name: run.information() for run in several},
    )
    write_atomically(path, html.encode())
    return path


def render(
    data: Tree,
    *,
    title: str,
    findings: Sequence[Finding | str] = (),
    figures: Mapping[str, Figure | Path] | None = None,
    configs: Mapping[str, str] | None = None,
    provenance: Mapping[str, Mapping[str, Any]] | None = None,
) -> str:
    """The page as text.

    Args:
        data: see :func:`payload`.
        title: of the page.
        findings: sentences; a finding's figure must be among ``figures``.
        figures: under their titles.
        configs: TOML of each run.
        provenance: content of each run's ``run.json``.

    Raises:
        UserError: a finding names a figure that is not there.
    """
    shown = figures or {}
    anchors = {name: f"figure-{number}" for number, name in enumerate(shown, 1)}
    sentences = [f if isinstance(f, Finding) else Finding(f) for f in findings]
    for finding in sentences:
        if finding.figure and finding.figure not in anchors:
            raise UserError(f"a finding refers to the figure {finding.figure!r}, which is missing")
    script = (FOLDER / "explorer.js").read_text()
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("template.html").render(
        title=title,
        data=data,
        json=embedded_json(data),
        script=Markup(script),
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        style=Markup((FOLDER / "style.css").read_text()),
        findings=[(f.text, f.figure, anchors.get(f.figure, "")) for f in sentences],
        figures=[(anchors[name], name, *figure_uri(item)) for name, item in shown.items()],
        configs=configs or {},
        provenance={name: _flat(tree) for name, tree in (provenance or {}).items()},
    )


def embedded_json(data: Tree) -> Markup:
    """JSON that cannot end the script element it stands in."""
    text = json.dumps(data, allow_nan=False, separators=(",", ":"))
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)


def figure_uri(figure: Figure | Path) -> tuple[str, int]:
    """A figure as data URI, and the width in CSS pixels at which its letters read well.

    Drawn figures become SVG, or PNG where the SVG would be large.
    """
    if isinstance(figure, Path):
        kind, content, width = figure.suffix.lstrip("."), figure.read_bytes(), FILE_WIDTH
    else:
        kind, content, width = "svg", to_svg(figure), round(figure.get_figwidth() * CSS_INCH)
        if len(content) > LARGEST_SVG:
            kind, content = "png", to_png(figure)
    media = "svg+xml" if kind == "svg" else kind
    return f"data:image/{media};base64,{base64.b64encode(content).decode()}", width


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    flat: dict[str, str] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + str(key)] = value if isinstance(value, str) else json.dumps(value)
    return flat
