"""Runs on data of one's own: from a config or a command to a page."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from conceptspace.cli import main
from conceptspace.config import RunConfig, merged
from conceptspace.errors import UserError
from conceptspace.events import Trained
from conceptspace.experiment import parts
from conceptspace.experiment.alike import require_alike
from conceptspace.presentation.page import write_page
from conceptspace.values import COLUMNS
from conceptspace.worlds.faces.config import CelebaData
from conceptspace.worlds.own_data import ArraysData, names_of
from conceptspace.worlds.shapes.config import ShapesData
from sprites import write_sprites
from tiny import TINY, tiny_config, tiny_session

NAMES = ["shape=square|ellipse|cross", "scale=large|small"]


def config(path: Path, **changes) -> RunConfig:
    given = {"kind": "arrays", "path": str(path), "factors": ["shape", "scale"], "values": NAMES}
    given |= {"images_per_class": 20}
    return tiny_config(**{f"data__{k}": v for k, v in given.items()}, **changes)


@pytest.fixture(scope="module")
def sprites(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_sprites(tmp_path_factory.mktemp("data") / "sprites.npz")


def test_a_run_on_three_shapes_is_scored_by_its_probe_and_reported(sprites: Path, tmp_path: Path):
    protocols = ["overprompting-shape", "latent-intervention", "latent-control-random"]
    asked = config(sprites, evaluate__protocols=protocols)
    parts.validate(asked)
    session = tiny_session(tmp_path / "run", asked, tmp_path / "probes")
    list(session.execute())
    table = session.run.trajectory()
    assert set(table["concept_class"]) == {"00", "01", "10", "11", "20", "21"}
    assert set(table["protocol"]) == {"naive", *protocols}
    assert table["valid"].isna().all()
    assert [name for name in COLUMNS if name in table] == ["p0", "p1", "p2"]
    shape, scale = (table[table["concept"] == name] for name in ("shape", "scale"))
    assert scale[["p0", "p1", "p2"]].isna().all(axis=None)
    assert shape[["p0", "p1", "p2"]].sum(axis=1).to_numpy() == pytest.approx(1)
    for value in range(3):
        rows = shape[shape["concept_class"].str[0] == str(value)]
        assert rows["accuracy"].to_numpy() == pytest.approx(rows[f"p{value}"].to_numpy())
    assert shape["coordinate"].to_numpy() == pytest.approx((1 + shape["p1"] - shape["p0"]) / 2)
    text = " ".join(f.text for f in write_page([session.run], tmp_path / "page.html"))
    assert "cross small" in text
    assert "The images are data of one's own" in text
    assert "square" in (tmp_path / "page.html").read_text()


def test_a_run_goes_on_with_its_own_images_alone(sprites: Path, tmp_path: Path):
    path, folder = tmp_path / "d.npz", tmp_path / "run"
    path.write_bytes(sprites.read_bytes())
    events = tiny_session(folder, config(path), tmp_path / "probes").execute()
    next(event for event in events if isinstance(event, Trained))
    events.close()
    with np.load(sprites) as arrays:
        np.savez(path, **(dict(arrays) | {"imgs": 1 - arrays["imgs"]}))
    session = tiny_session(folder, config(path), tmp_path / "probes")
    before = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    for work in (session.execute(), session.evaluate(["naive"])):
        with pytest.raises(UserError, match=f"images have changed .*data.path = {path}; .*digest"):
            list(work)
    with pytest.raises(UserError, match="images have changed"):
        require_alike(session.run, session.config, ["naive"])
    assert {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()} == before


def test_a_command_with_a_folder_and_its_table(tmp_path: Path, monkeypatch, capsys):
    rng = np.random.default_rng(0)
    rows = [(f"{i}.png", ("red", "blue")[i % 2], i // 2 % 2) for i in range(80)]
    for name, hue, light in rows:
        pixels = np.full((9, 7, 3), 60 + 120 * light, np.uint8)
        pixels[:4, :, 0 if hue == "red" else 2] = rng.integers(200, 255)
        Image.fromarray(pixels).save(tmp_path / name)
    pd.DataFrame(rows, columns=["file", "hue", "light"]).to_csv(tmp_path / "a.csv", index=False)
    toml = merged(TINY, {"data": {"images_per_class": 16}}, "test").to_toml()
    (tmp_path / "tiny.toml").write_text(toml)
    out = tmp_path / "run"
    words = f"run --config {tmp_path / 'tiny.toml'} --data.kind folder --data.path {tmp_path}"
    words += f" --data.table a.csv --data.values hue=red|blue --device cpu --out {out}"
    assert main(words.split()) == 0
    capsys.readouterr()
    assert main(["report", str(out)]) == 0
    assert "blue 1" in capsys.readouterr().out
    again = tiny_session(out, merged(RunConfig(), _read(out), "test"), tmp_path / "probes")
    assert again.world.space.ood_classes == ("11",)


def _read(out: Path) -> dict:
    from conceptspace.config import read

    return read(out / "config.toml")


def test_shapes_and_celeba_are_stored_as_before():
    for of in (ShapesData(), CelebaData()):
        stored = of.model_dump()
        assert not {"path", "factors", "values", "table", "file_column"} & set(stored)
    assert "path" in ArraysData(path="x.npz").model_dump()


REFUSED = [
    ({"path": ""}, "needs data.path, an .npz or .h5 file"),
    ({"path": "none.npz"}, "cannot be read: No such file"),
    ({"factors": ["size"]}, "no column 'size'; it has color, shape, scale"),
    ({"values": ["shape"]}, "FACTOR=NAME"),
    ({"values": ["shape=a|b"]}, "3 values .* and 2 names"),
    ({"images_per_class": 25}, "24 images of class 00 .square large., and 25 are asked for"),
    (
        {"masked_class": "01"},
        "data.masked_class is a setting of data.kind = shapes, and data.kind is",
    ),
    ({"conditioned": ["color"]}, "conditioned is a setting of data.kind = shapes, .* is arrays"),
    ({"table": "a.csv"}, "data.table is a setting of data.kind = folder, and data.kind is arr"),
    ({"ood_classes": ["31"]}, "has value 3 of shape"),
]


@pytest.mark.parametrize(("change", "message"), REFUSED)
def test_what_is_refused_before_any_work(sprites: Path, change, message):
    with pytest.raises(UserError, match=message) as error:
        parts.validate(merged(config(sprites), {"data": change}, "test"))
    assert "\n" not in str(error.value)


def test_more_images_for_the_probe_than_there_are(sprites: Path):
    with pytest.raises(UserError, match=r"take 16 \+ 8 of the 20 images"):
        parts.validate(config(sprites, probe__images_per_class=16))


def test_a_file_is_read_once_until_it_changes(sprites: Path, tmp_path: Path):
    path = tmp_path / "copy.npz"
    path.write_bytes(sprites.read_bytes())
    first = parts.world(config(path).data)
    assert parts.world(config(path).data) is first
    write_sprites(path, per_class=30, seed=1)
    assert parts.world(config(path).data) is not first


def test_names_of_values():
    assert names_of(("hue=red|blue", "scale=0:small|5")) == {
        "hue": ["red", "blue"],
        "scale": {"0": "small", "5": "5"},
    }
    for text in ("hue", "=a|b", "hue=a||b"):
        with pytest.raises(UserError, match="FACTOR=NAME"):
            names_of((text,))
