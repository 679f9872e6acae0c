"""A collection holds what its runs hold, by columns, and reports when it does not."""

from __future__ import annotations

import errno
import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pyarrow.dataset as ds
import pytest
from pyarrow import parquet

from collected import members, write_many
from conceptspace import files
from conceptspace.analysis import points
from conceptspace.cli.flags import choices
from conceptspace.collection.layout import MARK, columns, is_collection, varied
from conceptspace.collection.read import Collection
from conceptspace.collection.write import Unreadable, write
from conceptspace.errors import UserError
from conceptspace.locking import Busy, alone
from conceptspace.recording.space import space_of

SEPARATION = "config.data.color_separation"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """102 runs in two parts; do not write into it."""
    place = tmp_path_factory.mktemp("many") / "collection"
    write_many(place, 102, checkpoints=2)
    return place


def test_pyarrow_reads_all_runs_as_one_data_set_with_their_settings(folder: Path) -> None:
    data = ds.dataset(folder / "trajectories")
    rows = data.to_table(filter=(ds.field(SEPARATION) == 0.15) & (ds.field("seed") == 0))
    chosen = [m for m in members(102, 2) if "separation-0.15," in m.name and m.seed == 0]
    assert set(rows["run"].to_pylist()) == {m.name for m in chosen}
    assert len(rows) == sum(len(m.trajectory()) for m in chosen)


def test_each_run_is_a_row_group(folder: Path) -> None:
    groups = [
        parquet.ParquetFile(p).num_row_groups for p in sorted((folder / "trajectories").iterdir())
    ]
    assert groups == [100, 2]
    first = parquet.ParquetFile(folder / "trajectories" / "part-0000.parquet").metadata.row_group(7)
    at = [first.column(i).path_in_schema for i in range(first.num_columns)].index(SEPARATION)
    bounds = first.column(at).statistics
    assert bounds.min == bounds.max


def test_the_rows_of_a_run_are_those_that_were_written(folder: Path) -> None:
    wanted = {m.name: m for m in list(members(102, 2))[::40]}
    found = dict(Collection(folder).trajectories(list(wanted)))
    assert set(found) == set(wanted)
    for name, table in found.items():
        expected = wanted[name].trajectory().assign(run=name)
        pd.testing.assert_frame_equal(table.astype(expected.dtypes), expected)


def test_runs_are_chosen_by_their_settings(folder: Path) -> None:
    collection = Collection(folder)
    chosen = collection.where({"data.color_separation": "0.1,0.15", "seed": "0"})
    assert chosen
    assert all(name.endswith("seed-0") for name in chosen)
    assert all(
        name.startswith(("color_separation-0.1,", "color_separation-0.15,")) for name in chosen
    )
    with pytest.raises(UserError, match=r"train.steps does not vary in .*, train.learning_rate"):
        collection.where({"train.steps": "3"})
    with pytest.raises(UserError, match=r"no run of .* has seed = 99"):
        collection.where({"seed": "99"})


def test_runs_are_chosen_by_lists_truth_values_and_names_with_hyphens(tmp_path: Path) -> None:
    base = next(members(1, 2))
    varied = [
        {"model.channels": (32, 64), "own.wide": True, "protocols.embedding-scaling.strengths": 2},
        {
            "model.channels": (64, 128),
            "own.wide": False,
            "protocols.embedding-scaling.strengths": 3,
        },
        {"model.channels": (32,), "own.wide": True, "protocols.embedding-scaling.strengths": 4},
        {"model.channels": (1.5, 2.0), "protocols.embedding-scaling.strengths": (2, 3)},
    ]
    each = [
        replace(base, name=str(at), settings=dict(base.settings) | settings)
        for at, settings in enumerate(varied)
    ]
    write(each, tmp_path)
    collection = Collection(tmp_path)
    scaling = "protocols.embedding-scaling.strengths"
    for asked, names in [
        ({"model.channels": "32,64"}, ["0"]),
        ({"model.channels": "64, 128"}, ["1"]),
        ({"model.channels": "1.50,2"}, ["3"]),
        ({"model.channels": "32"}, ["2"]),
        ({"own.wide": "true"}, ["0", "2"]),
        ({"own.wide": "False"}, ["1"]),
        ({scaling: "2.0"}, ["0"]),
        ({scaling: "2,3"}, ["3"]),
        ({scaling: "2,4"}, ["0", "2"]),
        ({"model.channels": "32", "own.wide": "true,false"}, ["2"]),
        (choices([f"{scaling}=3"]), ["1"]),
        ({"protocols.embedding_scaling.strengths": "3"}, ["1"]),
    ]:
        assert collection.where(asked) == names
    with pytest.raises(UserError, match="takes NAME=VALUE,VALUE, each name once"):
        choices(["data.color-separation=1", "data.color_separation=2"])
    with pytest.raises(UserError, match=r"own.narrow does not vary in .*; seed, model.channels"):
        collection.where({"own.narrow": "1"})


def test_parts_whose_runs_have_not_changed_stay(tmp_path: Path) -> None:
    found = list(members(102, 2))
    write(found, tmp_path)
    first, second = (tmp_path / "trajectories" / f"part-000{n}.parquet" for n in (0, 1))
    before = first.stat().st_mtime_ns, second.stat().st_mtime_ns
    write(found[:101], tmp_path)
    assert first.stat().st_mtime_ns == before[0]
    assert second.stat().st_mtime_ns > before[1]
    write(found[:100], tmp_path)
    assert not second.exists()
    assert len(Collection(tmp_path).runs) == 100


def damaged(reason: str) -> pd.DataFrame:
    """Stands for the best settings of a run whose scores are damaged."""
    raise UserError(reason)


def test_a_damaged_run_leaves_the_collection_as_it_was(tmp_path: Path) -> None:
    found = list(members(3, 2))
    write(found, tmp_path)
    before = {p: p.read_bytes() for p in tmp_path.rglob("*.*") if p.is_file()}
    torn = replace(found[1], digest="other", best=lambda: damaged("its scores are damaged"))
    with pytest.raises(Unreadable) as caught:
        write([found[0], torn, found[2]], tmp_path)
    assert caught.value.reasons == {torn.name: "its scores are damaged"}
    assert {p: p.read_bytes() for p in tmp_path.rglob("*.*") if p.is_file()} == before


def test_a_collection_that_was_cut_short_is_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, content: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    found = list(members(2, 2))
    with monkeypatch.context() as patched:
        patched.setattr(files.DISK, "write", full)
        with pytest.raises(OSError, match="No space left"):
            write(found, tmp_path)
    (tmp_path / "runs").mkdir()
    write(found, tmp_path)
    assert not (tmp_path / ".new").exists()
    with monkeypatch.context() as patched:
        patched.setattr(files.DISK, "write", full)
        with pytest.raises(OSError, match="No space left"):
            write(list(members(3, 2)), tmp_path)
    assert list(Collection(tmp_path).runs["run"]) == [m.name for m in found]
    assert len(dict(Collection(tmp_path).points([m.name for m in found]))) == 2


def test_only_one_process_writes_a_collection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_many(tmp_path, 1, checkpoints=2)
    monkeypatch.setattr("conceptspace.collection.write.PATIENCE", 0.1)
    with alone(tmp_path), pytest.raises(Busy, match="another process is working on"):
        write_many(tmp_path, 2, checkpoints=2)
    write_many(tmp_path, 2, checkpoints=2)
    assert len(Collection(tmp_path).runs) == 2


@pytest.mark.parametrize("kind", ["points", "trajectories", "runs"])
def test_the_rows_of_another_run_are_not_taken_for_those_asked_for(
    tmp_path: Path, kind: str
) -> None:
    found = list(members(2, 2))
    write(found, tmp_path / "there")
    write(found[::-1], tmp_path / "anew")
    collection, names = Collection(tmp_path / "there"), [m.name for m in found]
    assert list(collection.runs["run"]) == names
    place = Path(kind) / "part-0000.parquet"
    (tmp_path / "anew" / place).rename(tmp_path / "there" / place)

    def read() -> None:
        collection.unpack(names, tmp_path / "unpacked")
        list(collection.points(names))

    with pytest.raises(UserError, match=rf"{kind}/part-0000.parquet .* in place of {names[0]}"):
        read()


@pytest.mark.parametrize(("kind", "at"), [("runs", 60), ("trajectories", 60), ("points", 400)])
def test_a_flipped_bit_is_reported(tmp_path: Path, kind: str, at: int) -> None:
    write_many(tmp_path, 3, checkpoints=2)
    place = tmp_path / kind / "part-0000.parquet"
    content = bytearray(place.read_bytes())
    content[at] ^= 1
    place.write_bytes(content)
    collection, names = Collection(tmp_path), [m.name for m in members(3, 2)]
    with pytest.raises(UserError, match=r"part-0000.parquet is damaged .* sweep collect DIR"):
        list(collection.points(names) if kind == "points" else collection.trajectories(names))


def test_what_is_drawn_of_a_run_is_kept_and_made_again_where_it_is_missing(tmp_path: Path) -> None:
    found = list(members(3, 2))
    write(found, tmp_path)
    space = space_of(found[2].space)
    asked = [found[2].name, found[0].name]
    kept = dict(Collection(tmp_path).points(asked))
    assert list(kept) == asked
    assert json.loads(kept[asked[0]]) == points.page_points(found[2].trajectory(), space)
    (tmp_path / "points" / "part-0000.parquet").unlink()
    with pytest.raises(UserError, match=r"points/part-0000.parquet is damaged or missing"):
        list(Collection(tmp_path).points(asked))
    write(found, tmp_path)
    assert dict(Collection(tmp_path).points(asked)) == kept


def test_a_missing_part_and_a_name_that_leads_out_are_refused(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    outside = next(members(1, 2))
    write([outside.__class__(**{**vars(outside), "name": "../../x"})], tmp_path / "bad")
    with pytest.raises(UserError, match=r"the run ../../x would lie outside"):
        _ = Collection(tmp_path / "bad").runs
    write_many(tmp_path / "torn", 2, checkpoints=2)
    (tmp_path / "torn" / "runs" / "part-0000.parquet").unlink()
    with pytest.raises(UserError, match=r"part-0000.parquet is damaged or missing"):
        _ = Collection(tmp_path / "torn").runs
    (tmp_path / "torn" / MARK).write_text(json.dumps({"runs": 2}))
    with pytest.raises(UserError, match=r"collection.json is damaged"):
        Collection(tmp_path / "torn")


def test_a_folder_of_something_else_is_neither_read_nor_overwritten(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("text")
    assert not is_collection(tmp_path)
    with pytest.raises(UserError, match="is no collection and not empty"):
        write_many(tmp_path, 1)
    with pytest.raises(UserError, match=r"is no collection: it has no collection.json"):
        Collection(tmp_path)


def test_settings_become_columns_of_their_type() -> None:
    settings = [
        {"a": 1, "b": 0.5, "c": True, "d": (1, 2), "e": 1},
        {"a": 2, "b": 1, "d": "x", "e": "y"},
    ]
    assert varied([*settings, {"seed": 3}]) == ["a", "b", "c", "d", "e"]
    table = columns(settings, ["a", "b", "c", "d", "e"])
    assert [str(dtype) for dtype in table.dtypes] == [
        "Int64",
        "Float64",
        "boolean",
        "string",
        "string",
    ]
    assert table["config.d"].tolist() == ["1,2", "x"]
    assert table["config.c"].isna().tolist() == [False, True]
