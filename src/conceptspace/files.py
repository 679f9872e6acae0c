"""Writing files so that a crash leaves the old content or the new, never half of it.

And reading them so that a damaged one is reported in one sentence, and is never taken for another:
tables and records carry a SHA-256 of what they hold.
"""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import secrets
import stat
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from conceptspace.errors import UserError

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

CHECKSUM = "checksum"
"""Key of a record's own SHA-256."""

DEEPEST = 20
"""Levels of a TOML file; settings have three."""

TABLE_CHECKSUM = b"conceptspace.sha256"
"""Key of a table's SHA-256 in the metadata of its schema."""


class Disk:
    """The operations by which the package changes what is stored; each may fail with ``OSError``.

    All writing goes through :data:`DISK`, so that tests can put a disk in its place that fails.
    """

    def make_folder(self, path: Path) -> None:
        """Create one folder; its parent exists."""
        path.mkdir(exist_ok=True)

    def write(self, path: Path, content: bytes) -> None:
        """Create a file that does not exist; the content may still be in memory only."""
        with path.open("xb") as file:
            file.write(content)

    def sync(self, path: Path) -> None:
        """Bring a file's content, or a folder's entries, to the disk."""
        number = os.open(path, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)

    def rename(self, old: Path, new: Path) -> None:
        """Put a file in the place of another, or of none."""
        old.replace(new)

    def remove(self, path: Path) -> None:
        """Remove a file; none is no error."""
        path.unlink(missing_ok=True)


DISK = Disk()
"""Where everything is written."""


def make_folders(path: Path) -> None:
    """Create a folder and those above it, so that they survive a power loss."""
    if not path.is_dir():
        if path.parent != path:
            make_folders(path.parent)
        DISK.make_folder(path)
        DISK.sync(path.parent)


def write_atomically(path: Path, content: bytes) -> None:
    """Write to a temporary file beside ``path``, flush it to disk, rename it, flush the folder.

    Raises:
        OSError: it cannot be written; ``filename`` is ``path``, which is as it was. Only where the
            last step failed, the flush of the folder, it holds the new content, which a loss of
            power may undo.
    """
    temporary = path.with_name(f".{path.name[:40]}.{secrets.token_hex(8)}.tmp")
    try:
        make_folders(path.parent)
        try:
            DISK.write(temporary, content)
            DISK.sync(temporary)
            DISK.rename(temporary, path)
        except OSError:
            remove_if_possible(temporary)
            raise
        DISK.sync(path.parent)
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from None


def remove_if_possible(path: Path) -> None:
    """Remove a file that nobody needs; one that cannot be removed is left."""
    try:
        DISK.remove(path)
    except OSError:
        return


def leftovers(folder: Path) -> list[Path]:
    """Temporary files of this module in a folder, of writers that were killed or still write."""
    return sorted(folder.glob(".*.tmp"))


def write_json(path: Path, value: Any) -> None:
    """Write indented JSON atomically; NaN and infinity are refused."""
    text = json.dumps(value, indent=2, allow_nan=False, sort_keys=True)
    write_atomically(path, (text + "\n").encode())


def write_record(path: Path, record: Mapping[str, Any]) -> None:
    """Write JSON that carries its own SHA-256, see :func:`read_record`."""
    write_json(path, {**record, CHECKSUM: _record_checksum(record)})


def read_whole(path: Path, pipes: bool = False) -> bytes:
    """The bytes of a file.

    Args:
        path: of the file.
        pipes: whether a pipe will do as well, which may wait for ever.

    Raises:
        OSError: it cannot be read; likewise what is no file: a device like /dev/zero has no end.
    """
    mode = path.stat().st_mode
    piped = pipes and stat.S_ISFIFO(mode)
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or piped):
        raise OSError(errno.EINVAL, "it is not a regular file", str(path))
    return path.read_bytes()


def toml(text: str) -> dict[str, Any]:
    """The values in a text.

    Raises:
        ValueError: it is no TOML, or nested more deeply than settings are.
    """
    try:
        level: list[Any] = [values := tomllib.loads(text)]
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    for _ in range(DEEPEST):
        inner = [each.values() if isinstance(each, dict) else each for each in level]
        level = [value for of in inner for value in of if isinstance(value, dict | list)]
        if not level:
            return values
    raise ValueError("it is nested too deeply")


def read_record(path: Path) -> dict[str, Any]:
    """What :func:`write_record` wrote; a file without a checksum is taken as it is.

    Raises:
        ValueError: the content is no record, or not what was written.
        OSError: the system cannot read the file.
    """
    try:
        record = json.loads(read_whole(path))
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(record, dict):
        raise ValueError(f"it holds no record but {type(record).__name__}")
    written = record.pop(CHECKSUM, None)
    if written not in (None, _record_checksum(record)):
        raise ValueError("its content is not what was written")
    return record


def _record_checksum(record: Mapping[str, Any]) -> str:
    return sha256(json.dumps(record, sort_keys=True, allow_nan=False).encode())


def sha256(content: bytes) -> str:
    """Hexadecimal SHA-256."""
    return hashlib.sha256(content).hexdigest()


def write_table(path: Path, table: pd.DataFrame, metadata: Mapping[str, str] | None = None) -> None:
    """Write Parquet atomically, the same bytes for the same content.

    Pages carry a checksum, and the file one of its values, see :func:`read_table`.

    Args:
        path: created or replaced.
        table: without its index.
        metadata: kept in the file's schema under the key ``conceptspace``, as JSON.
    """
    import pyarrow as pa
    from pyarrow import parquet

    arrow = pa.Table.from_pandas(table, preserve_index=False)
    stored = {b"conceptspace": json.dumps(dict(metadata or {}), sort_keys=True).encode()}
    arrow = arrow.replace_schema_metadata({**(arrow.schema.metadata or {}), **stored})
    checksum = {TABLE_CHECKSUM: _table_checksum(arrow).encode()}
    buffer = io.BytesIO()
    parquet.write_table(
        arrow.replace_schema_metadata({**arrow.schema.metadata, **checksum}),
        buffer,
        write_page_checksum=True,
    )
    write_atomically(path, buffer.getvalue())


class DamagedTable(UserError):
    """A file that is there and holds no table, or another one than was written."""


def read_table(path: Path, remedy: str) -> pd.DataFrame:
    """Read Parquet, the bytes once, so that a writer may replace the file meanwhile.

    A file without a checksum of its values is taken as it is.

    Args:
        path: of the file.
        remedy: what to do if it is damaged, the end of a sentence.

    Raises:
        DamagedTable: its content is no table, or not what was written.
        OSError: the system cannot read the file.
    """
    content = read_whole(path)
    try:
        return decode_table(content)
    except Exception as error:  # a decoder of damaged bytes raises whatever it stumbles over
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DamagedTable(f"{path} is damaged ({reason}); {remedy}") from None


def decode_table(content: bytes) -> pd.DataFrame:
    """The table in the bytes of a Parquet file.

    Raises:
        Exception: the bytes hold no table, or another one than was written.
    """
    from pyarrow import parquet

    arrow = parquet.ParquetFile(io.BytesIO(content), page_checksum_verification=True).read()
    metadata = dict(arrow.schema.metadata or {})
    written = metadata.pop(TABLE_CHECKSUM, None)
    if written is not None:
        arrow = arrow.replace_schema_metadata(metadata)
        if written.decode() != _table_checksum(arrow):
            raise ValueError("its values are not those that were written")
    return arrow.to_pandas()


def _table_checksum(table: pa.Table) -> str:
    """SHA-256 of the columns' names, types and values, and of the schema's metadata."""
    digest = hashlib.sha256(repr(sorted((table.schema.metadata or {}).items())).encode())
    for name, column in zip(table.column_names, table.columns, strict=True):
        values = column.to_numpy()
        plain = json.dumps(values.tolist()).encode() if values.dtype == object else values.tobytes()
        digest.update(repr((name, str(column.type), len(plain))).encode() + plain)
    return digest.hexdigest()


def legible(name: str) -> str:
    """A file's name as text, with bytes that are no UTF-8 as hexadecimal escapes."""
    return os.fsencode(name).decode(errors="backslashreplace")
