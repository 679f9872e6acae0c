"""Which version wrote a config, and whether this one can know all of its settings."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from conceptspace.errors import UserError

FORMAT = 1
"""Version of the form of a config file; a newer one is refused."""


def header() -> str:
    """The first lines of a run's config, as TOML."""
    return f'format = {FORMAT}\nversion = "{version("conceptspace")}"\n'


def without_header(values: Mapping[str, Any], source: str) -> tuple[dict[str, Any], str]:
    """The settings of a config file, and what to add to a complaint about them.

    Args:
        values: as read from TOML; ``format`` and ``version`` may be missing.
        source: named in the error message, e.g. a file name.

    Returns:
        The values without the header; and, if a newer version wrote them, a clause that names both
        versions, else "".

    Raises:
        UserError: the header is of the wrong form, or of a newer format.
    """
    settings = dict(values)
    form, made_by = settings.pop("format", FORMAT), settings.pop("version", "")
    if not isinstance(form, int) or isinstance(form, bool) or not isinstance(made_by, str):
        raise UserError(
            f"{source}: format = {form!r} and version = {made_by!r} must be a whole number and text"
        )
    own = version("conceptspace")
    newer = f"; conceptspace {made_by} wrote it, which is newer than this {own}: install it"
    if form > FORMAT:
        by = newer if made_by else f"; this is conceptspace {own}: install a newer one"
        raise UserError(f"{source} has format {form}, and formats up to {FORMAT} are known{by}")
    return settings, newer if made_by and _numbers(made_by) > _numbers(own) else ""


def _numbers(text: str) -> list[int]:
    """The numbers before any suffix: 0.10.2 for "0.10.2.dev3"."""
    found = re.match(r"\d+(\.\d+)*", text)
    return [int(part) for part in found[0].split(".")] if found else []
