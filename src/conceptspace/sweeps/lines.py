"""Where a key stands in a TOML file, for messages that name the line."""

from __future__ import annotations

import re

HEADER = re.compile(r"\s*(\[\[?)([^\[\]]+)\]\]?\s*(?:#.*)?")
KEY = re.compile(r"""\s*((?:"[^"]*"|'[^']*'|[\w-]+)(?:\s*\.\s*(?:"[^"]*"|'[^']*'|[\w-]+))*)\s*=""")


def line_of(text: str, section: str, key: str = "", number: int = 0) -> int:
    """The line of a key, counted from 1; 0 where it is not found.

    Of a key that is a table itself it is the first line that names it, such as ``axes.seed = [0]``
    of ``axes``; of one within an inline table, that table's.

    Args:
        text: of the file.
        section: name of a table; empty for what stands before the first.
        key: dotted name in the table; empty for the table's own line.
        number: which of several tables of that name, from 0.
    """
    wanted = _joined(section, key)
    inside, seen, begun, around = "", 0, 0, 0
    for count, line in enumerate(text.splitlines(), 1):
        if header := HEADER.fullmatch(line):
            inside = named = _plain(header[2])
            seen += inside == section and header[1] == "[["
            if inside == section and seen in (0, number + 1):
                begun = begun or count
            if not key or section:
                continue
        elif found := KEY.match(line):
            named = _joined(inside, _plain(found[1]))
        else:
            continue
        if key and seen in (0, number + 1):
            if _is_within(named, wanted):
                return count
            if _is_within(wanted, named):
                around = count
    return around if key else begun


def _is_within(name: str, table: str) -> bool:
    """Whether a dotted name is that of a table, or of something in it."""
    return name == table or name.startswith(f"{table}.")


def _joined(*names: str) -> str:
    return ".".join(filter(None, names))


def _plain(name: str) -> str:
    """A dotted name without quotes and spaces."""
    return ".".join(part.strip().strip("\"'") for part in name.split("."))
