"""Arrays, folders, files and data set objects as worlds."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from conceptspace.errors import UserError
from conceptspace.protocols.overprompting import Overprompting
from conceptspace.seeding import generator
from conceptspace.worlds import border
from conceptspace.worlds.arrays import ArrayWorld
from conceptspace.worlds.datasets import from_huggingface, from_torch
from conceptspace.worlds.folder import FolderWorld
from conceptspace.worlds.stored import SHAPES_3D, read_arrays
from conceptspace.worlds.world import World
from sprites import write_sprites

HUES = ["red", "green", "blue"]
PAINT = {"red": (250, 10, 20), "green": (15, 240, 25), "blue": (5, 30, 245)}
PER_CLASS = 6


def columns(per_class: int = PER_CLASS) -> dict[str, list]:
    """Three hues in two lights, but for blue and dark."""
    pairs = [(h, light) for h in HUES for light in (0, 1) if (h, light) != ("blue", 0)]
    rows = [pair for pair in pairs for _ in range(per_class)]
    return {"hue": [h for h, _ in rows], "light": [light for _, light in rows]}


def painted(found: dict[str, list], side: int = 8) -> np.ndarray:
    """Bytes (N, side, side, 3): the hue above, the light below; the number of the image at left."""
    images = np.zeros((len(found["hue"]), side, side, 3), np.uint8)
    for i, (hue, light) in enumerate(zip(found["hue"], found["light"], strict=True)):
        images[i, : side // 2] = PAINT[hue]
        images[i, side // 2 :] = 40 + 200 * light
        images[i, :, 0] = i
    return images


def world(**options) -> ArrayWorld:
    found = columns()
    given = {"names": {"hue": HUES}, "held_out": [("green", 1)]} | options
    return ArrayWorld(painted(found), found, **given)


class TestArrayWorld:
    def test_is_a_world_with_the_classes_that_exist(self):
        made = world()
        assert isinstance(made, World)
        assert made.space.train_classes == ("00", "01", "10", "21")
        assert made.space.ood_classes == ("11",)
        assert made.space.describe("21") == "blue 1"
        assert dict(made.columns) == {"hue": slice(0, 3), "light": slice(3, 5)}
        assert made.class_mean("21").tolist() == [0, 0, 1, 0, 1]
        assert made.resolution == 8

    def test_images_of_a_class_are_its_own(self):
        made = world()
        for name in made.space.classes:
            images, z = border.draw(made, name, PER_CLASS, generator(0, "x"))
            hue, light = PAINT[HUES[int(name[0])]], 40 + 200 * int(name[1])
            assert (images[:, :, 0, 1] * 255).round().tolist() == [list(hue)] * PER_CLASS
            assert ((images[:, 0, -1, -1] * 255).round() == light).all()
            assert torch.equal(z, made.class_mean(name).expand(PER_CLASS, -1))
            assert len((images[:, 0, 0, 0] * 255).round().unique()) == PER_CLASS

    @pytest.mark.parametrize("kind", ["bytes", "float32", "float64", "tensor", "first", "alpha"])
    def test_every_layout_gives_the_same_images(self, kind):
        found = columns()
        images = painted(found)
        opaque = np.full((*images.shape[:3], 1), 255, np.uint8)
        given = {
            "bytes": images,
            "float32": (images / 255).astype(np.float32),
            "float64": images / 255,
            "tensor": torch.from_numpy(images),
            "first": images.transpose(0, 3, 1, 2),
            "alpha": np.concatenate([images, opaque], axis=3),
        }[kind]
        made = ArrayWorld(given, found, names={"hue": HUES}, held_out=["11"])
        for name, pool in world().pools.items():
            torch.testing.assert_close(
                made.pools[name].float() / (255 if made.pools[name].dtype == torch.uint8 else 1),
                pool.float() / 255,
            )

    def test_grey_stays_one_channel_and_is_shown_as_three(self):
        found = columns()
        made = ArrayWorld(painted(found)[..., 1], found)
        assert made.pools["01"].shape == (PER_CLASS, 1, 8, 8)
        image = made.picture("01")
        assert image.shape == (3, 8, 8)
        assert torch.equal(image[0], image[2])

    def test_what_is_transparent_is_white(self):
        found = columns()
        clear = np.concatenate([painted(found), np.zeros((30, 8, 8, 1), np.uint8)], axis=3)
        assert (ArrayWorld(clear, found).pools["01"] == 255).all()

    def test_a_held_out_class_without_an_image_has_no_picture(self):
        made = world(held_out=[("blue", 0)])
        assert made.space.ood_classes == ("20",)
        assert made.picture("20") is None
        assert "20" not in made.pools
        images, labels = border.labelled(made, "train", 4, 0.1)
        assert len(images) == 5 * 4
        assert labels.unique(dim=0).tolist() == [[0, 0], [0, 1], [1, 0], [1, 1], [2, 1]]

    def test_the_papers_split_of_what_exists(self):
        made = world(held_out="paper")
        assert made.space.train_classes == ("00", "01", "10")
        assert made.space.ood_classes == ("11", "21")

    def test_probe_images_are_held_apart_and_recipes_tell_data_apart(self):
        made = world()
        first, _ = made.labelled("train", 4, 0.1)
        last, _ = made.labelled("held out", 2, 0.1)
        assert not (set(first[:, 0, 0, 0].tolist()) & set(last[:, 0, 0, 0].tolist()))
        assert made.recipe(0.1) == world().recipe(0.1)
        assert made.recipe(0.1) != world(resolution=4).recipe(0.1)

    def test_rectangles_are_scaled_on_request(self):
        found = columns()
        wide = np.repeat(painted(found), 2, axis=2)
        with pytest.raises(UserError, match="8 x 16 pixels; name the resolution"):
            ArrayWorld(wide, found)
        small = ArrayWorld(wide, found, resolution=4)
        assert small.pools["01"].shape[2:] == (4, 4)
        assert small.pools["01"].dtype == torch.uint8

    def test_prompts_that_show_numbers_of_ones_own(self):
        made = world(shown={"hue": [(0.7, 0.4), (0.5, 0.6), (0.3, 0.4)]})
        assert dict(made.columns) == {"hue": slice(0, 2), "light": slice(2, 4)}
        prompt = torch.tensor([0.3, 0.4, 0.0, 1.0])
        torch.testing.assert_close(made.class_mean("21"), prompt)
        _, z = border.draw(made, "21", 2, generator(0, "x"))
        torch.testing.assert_close(z, prompt.expand(2, -1))
        assert made.recipe(0.1) == world().recipe(0.1)  # the same images, so the same probe

    def test_numbers_of_ones_own_are_exaggerated_away_from_the_middle(self):
        made = world(shown={"hue": [(0.7, 0.4), (0.5, 0.6), (0.3, 0.4)]})
        settings = Overprompting(made, "hue", [2.0, 9.0]).settings("11")
        shown = {s: ask(None, made.class_mean("11")[None])[1][0] for s, ask in settings.items()}
        torch.testing.assert_close(shown["2"], torch.tensor([0.5, 0.7, 0.0, 1.0]))
        torch.testing.assert_close(shown["9"], torch.tensor([0.5, 1.0, 0.0, 1.0]))

    @pytest.mark.parametrize(
        ("shown", "message"),
        [
            (
                {"shape": [(1.0,), (0.0,)]},
                "prompts cannot show 'shape'; the concepts are hue, light",
            ),
            ({"light": [(0.2,)]}, "light has 2 labels and 1 means"),
            ({"light": [(0.2,), (0.2, 0.3)]}, "have 1, 2 numbers"),
            ({"light": [(0.2,), (1.5,)]}, r"outside \[0, 1\]"),
            ({"light": [(0.2,), (0.2,)]}, "overlap"),
        ],
    )
    def test_numbers_that_do_not_fit_are_refused(self, shown, message):
        with pytest.raises(UserError, match=message):
            world(shown=shown)

    def test_prompts_of_an_encoder(self):
        made = world(encode=lambda words: torch.tensor([float(len(w)) for w in words] + [1.0]))
        assert made.class_mean("11").tolist() == [5.0, 1.0, 1.0]
        assert dict(made.columns) == {"prompt": slice(0, 3)}
        with pytest.raises(UserError, match=r"the encoder gives \(1, 1, 2\) for"):
            world(encode=lambda words: torch.zeros(1, 1, 2))
        with pytest.raises(UserError, match="pad prompts to one length"):
            world(encode=lambda words: torch.zeros(len(words[0])))

    def test_images_of_given_rows_are_read_once(self):
        found, asked = columns(), []

        def read(rows):
            asked.append(rows)
            return painted(found)[rows]

        made = ArrayWorld(read, found, names={"hue": HUES}, held_out=["11"], per_class=2)
        (rows,) = asked
        assert len(rows) == 10
        whole = world(per_class=2)
        assert all(torch.equal(pool, whole.pools[name]) for name, pool in made.pools.items())


REFUSED = [
    (lambda x: x.astype(np.int64), {}, "int64: they are bytes"),
    (lambda x: x.astype(np.float32), {}, r"not \[0, 1\] \(divide bytes by 255\)"),
    (lambda x: np.where(x > 100, np.nan, x / 255), {}, "nan"),
    (lambda x: (x > 100).astype(np.uint8), {}, "multiply them by 255"),
    (lambda x: x[..., :2], {}, "1, 3 or 4 channels"),
    (lambda x: x[0], {}, "has the shape"),
    (lambda x: x[:0], {}, "there are none"),
    (lambda x: [x[0], x[1, :4]], {}, "images of different sizes"),
    (lambda x: x[:-1], {}, "there are 29 images"),
    (lambda x: x, {"held_out": ["11", "11"]}, "listed twice"),
    (lambda x: x, {"train": ["00", "11"], "held_out": ["11"]}, "listed twice"),
    (lambda x: x, {"train": ["20"]}, "no image of the training class 20"),
    (lambda x: x, {"held_out": ["31"]}, "has value 3 of hue"),
    (lambda x: x, {"held_out": ["00", "01", "10", "11", "21"]}, "at least one training class"),
    (lambda x: x, {"per_class": 7}, "6 images of class 00"),
]


@pytest.mark.parametrize(("change", "options", "message"), REFUSED)
def test_what_is_refused(change, options, message):
    found = columns()
    with pytest.raises(UserError, match=message) as error:
        ArrayWorld(change(painted(found)), found, names={"hue": HUES}, **options)
    assert "\n" not in str(error.value)


def write_folder(root: Path, table: str = "") -> dict[str, list]:
    found = columns()
    files = []
    for i, image in enumerate(painted(found)):
        hue, light = found["hue"][i], found["light"][i]
        files.append(f"{i}.png" if table else f"{hue}/{light}/{i}.png")
        (root / files[-1]).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(root / files[-1])
    frame = pd.DataFrame({"picture": files, **found})
    if table.endswith(".csv"):
        frame.to_csv(root / table, index=False)
    elif table:
        frame.to_parquet(root / table)
    return found


@pytest.mark.parametrize("table", ["", "attributes.csv", "attributes.parquet"])
def test_a_folder_gives_the_world_of_its_arrays(tmp_path: Path, table: str):
    write_folder(tmp_path, table)
    factors = () if table else ("hue", "light")
    options = {"table": table, "file": "picture", "names": {"hue": HUES}, "held_out": ["11"]}
    made = FolderWorld(tmp_path, factors, resolution=8, **options)
    expected = world()
    assert made.space == expected.space
    for name, pool in expected.pools.items():
        assert sorted(made.pools[name].flatten(1).tolist()) == sorted(pool.flatten(1).tolist())
    assert made.provenance()["root"] == str(tmp_path)


def test_hidden_files_and_folders_are_no_pictures(tmp_path: Path):
    root = tmp_path / ".data" / "pictures"
    root.mkdir(parents=True)
    found = write_folder(root)
    hue, light = found["hue"][0], found["light"][0]
    picture = root / f"{hue}/{light}/0.png"
    before = FolderWorld(root, ["hue", "light"], resolution=8)
    for place in (f".ipynb_checkpoints/{light}", f"{hue}/.ipynb_checkpoints", f"{hue}/{light}"):
        (root / place).mkdir(parents=True, exist_ok=True)
        (root / place / ".thumb.png").write_bytes(b"no picture")
        (root / place / "._0.png").write_bytes(b"no picture")
        shutil.copy(picture, root / place / ".copy.png")
    after = FolderWorld(root, ["hue", "light"], resolution=8)
    assert after.space == before.space
    assert {c: len(p) for c, p in after.pools.items()} == {
        c: len(p) for c, p in before.pools.items()
    }


def test_what_is_no_folder_of_pictures(tmp_path: Path):
    for options, message in (
        ({}, "name what the subfolders"),
        ({"factors": ("hue",)}, "holds no pictures 1 folders deep"),
        ({"table": "no.csv"}, "cannot be read as a table"),
    ):
        with pytest.raises(UserError, match=message):
            FolderWorld(tmp_path, resolution=8, **options)
    with pytest.raises(UserError, match="is not a folder"):
        FolderWorld(tmp_path / "none", resolution=8)
    write_folder(tmp_path, "a.csv")
    with pytest.raises(UserError, match="no column 'file'; it has picture, hue, light"):
        FolderWorld(tmp_path, resolution=8, table="a.csv")
    (tmp_path / "3.png").write_bytes(b"no picture")
    with pytest.raises(UserError, match=r"3\.png is no picture"):
        FolderWorld(tmp_path, resolution=8, table="a.csv", file="picture")
    (tmp_path / "3.png").unlink()
    os.mkfifo(tmp_path / "3.png")  # reading it would wait for ever
    with pytest.raises(UserError, match=r"3\.png is no picture .* not a regular file"):
        FolderWorld(tmp_path, resolution=8, table="a.csv", file="picture")
    (tmp_path / "3.png").unlink()
    (tmp_path / "3.png").symlink_to("3.png")
    with pytest.raises(UserError, match=r"cannot read the picture .*3\.png: Too many levels"):
        FolderWorld(tmp_path, resolution=8, table="a.csv", file="picture")


@pytest.mark.parametrize("named", [True, False])
def test_a_file_of_sprites(tmp_path: Path, named: bool):
    path = write_sprites(tmp_path / "sprites.npz", per_class=4, named=named)
    if not named:
        with pytest.raises(UserError, match="name them in an array latents_names"):
            read_arrays(path, ("shape",))
        return
    names = {"shape": ["square", "ellipse", "cross"]}
    made = read_arrays(path, ("shape", "scale"), names=names, held_out="paper")
    assert made.space.train_classes == ("00", "01", "10", "20")
    assert made.space.ood_classes == ("11", "21")
    assert made.pools["00"].unique().tolist() == [0, 255]
    assert made.pools["00"].float().mean() > 2 * made.pools["01"].float().mean()
    with pytest.raises(UserError, match="color has 1 value"):
        read_arrays(path)
    with pytest.raises(UserError, match="no column 'size'; it has color, shape, scale"):
        read_arrays(path, ("size",))


def test_a_file_of_arrays_and_what_is_none(tmp_path: Path):
    found = columns()
    path = tmp_path / "mine.npz"
    pickled = np.array([{"a": 1}], dtype=object)
    np.savez(path, images=painted(found), **found, metadata=pickled, extra=np.zeros(3))
    assert read_arrays(path, names={"hue": HUES}, held_out=["11"]).space == world().space
    np.savez(path, pictures=painted(found))
    with pytest.raises(UserError, match="no array images or imgs; it has pictures"):
        read_arrays(path)
    np.savez(path, images=painted(found))
    with pytest.raises(UserError, match="no column of values"):
        read_arrays(path)
    for content in (b"", b"text", path.read_bytes()[:500]):
        path.write_bytes(content)
        with pytest.raises(UserError, match="cannot be read as a file of arrays"):
            read_arrays(path)
    with pytest.raises(UserError, match="cannot be read as a file of arrays"):
        read_arrays(tmp_path / "none.npz")


def test_a_picture_that_a_table_lists_twice_is_refused(tmp_path: Path):
    Image.new("RGB", (8, 8)).save(tmp_path / "1.png")
    (tmp_path / "a.csv").write_text("file,hue\n1.png,red\n1.png,blue\n")
    with pytest.raises(UserError, match=r"a\.csv lists 1\.png twice"):
        FolderWorld(tmp_path, resolution=8, table="a.csv")


def test_a_column_of_a_file_that_cannot_be_taken_is_named(tmp_path: Path):
    found = columns()
    path = tmp_path / "mine.npz"
    upright = {name: np.array(values)[:, None] for name, values in found.items()}
    np.savez(path, images=painted(found), **upright)
    assert read_arrays(path, names={"hue": HUES}, held_out=["11"]).space == world().space
    objects = np.array(found["hue"], dtype=object)
    np.savez(path, images=painted(found), light=found["light"], hue=objects)
    with pytest.raises(UserError, match=r"hue is pickled.*hue\.astype\(str\), or name the col"):
        read_arrays(path)
    with pytest.raises(UserError, match=r"hue is pickled.*hue\.astype\(str\)$"):
        read_arrays(path, ["hue", "light"])
    assert read_arrays(path, ["light"]).space.names == ("light",)
    np.savez(path, images=painted(found), light=found["light"], hue=np.zeros((30, 3)))
    with pytest.raises(UserError, match=r"hue has the shape \(30, 3\), and there are 30 images"):
        read_arrays(path, ["hue", "light"])


@pytest.mark.parametrize("kind", ["I;16", "I;16B"])
def test_pictures_of_16_bits_in_a_data_set_are_not_cut(kind: str):
    grey = np.repeat(np.arange(8, dtype=np.uint8) * 30, 64).reshape(8, 8, 8)
    order = ">u2" if kind.endswith("B") else "<u2"
    deep = [Image.frombytes(kind, (8, 8), (g.astype(order) * 257).tobytes()) for g in grey]
    pairs = [(picture, index % 2) for index, picture in enumerate(deep)]
    made = from_torch(pairs, lambda target: {"odd": target}, resolution=8)
    assert torch.cat([*made.pools.values()]).float().mean() == pytest.approx(grey.mean(), abs=0.5)
    floating = [(Image.fromarray(g / np.float32(255)), i % 2) for i, g in enumerate(grey)]
    with pytest.raises(UserError, match=r"item 0: its values have no known range \(mode F"):
        from_torch(floating, lambda target: {"odd": target}, resolution=8)


def test_a_file_of_3d_shapes(tmp_path: Path):
    h5py = pytest.importorskip("h5py")
    path = tmp_path / "3dshapes.h5"
    found = columns()
    labels = np.zeros((30, 6))
    labels[:, 2] = [HUES.index(h) / 10 for h in found["hue"]]
    labels[:, 4] = found["light"]
    with h5py.File(path, "w") as file:
        file["images"], file["labels"] = painted(found), labels
    names = {"object_hue": {0: "red", 0.1: "green", 0.2: "blue"}}
    made = read_arrays(path, ("object_hue", "shape"), names=names, held_out=["11"], per_class=3)
    assert made.space.describe("21") == "blue 1"
    assert {len(pool) for pool in made.pools.values()} == {3}
    assert made.pools["21"][0, :, 0, 1].tolist() == list(PAINT["blue"])
    with h5py.File(path, "w") as file:
        file["images"] = painted(found)
    with pytest.raises(UserError, match="no images and labels; it has images"):
        read_arrays(path)
    path.write_bytes(b"no HDF5")
    with pytest.raises(UserError, match="cannot be read as HDF5"):
        read_arrays(path)
    assert len(SHAPES_3D) == 6


def test_3d_shapes_without_h5py(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(__import__("sys").modules, "h5py", None)
    with pytest.raises(UserError, match=r"install it with: pip install 'conceptspace\[h5\]'"):
        read_arrays(tmp_path / "3dshapes.h5")


class Pairs(torch.utils.data.Dataset):
    """Pictures of two sizes with a number that stands for hue and light."""

    def __len__(self) -> int:
        return 30

    def __getitem__(self, index: int) -> tuple[Image.Image, int]:
        found = columns()
        side = 8 if index % 2 else 16
        target = HUES.index(found["hue"][index]) * 2 + found["light"][index]
        return Image.fromarray(painted(found, side)[index]), target


def test_a_torch_data_set():
    def factors(target: int) -> dict[str, object]:
        return {"hue": HUES[target // 2], "light": target % 2}

    made = from_torch(Pairs(), factors, resolution=8, names={"hue": HUES}, held_out=["11"])
    assert made.space == world().space
    assert made.pools["21"][0, :, 1, 4].tolist() == list(PAINT["blue"])
    with pytest.raises(UserError, match="item 0: the value of each concept"):
        from_torch(Pairs(), lambda target: target, resolution=8)


def rows() -> list[dict[str, object]]:
    found = columns()
    texts = [f"a {h} patch in light {v}" for h, v in zip(*found.values(), strict=True)]
    pictures = [Image.fromarray(image) for image in painted(found)]
    keys = ("image", "text", "hue", "light")
    return [
        dict(zip(keys, row, strict=True))
        for row in zip(pictures, texts, *found.values(), strict=True)
    ]


def test_a_data_set_of_rows_by_columns_and_by_caption():
    options = {"resolution": 8, "names": {"hue": HUES}, "held_out": ["11"]}
    by_columns = from_huggingface(rows(), ("hue", "light"), **options)
    by_caption = from_huggingface(
        rows(), lambda row: {"hue": row["text"].split()[1], "light": row["text"][-1]}, **options
    )
    assert by_columns.space == by_caption.space == world().space
    assert by_columns.digest == by_caption.digest == world().digest
    with pytest.raises(UserError, match="no column 'shape'; it has image, text, hue, light"):
        from_huggingface(rows(), ("shape",), **options)
    with pytest.raises(UserError, match="no column 'picture'"):
        from_huggingface(rows(), ("hue",), image="picture", **options)
    with pytest.raises(UserError, match="has no items"):
        from_huggingface([], ("hue",), resolution=8)


def test_the_real_library_by_columns_by_caption_and_by_class_label():
    datasets = pytest.importorskip("datasets")
    table = {key: [row[key] for row in rows()] for key in ("image", "text", "hue", "light")}
    features = datasets.Features(
        image=datasets.Image(),
        text=datasets.Value("string"),
        hue=datasets.ClassLabel(names=list(HUES)),
        light=datasets.Value("int64"),
    )
    real = datasets.Dataset.from_dict(table, features=features)
    options = {"resolution": 8, "names": {"hue": HUES}, "held_out": [("green", 1)]}
    by_caption = from_huggingface(
        real, lambda row: {"hue": row["text"].split()[1], "light": row["text"][-1]}, **options
    )
    by_columns = from_huggingface(real, ("hue", "light"), **options)
    assert by_columns.space == by_caption.space == world().space
    assert by_columns.digest == by_caption.digest == world().digest
    streamed = from_huggingface(real.to_iterable_dataset(), ("hue", "light"), **options)
    assert streamed.digest == world().digest
    with pytest.raises(UserError, match="no column 'shape'; it has image, text, hue, light"):
        from_huggingface(real, ("shape",), **options)
    unlabelled = real.map(lambda row: {"hue": -1 if row["light"] else row["hue"]})
    with pytest.raises(UserError, match="hue is -1 in some row, and its labels are red, green"):
        from_huggingface(unlabelled, ("hue", "light"), **options)
    splits = datasets.DatasetDict(train=real, test=real)
    with pytest.raises(UserError, match=r"has the splits train, test; choose one"):
        from_huggingface(splits, ("hue", "light"), **options)
