from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pandas as pd
import pytest
import torch
from pyarrow import parquet

from conceptspace import files
from conceptspace.contact_sheet import read_sheet
from conceptspace.files import (
    read_record,
    read_table,
    read_whole,
    toml,
    write_atomically,
    write_json,
    write_record,
    write_table,
)
from conceptspace.recording.evaluate import Generated
from conceptspace.recording.sheets import write_sheet
from conceptspace.space import ConceptClass
from conceptspace.training import checkpoint


def test_creates_folders_and_replaces(tmp_path):
    path = tmp_path / "a" / "b" / "file"
    write_atomically(path, b"one")
    write_atomically(path, b"two")
    assert path.read_bytes() == b"two"
    assert [p.name for p in path.parent.iterdir()] == ["file"]


@pytest.mark.parametrize("where", ["fsync", "replace"])
def test_a_failure_leaves_the_old_content_and_no_temporary_file(tmp_path, monkeypatch, where):
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def fail(*arguments):
        raise OSError("no space left")

    monkeypatch.setattr(*{"fsync": (os, "fsync"), "replace": (Path, "replace")}[where], fail)
    with pytest.raises(OSError, match="no space"):
        write_atomically(path, b"new")
    monkeypatch.undo()
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_content_reaches_the_disk_before_its_name(tmp_path, monkeypatch):
    calls = []
    fsync, replace = os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda d: (calls.append("fsync"), fsync(d))[1])
    monkeypatch.setattr(Path, "replace", lambda a, b: (calls.append("replace"), replace(a, b))[1])
    write_atomically(tmp_path / "file", b"x")
    assert calls == ["fsync", "replace", "fsync"]


def test_writers_do_not_share_a_temporary_name(tmp_path, monkeypatch):
    """Processes in two containers have the same number, and write the same probe."""
    names = []

    class Watched(files.Disk):
        def write(self, path, content):
            names.append(path.name)
            super().write(path, content)

    monkeypatch.setattr(files, "DISK", Watched())
    for _ in range(10):
        write_atomically(tmp_path / "probe.json", b"x")
    assert len(set(names)) == 10


def test_bytes_are_read_once(tmp_path, monkeypatch):
    """So that a healthy file is not called damaged because a writer replaces it meanwhile."""
    table = pd.DataFrame({"step": [1, 2]})
    write_table(tmp_path / "table.parquet", table)
    write_record(tmp_path / "record.json", {"a": 1})
    checkpoint.save(tmp_path, 3, {"w": torch.ones(2)})
    sheet = tmp_path / "run" / "samples" / "naive" / "step-00000003.png"
    generated = Generated("", ConceptClass("11"), torch.zeros(2, 3, 4, 4), pd.DataFrame())
    write_sheet(sheet, 3, [generated])
    read_bytes = Path.read_bytes

    def replaced_once_read(path):
        content = read_bytes(path)
        path.write_bytes(b"what another writer puts there")
        return content

    monkeypatch.setattr(Path, "read_bytes", replaced_once_read)
    pd.testing.assert_frame_equal(read_table(tmp_path / "table.parquet", "remedy"), table)
    assert read_record(tmp_path / "record.json") == {"a": 1}
    assert checkpoint.load(tmp_path, 3)["w"].tolist() == [1.0, 1.0]
    step, read = read_sheet(sheet)
    assert (step, read.rows[0]["concept_class"]) == (3, "11")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_json_holds_no_numbers_that_are_none(tmp_path, value):
    path = tmp_path / "x.json"
    write_json(path, {"a": 1})
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(path, {"a": value})
    assert json.loads(path.read_text()) == {"a": 1}


def test_json_is_the_same_for_the_same_content(tmp_path):
    write_json(tmp_path / "x", {"b": 1, "a": [1, 2]})
    write_json(tmp_path / "y", {"a": [1, 2], "b": 1})
    assert (tmp_path / "x").read_bytes() == (tmp_path / "y").read_bytes()


def test_tables_keep_content_and_metadata_and_are_reproducible(tmp_path):
    table = pd.DataFrame({"step": [1, 2], "name": ["a", ""], "value": [0.5, float("nan")]})
    for name in ("x", "y"):
        write_table(tmp_path / name, table, {"probe": "p"})
    assert (tmp_path / "x").read_bytes() == (tmp_path / "y").read_bytes()
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "x"), table)
    metadata = parquet.read_schema(tmp_path / "x").metadata
    assert json.loads(metadata[b"conceptspace"]) == {"probe": "p"}


def test_tables_leave_out_the_index(tmp_path):
    table = pd.DataFrame({"a": [1, 2, 3]}).iloc[1:]
    write_table(tmp_path / "x", table)
    assert list(pd.read_parquet(tmp_path / "x").index) == [0, 1]


def test_all_writing_goes_through_the_disk():
    """So that a disk which fails can be put in its place, under everything that a run writes."""
    elsewhere = {
        "engine/native/kept.py": "a folder with a mode of its own",
        "sweeps/local.py": "logs of processes, which they append to",
        "sweeps/on_ray.py": "the same logs",
    }
    changes = re.compile(
        r"\.(mkdir|write_bytes|write_text|unlink|rmdir|rename|touch|symlink_to)\("
        r"|\.replace\(\w+\)$|open\([^)]*[\"'][wxa]b?[\"']|to_csv\(\w*path|to_parquet\(\w*path"
        r"|shutil\.(copy|move|rmtree)|os\.(rename|replace|remove|unlink|makedirs)"
    )
    harmless = re.compile(r"DISK\.|\.rename\(columns")
    source = Path(files.__file__).parent
    found = {}
    for path in sorted(source.rglob("*.py")):
        lines = [line.strip() for line in path.read_text().splitlines()]
        found[str(path.relative_to(source))] = [
            line for line in lines if changes.search(line) and not harmless.search(line)
        ]
    found = {name: lines for name, lines in found.items() if lines and name not in elsewhere}
    assert set(found) == {"files.py"}, found


class TestRecords:
    def test_they_come_back(self, tmp_path):
        write_record(tmp_path / "x", {"b": 1.5, "a": {"c": [1, None]}})
        assert read_record(tmp_path / "x") == {"b": 1.5, "a": {"c": [1, None]}}

    def test_older_ones_have_no_checksum(self, tmp_path):
        write_json(tmp_path / "x", {"a": 1})
        assert read_record(tmp_path / "x") == {"a": 1}

    @pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"3", b"\xff", b"[" * 100_000])
    def test_what_is_none_is_refused(self, tmp_path, content):
        (tmp_path / "x").write_bytes(content)
        with pytest.raises(ValueError):  # noqa: PT011
            read_record(tmp_path / "x")

    def test_every_flipped_bit_is_found_or_without_effect(self, tmp_path):
        record = {"seconds": 61.25, "status": "finished", "probe": {"hash": "ab"}}
        write_record(path := tmp_path / "x", record)
        same, refused = flips(path, lambda: record.items() <= read_record(path).items())
        assert refused > 10 * same


class TestTables:
    TABLE = pd.DataFrame(
        {"step": [1, 20, 300], "name": ["a", "", None], "value": [0.5, -1.0, float("nan")]}
    )

    def test_no_flipped_bit_gives_another_table(self, tmp_path):
        path = tmp_path / "x"
        write_table(path, self.TABLE, {"probe": "p"})
        same, refused = flips(path, lambda: read_table(path, "").equals(self.TABLE))
        assert refused > same

    def test_a_table_of_somebody_else_has_no_checksum(self, tmp_path):
        self.TABLE.to_parquet(tmp_path / "x")
        assert read_table(tmp_path / "x", "").equals(self.TABLE)

    def test_the_reader_takes_the_bytes_once(self, tmp_path, monkeypatch):
        """A writer may replace the file at any moment."""
        path, other = tmp_path / "x", self.TABLE.assign(step=[4, 5, 6])
        write_table(path, self.TABLE)
        read = Path.read_bytes

        def replaced(self):
            content = read(self)
            write_table(path, other)
            return content

        monkeypatch.setattr(Path, "read_bytes", replaced)
        assert read_table(path, "").equals(TestTables.TABLE)


def flips(path, same):
    """How many single flipped bits leave what is read as it was, and how many are refused.

    Every third bit of the file is tried; ``same`` reads the file and says whether it is the same.
    """
    content, left, refused = path.read_bytes(), 0, 0
    for bit in range(0, 8 * len(content), 3):
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        try:
            assert same(), f"bit {bit} of {path.name} gives something else"
            left += 1
        except ValueError:
            refused += 1
    return left, refused


@pytest.mark.parametrize("read", [read_whole, read_record])
def test_what_is_no_file_is_not_waited_for(tmp_path, read):
    os.mkfifo(tmp_path / "pipe")
    for place in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(OSError, match="not a regular file"):
            read(place)


@pytest.mark.parametrize("text", ["a." * 5000 + "b = 1", "a = " + "[" * 9999 + "]" * 9999])
def test_toml_that_is_nested_deeply_is_refused(text):
    with pytest.raises(ValueError, match="nested too deeply"):
        toml(text)
    assert toml("[a.b]\nc = [[1], [2]]") == {"a": {"b": {"c": [[1], [2]]}}}
