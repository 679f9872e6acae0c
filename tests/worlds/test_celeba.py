"""The reader of CelebA folders, on generated faces in the same layout."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from conceptspace.errors import UserError
from conceptspace.experiment import parts
from conceptspace.seeding import generator
from conceptspace.worlds.conditioning import Conditioning
from conceptspace.worlds.dataset import split_dataset
from conceptspace.worlds.faces.attributes import attribute_concept, read_attributes
from conceptspace.worlds.faces.celeba import IMAGES, LIST, TABLE, CelebaWorld
from conceptspace.worlds.faces.config import CelebaData
from conceptspace.worlds.world import World
from faces import NAMES, face, write_folder

PER_CLASS = 6


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("celeba") / "data", PER_CLASS)


def world_of(folder: Path, cache: Path, **changes: object) -> CelebaWorld:
    settings = {"kind": "celeba", "root": str(folder), "resolution": 12, "images_per_class": 5}
    made = parts.world(CelebaData(**(settings | changes)))
    return replace(made, cache=cache)


@pytest.fixture
def world(root: Path, tmp_path: Path) -> CelebaWorld:
    return world_of(root, tmp_path)


def test_the_list_is_read(root: Path) -> None:
    attributes = read_attributes(root / LIST)
    assert attributes.names == NAMES
    assert attributes.files[0] == "000001.jpg"
    assert attributes.values.shape == (4 * PER_CLASS, 4)
    first = dict(zip(attributes.names, attributes.values[0], strict=True))
    assert first["Male"]
    assert first["Smiling"]
    bits = attributes.bits(("Not_Male", "Smiling"))
    assert bits[:4].tolist() == [[False, True], [True, True], [False, False], [True, False]]


def test_classes_are_those_of_the_paper(world: CelebaWorld) -> None:
    """00 male, not smiling; 11, held out, not male and smiling."""
    assert isinstance(world, World)
    assert world.space.train_classes == ("00", "01", "10")
    assert world.space.ood_classes == ("11",)
    assert world.space.describe("00") == "Male Not Smiling"
    assert world.space.describe("11") == "Not Male Smiling"
    for name, files in world.chosen.items():
        numbers = [int(file[:6]) - 1 for file in files]
        assert len(set(numbers)) == 5
        assert {(n % 2, int(n // 2 % 2 == 0)) for n in numbers} == {tuple(map(int, name))}


def test_prompts_are_one_hot_codes_of_four(world: CelebaWorld) -> None:
    assert world.class_mean("00").tolist() == [1, 0, 1, 0]
    assert world.class_mean("10").tolist() == [0, 1, 1, 0]
    conditioning = Conditioning(world.space.names, world.columns)
    h = conditioning(world.sample("01", 3, generator(0)))
    assert h.tolist() == [[1, 0, 0, 1]] * 3


def test_images_are_the_files_scaled_as_a_whole(world: CelebaWorld, root: Path) -> None:
    file = world.chosen["10"][0]
    with Image.open(root / IMAGES / file) as image:
        small = image.resize((12, 12), Image.Resampling.BILINEAR)
    expected = np.asarray(small).transpose(2, 0, 1)
    np.testing.assert_array_equal(world.pools["10"][0].numpy(), expected)
    images, h = world.draw("10", 5, generator(3))
    assert images.shape == (5, 3, 12, 12)
    assert h.shape == (5, 4)
    nearest = (images - torch.from_numpy(expected.copy()) / 255).abs().amax((1, 2, 3)).min()
    assert nearest == 0
    assert len({image.sum().item() for image in images}) == 5


def test_a_probe_is_tested_on_images_that_it_did_not_see(world: CelebaWorld) -> None:
    seen, bits = world.labelled("train", 3, 0.1)
    unseen, _ = world.labelled("held out", 2, 0.1)
    assert bits.tolist() == [list(b) for b in ((0, 0), (0, 1), (1, 0), (1, 1)) for _ in range(3)]
    distances = (seen[:, None] - unseen).abs().amax((2, 3, 4))
    assert distances.min() > 0


def test_the_split_holds_classes_in_equal_numbers(world: CelebaWorld) -> None:
    conditioning = Conditioning(world.space.names, world.columns)
    train, validation = split_dataset(
        world, conditioning, images_per_class=5, validation_share=0.2, seed=1
    )
    assert (len(train), len(validation)) == (12, 3)
    assert train.augmentation == world.augmentation
    assert validation.augmentation is None
    codes = [tuple(row) for row in train.h.long().tolist()]
    assert {code: codes.count(code) for code in codes} == {
        (1, 0, 1, 0): 4,
        (1, 0, 0, 1): 4,
        (0, 1, 1, 0): 4,
    }


def test_the_cache_is_used_and_keyed_by_content(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = write_folder(tmp_path / "copy", PER_CLASS)
    cache = tmp_path / "cache"
    first = world_of(root, cache).pools
    (kept,) = cache.glob("*.safetensors")

    def refuse(*_: object) -> None:
        raise AssertionError("an image was scaled again")

    with monkeypatch.context() as patched:
        patched.setattr(CelebaWorld, "_scaled", refuse)
        again = world_of(copy, cache)
        assert all(torch.equal(first[name], again.pools[name]) for name in first)
    changed = copy / IMAGES / again.chosen["11"][0]
    Image.fromarray(face(True, True, np.random.default_rng(9))).save(changed)
    other = world_of(copy, cache)
    assert other.digest != again.digest
    assert not torch.equal(first["11"], other.pools["11"])
    assert len(list(cache.glob("*.safetensors"))) == 2
    kept.write_bytes(kept.read_bytes()[:-9])
    assert torch.equal(world_of(root, cache).pools["00"], first["00"])


def test_provenance_tells_which_data(world: CelebaWorld, root: Path) -> None:
    provenance = world.provenance()
    assert provenance["root"] == str(root)
    assert provenance["available"] == dict.fromkeys(("00", "01", "10", "11"), PER_CLASS)
    assert (provenance["images"], provenance["per_class"], provenance["resolution"]) == (24, 5, 12)
    assert provenance["digest"] == world.digest


def test_any_attributes(root: Path, tmp_path: Path) -> None:
    attributes = ("Young", "Not_Eyeglasses")
    found = world_of(root, tmp_path, attributes=attributes, images_per_class=2)
    assert found.space.describe("01") == "Not Young Not Eyeglasses"
    values = read_attributes(root / LIST)
    rows = [values.files.index(file) for file in found.chosen["01"]]
    assert not values.values[rows][:, [NAMES.index("Young"), NAMES.index("Eyeglasses")]].any()


def as_table(text: str, separator: str = ",", quote: str = "") -> str:
    """The list as a mirror packs it: a line of names, then values with separators."""
    header, *rows = [line.split() for line in text.splitlines()[1:]]
    lines = [["image_id", *header], *rows]
    return "".join(separator.join(f"{quote}{part}{quote}" for part in row) + "\n" for row in lines)


FORMS = {
    "a byte order mark": (LIST, lambda text: "\ufeff" + text),
    "line ends of Windows": (LIST, lambda text: text.replace("\n", "\r\n")),
    "line ends of old": (LIST, lambda text: text.replace("\n", "\r")),
    "tabs and empty lines": (LIST, lambda text: text.replace(" ", "\t") + "\n\n"),
    "commas": (TABLE, as_table),
    "commas, quotes, all of Windows": (
        TABLE,
        lambda text: "\ufeff" + as_table(text, quote='"').replace("\n", "\r\n"),
    ),
    "semicolons": (TABLE, lambda text: as_table(text, ";")),
}


@pytest.mark.parametrize("form", FORMS)
def test_the_list_is_read_in_every_form(root: Path, tmp_path: Path, form: str) -> None:
    name, change = FORMS[form]
    (tmp_path / name).write_bytes(change((root / LIST).read_text()).encode())
    expected, found = read_attributes(root / LIST), read_attributes(tmp_path / name)
    assert found.names == expected.names
    assert found.files == expected.files
    np.testing.assert_array_equal(found.values, expected.values)


def test_a_folder_as_a_mirror_packs_it(root: Path, tmp_path: Path) -> None:
    """The list as a table, and the images one folder deeper."""
    packed = tmp_path / "packed"
    (packed / IMAGES).mkdir(parents=True)
    (packed / IMAGES / IMAGES).symlink_to(root / IMAGES)
    (packed / TABLE).write_text(as_table((root / LIST).read_text()))
    expected, found = world_of(root, tmp_path / "a"), world_of(packed, tmp_path / "b")
    assert found.chosen == expected.chosen
    assert found.digest == expected.digest
    assert torch.equal(found.pools["11"], expected.pools["11"])


def test_where_both_lists_are_there_the_one_given_out_counts(root: Path, tmp_path: Path) -> None:
    both = write_folder(tmp_path / "both", PER_CLASS)
    (both / TABLE).write_text("image_id,Smiling\nother.jpg,1\n")
    assert world_of(both, tmp_path / "cache").attributes.names == NAMES


def test_a_pipe_among_the_images_is_reported_and_not_waited_for(tmp_path: Path) -> None:
    piped = write_folder(tmp_path / "piped", 2)
    (piped / IMAGES / "000001.jpg").unlink()
    os.mkfifo(piped / IMAGES / "000001.jpg")
    with pytest.raises(UserError, match=r"000001\.jpg is not a regular file"):
        _ = world_of(piped, tmp_path / "cache", images_per_class=2).pools


def test_one_hot_concepts() -> None:
    concept = attribute_concept("5_o_Clock_Shadow")
    assert concept.labels == ("Not 5 o Clock Shadow", "5 o Clock Shadow")
    assert concept.mean(1).tolist() == [0, 1]


def broken(tmp_path: Path, change: Callable[[Path], object]) -> CelebaWorld:
    root = write_folder(tmp_path / "data", 2)
    change(root)
    return world_of(root, tmp_path / "cache", images_per_class=2)


def edited(old: str, new: str) -> Callable[[Path], object]:
    return lambda root: (root / LIST).write_text((root / LIST).read_text().replace(old, new, 1))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda root: (root / LIST).unlink(), r"cannot read the attributes .*: No such file"),
        (edited("8\n", "eight\n"), "does not begin as list_attr_celeba.txt does"),
        (edited("8\n", "9\n"), "announces 9 images and lists 8"),
        (edited("Male ", ""), "line 3: a file name and 3 values 1 or -1"),
        (edited(" 1", " 2"), "line 3: a file name and 4 values 1 or -1"),
        (edited("Smiling", "Smiling_"), "no attribute 'Smiling'; did you mean Smiling_?"),
        (lambda root: (root / LIST).write_bytes(b"\xff\xfe\x00"), "is not a text file in UTF-8"),
        (
            lambda root: (root / LIST).write_bytes(b""),
            "does not begin as list_attr_celeba.txt does",
        ),
        (edited("000002.jpg", "000001.jpg"), "lists 000001.jpg twice"),
        (edited("Young", "Male"), "names the attribute Male twice in line 2"),
        (
            lambda root: (root / LIST).write_text("image_id,Male,Smiling\n1.jpg,1\n"),
            "line 2: a file name and 2 values 1 or -1 belong there, one for each name in line 1",
        ),
        (
            lambda root: (root / IMAGES / "000003.jpg").unlink(),
            "names 000003.jpg, which is not in",
        ),
        (
            lambda root: (root / IMAGES / "000002.jpg").write_bytes(b"no image"),
            "000002.jpg is not an image that can be read",
        ),
        (
            lambda root: (root / IMAGES / "000002.jpg").write_bytes(
                (root / IMAGES / "000002.jpg").read_bytes()[:300]
            ),
            "000002.jpg is not an image that can be read",
        ),
    ],
)
def test_a_damaged_folder_is_refused_in_one_sentence(
    tmp_path: Path, change: Callable[[Path], object], message: str
) -> None:
    with pytest.raises(UserError, match=message) as raised:
        _ = broken(tmp_path, change).pools
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"root": ""}, "needs data.root"),
        ({"images_per_class": 7}, r"6 images of class 00 \(Male Not Smiling\).*asks for 7"),
        ({"attributes": ("Male", "Not_Male")}, "names an attribute twice"),
    ],
)
def test_impossible_settings(
    root: Path, tmp_path: Path, settings: dict[str, object], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        _ = world_of(root, tmp_path, **settings).pools


def test_what_needs_a_renderer_refuses(root: Path) -> None:
    with pytest.raises(UserError, match="images that can be rendered"):
        parts.rendered(CelebaData(root=str(root)))


def test_images_are_not_scaled_without_a_place_for_them(root: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="is a file; let CONCEPTSPACE_CACHE name a folder"):
        _ = world_of(root, tmp_path / "file" / "images").pools
