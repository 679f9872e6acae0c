"""Reading contact sheets: a PNG of generated images that also holds what each row shows.

The index is a text chunk of the PNG, so that both are replaced at once. Every chunk carries a
CRC-32, which is verified.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from conceptspace.errors import UserError
from conceptspace.hints import command

KEYWORD = "conceptspace"
"""Keyword of the text chunk that holds the index."""

SIGNATURE = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Sheet:
    """A contact sheet: one row of square tiles per setting and class, one column per image.

    Attributes:
        path: the PNG.
        tile: pixels per side of a tile; tiles touch.
        rows: ``{"setting": ..., "concept_class": ...}`` of each row, from the top.
        columns: images per row.
    """

    path: Path
    tile: int
    rows: list[dict[str, str]]
    columns: int

    def content(self) -> bytes:
        """The PNG's bytes, verified.

        Raises:
            UserError: it is damaged, gone, or was replaced by one with other rows.
        """
        content = _bytes(self.path)
        if _read(self.path, content)[1] != self:
            raise UserError(f"{self.path} was replaced meanwhile; ask again")
        return content


def read_sheet(path: Path) -> tuple[int, Sheet]:
    """Step and contact sheet of ``RUN/samples/PROTOCOL/step-00000400.png``.

    Raises:
        UserError: the file is damaged or gone.
    """
    return _read(path, _bytes(path))


def sheet_content(path: Path) -> bytes:
    """The PNG's bytes, verified; browsers draw a damaged one in silence.

    Raises:
        UserError: the file is damaged or gone.
    """
    content = _bytes(path)
    _read(path, content)
    return content


def damaged_sheet(path: Path) -> UserError:
    """The error for a contact sheet that cannot be read."""
    run, protocol = path.parents[2], path.parent.name
    scores = run / "scores" / protocol / f"{path.stem}.parquet"
    return UserError(
        f"{path} is damaged; delete {path.with_suffix('.*')} and {scores}, and "
        f"{scored_again(run, protocol)}"
    )


def scored_again(run: Path, protocol: str) -> str:
    """The end of a sentence that says how to make lost scores again."""
    again = command("evaluate", run, "--protocol", protocol)
    return (
        f"run: {again}; or, if the model is not kept in the run, record its checkpoints once more"
    )


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        raise damaged_sheet(path) from None


def _read(path: Path, content: bytes) -> tuple[int, Sheet]:
    try:
        texts = [data for name, data in _chunks(content) if name == b"tEXt"]
        marked = [text for text in texts if text.startswith(KEYWORD.encode() + b"\0")]
        if marked:
            index = json.loads(marked[0].partition(b"\0")[2])
        else:  # sheets up to version 0.3 have their index in a file of its own
            index = json.loads(path.with_suffix(".json").read_text())
        sheet = Sheet(path, int(index["tile"]), list(index["rows"]), int(index["columns"]))
        return int(index["step"]), sheet
    except (OSError, ValueError, KeyError, TypeError, struct.error):
        raise damaged_sheet(path) from None


def _chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Name and data of each chunk of a PNG, verified.

    Raises:
        ValueError: a chunk is not what was written, or the end is missing.
        struct.error: the content ends inside a chunk.
    """
    if not content.startswith(SIGNATURE):
        raise ValueError("not a PNG")
    position, name = len(SIGNATURE), b""
    while name != b"IEND":
        (length,) = struct.unpack_from(">I", content, position)
        named = content[position + 4 : position + 8 + length]
        (written,) = struct.unpack_from(">I", content, position + 8 + length)
        if zlib.crc32(named) != written:
            raise ValueError("a chunk is not what was written")
        name = named[:4]
        yield name, named[4:]
        position += 12 + length
