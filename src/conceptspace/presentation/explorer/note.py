"""A note in Markdown as HTML in which nothing of the author's can be markup.

Every text is escaped first; then headings, lists, quotes, code, emphasis and links to http, https
and mailto are made of it, and nothing else: no HTML, no images, no scripts.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import groupby
from pathlib import Path

from markupsafe import Markup, escape

from conceptspace.errors import UserError
from conceptspace.files import read_whole

LARGEST = 200_000
"""Most characters of a note."""

CODE = re.compile(r"`([^`]+)`")
LINK = re.compile(r"\[([^\]]+)\]\(((?:https?://|mailto:)[^\s)]+)\)")
STRONG = re.compile(r"\*\*(\S(?:.*?\S)?)\*\*")
EMPHASIS = re.compile(r"(?<![*\w])[*_](\S(?:.*?\S)?)[*_](?![*\w])")
HEADING = re.compile(r"^(#{1,4}) +(.+?) *#*$")
BULLET, NUMBERED = re.compile(r"^[-*+] +(.*)$"), re.compile(r"^\d+[.)] +(.*)$")


def read_note(path: Path) -> str:
    """The text of a note.

    Raises:
        UserError: it cannot be read, is no text, or is too long.
    """
    try:
        text = read_whole(path).decode()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"the note {path} cannot be read as UTF-8 text: {error}") from None
    if len(text) > LARGEST:
        raise UserError(f"the note {path} has {len(text)} characters; at most {LARGEST} fit")
    return text


def note_html(text: str) -> Markup:
    """A note as HTML; empty for an empty one."""
    blocks, fenced = [], False
    for part in re.split(r"^```.*$", text.replace("\r\n", "\n"), flags=re.MULTILINE):
        blocks.append(
            str(Markup("<pre>{}</pre>").format(part.strip("\n"))) if fenced else _text(part)
        )
        fenced = not fenced
    return Markup("".join(blocks))


def _text(part: str) -> str:
    return "".join(_block(block.split("\n")) for block in re.split(r"\n\s*\n", part.strip("\n")))


def _block(lines: list[str]) -> str:
    """One paragraph, or lines that are headings and lists."""
    made = []
    for kind, group in groupby(filter(str.strip, lines), _kind):
        made.append(BLOCKS[kind]([line.strip() for line in group]))
    return "".join(made)


def _kind(line: str) -> str:
    line = line.strip()
    if HEADING.match(line):
        return "heading"
    if line.startswith(">"):
        return "quote"
    return "ul" if BULLET.match(line) else "ol" if NUMBERED.match(line) else "text"


def _headings(lines: list[str]) -> str:
    found = [match for line in lines if (match := HEADING.match(line))]
    return "".join(
        f"<h{min(len(m[1]) + 2, 6)}>{_inline(m[2])}</h{min(len(m[1]) + 2, 6)}>" for m in found
    )


def _items(pattern: re.Pattern[str], tag: str) -> Callable[[list[str]], str]:
    def bare(line: str) -> str:
        return pattern.sub(r"\1", line)

    def make(lines: list[str]) -> str:
        items = "".join(f"<li>{_inline(text)}</li>" for text in map(bare, lines))
        return f"<{tag}>{items}</{tag}>"

    return make


def _inline(text: str) -> str:
    """Escaped text with code, links, strong and emphasised words; code is left as it is."""
    parts = CODE.split(text)
    return "".join(
        f"<code>{escape(part)}</code>" if at % 2 else _emphasised(str(escape(part)))
        for at, part in enumerate(parts)
    )


def _emphasised(text: str) -> str:
    # Links are taken out of the text meanwhile: their addresses hold * and _ that mean nothing.
    links: list[str] = []

    def keep(match: re.Match[str]) -> str:
        links.append(f'<a href="{match[2]}" rel="noreferrer">{match[1]}</a>')
        return f"\0{len(links) - 1}\0"

    text = LINK.sub(keep, text.replace("\0", ""))
    text = EMPHASIS.sub(r"<em>\1</em>", STRONG.sub(r"<strong>\1</strong>", text))
    return re.sub(r"\0(\d+)\0", lambda match: links[int(match[1])], text)


BLOCKS: dict[str, Callable[[list[str]], str]] = {
    "heading": _headings,
    "quote": lambda lines: (
        f"<blockquote>{_inline(' '.join(x.lstrip('> ') for x in lines))}</blockquote>"
    ),
    "ul": _items(BULLET, "ul"),
    "ol": _items(NUMBERED, "ol"),
    "text": lambda lines: f"<p>{_inline(' '.join(lines))}</p>",
}
"""How the lines of each kind of block become HTML."""
