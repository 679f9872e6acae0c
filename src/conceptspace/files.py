"""Writing files so that a crash leaves the old content or the new, never half of it.

And reading tables so that a damaged one is told in one sentence.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from conceptspace.errors import UserError

if TYPE_CHECKING:
    import pandas as pd


def write_atomically(path: Path, content: bytes) -> None:
    """Write to a temporary file beside ``path``, flush it to disk, rename it, flush the folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def write_json(path: Path, value: Any) -> None:
    """Write indented JSON atomically; NaN and infinity are refused."""
    text = json.dumps(value, indent=2, allow_nan=False, sort_keys=True)
    write_atomically(path, (text + "\n").encode())


def sha256(content: bytes) -> str:
    """Hexadecimal SHA-256."""
    return hashlib.sha256(content).hexdigest()


def write_table(path: Path, table: pd.DataFrame, metadata: Mapping[str, str] | None = None) -> None:
    """Write Parquet atomically, the same bytes for the same content.

    Args:
        path: created or replaced.
        table: without its index.
        metadata: kept in the file's schema under the key ``conceptspace``, as JSON.
    """
    import pyarrow as pa
    from pyarrow import parquet

    arrow = pa.Table.from_pandas(table, preserve_index=False)
    stored = {b"conceptspace": json.dumps(dict(metadata or {}), sort_keys=True).encode()}
    buffer = io.BytesIO()
    parquet.write_table(
        arrow.replace_schema_metadata({**(arrow.schema.metadata or {}), **stored}), buffer
    )
    write_atomically(path, buffer.getvalue())


class DamagedTable(UserError):
    """A file that is there and holds no table."""


def read_table(path: Path, remedy: str) -> pd.DataFrame:
    """Read Parquet.

    Args:
        path: of the file.
        remedy: what to do if it is damaged, the end of a sentence.

    Raises:
        DamagedTable: its content is no table.
        OSError: the system cannot read the file.
    """
    import pandas as pd
    from pyarrow import ArrowException

    try:
        return pd.read_parquet(path)
    except (OSError, ValueError, ArrowException) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DamagedTable(f"{path} is damaged ({reason}); {remedy}") from None
