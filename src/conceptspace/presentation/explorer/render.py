"""The page: one document with its style, its script and, offline, its data inside."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from conceptspace.errors import UserError
from conceptspace.presentation.explorer.note import note_html

STATIC = Path(__file__).parent / "static"

Tree = dict[str, Any]

DOCTYPE = b"<!doctype html"
"""How a page begins."""


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
            :func:`conceptspace.presentation.explorer.note.note_html`.
    """
    environment = Environment(
        loader=FileSystemLoader(STATIC), autoescape=True, undefined=StrictUndefined
    )
    return environment.get_template("page.html").render(
        title=title,
        of_table=of_table,
        joint=joint,
        verdict=verdict,
        note=note_html(note),
        payload=embedded(payload),
        policy=policy(connect=connect),
        script=Markup(script()),
        style=Markup((STATIC / "style.css").read_text()),
    )


def require_replaceable(path: Path) -> None:
    """Refuse a place where something else than a page lies, e.g. a table of a run.

    Raises:
        UserError: says what is there.
        OSError: it cannot be read.
    """
    if not path.exists():
        return
    if not path.is_file():
        raise UserError(f"{path} is not a file; give the page a FILE of its own with -o")
    with path.open("rb") as file:
        if not file.read(len(DOCTYPE)).lower() == DOCTYPE:
            raise UserError(
                f"{path} is there and is no page, so it is not replaced; give -o another FILE"
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
    """All scripts and the libraries that they use as one, made of ``page/`` by ``make page``."""
    return (STATIC / "page.js").read_text()


def embedded(value: Any) -> Markup:
    """JSON that cannot end the script element it stands in."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)
