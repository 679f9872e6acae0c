"""The page: one document with its style, its script and, offline, its data inside."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from conceptspace.presentation.explorer.note import rendered

STATIC = Path(__file__).parent / "static"

MODULES = (
    "dom",
    "store",
    "carrier",
    "stats",
    "model",
    "palette",
    "surface",
    "projection",
    "labels",
    "coloring",
    "chart",
    "clock",
    "space",
    "tiles",
    "detail",
    "filters",
    "table",
    "compare",
    "timeline",
    "readout",
    "curves",
    "sheets",
    "terms",
    "told",
    "pictures",
    "evidence",
    "exports",
    "animation",
    "theme",
    "layout",
    "address",
    "main",
)
"""The page's own scripts, each after those that it uses."""

IMPORT = re.compile(r'^import (\{[^}]*\}) from "\./(\w+)\.js";$', re.MULTILINE)
EXPORT = re.compile(r"^export ((?:async )?(?:const|function|class) (\w+))", re.MULTILINE)

Tree = dict[str, Any]


def page(
    title: str,
    payload: Tree,
    *,
    connect: bool,
    of_table: bool = False,
    joint: bool = True,
    verdict: Sequence[str] = (),
    note: str = "",
) -> str:
    """The page as HTML.

    Args:
        title: plain text.
        payload: what the script finds in the page; ``{}`` if it asks the server.
        connect: whether the page may talk to where it came from.
        of_table: whether there is no more than a table: no images, no training log, no config.
        joint: whether joint accuracies are known.
        verdict: its sentences, for readers without JavaScript; the script writes them anew.
        note: Markdown that stands below the verdict, see
            :func:`conceptspace.presentation.explorer.note.rendered`.
    """
    source = script()
    environment = Environment(
        loader=FileSystemLoader(STATIC), autoescape=True, undefined=StrictUndefined
    )
    return environment.get_template("page.html").render(
        title=title,
        of_table=of_table,
        joint=joint,
        verdict=verdict,
        note=rendered(note),
        payload=embedded(payload),
        policy=policy(connect=connect),
        script=Markup(source),
        style=Markup((STATIC / "style.css").read_text()),
    )


def policy(*, connect: bool) -> str:
    """The content security policy: the page's own script and nothing from elsewhere."""
    here = "'self'" if connect else "'none'"
    images = "'self' data: blob:" if connect else "data: blob:"
    digest = base64.b64encode(hashlib.sha256(script().encode()).digest()).decode()
    return (
        f"default-src 'none'; connect-src {here}; img-src {images}; style-src 'unsafe-inline'; "
        f"script-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )


@cache
def script() -> str:
    """All scripts as one: the libraries, then the modules, each in a function of its own."""
    d3 = (STATIC / "vendor" / "d3.min.js").read_text()
    gifenc = (STATIC / "vendor" / "gifenc.js").read_text()
    gifenc = re.sub(r"^//# sourceMappingURL.*$", "", gifenc, flags=re.MULTILINE)
    parts = [
        d3,
        f"const gifenc = (() => {{ const exports = {{}}, module = {{ exports }};\n{gifenc}\n"
        "return module.exports; })();",
        '(() => {\n"use strict";\nconst modules = {};',
        *(bundled(name, (STATIC / "js" / f"{name}.js").read_text()) for name in MODULES),
        "})();",
    ]
    return "\n".join(parts)


def bundled(name: str, module: str) -> str:
    """A module as a function that returns its exports; it may import from modules before it."""
    exports = ", ".join(found[2] for found in EXPORT.finditer(module))
    body = EXPORT.sub(r"\1", IMPORT.sub(r"const \1 = modules.\2;", module))
    return f"modules.{name} = (() => {{\n{body}return {{ {exports} }};\n}})();"


def embedded(value: Any) -> Markup:
    """JSON that cannot end the script element it stands in."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)
