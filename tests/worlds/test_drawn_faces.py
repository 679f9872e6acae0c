"""Drawn faces: what their attributes change, and that they are treated as photographs are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from conceptspace.errors import UserError
from conceptspace.experiment import parts
from conceptspace.presentation.page import write_page
from conceptspace.seeding import generator
from conceptspace.store import Run
from conceptspace.worlds.faces.config import DrawnFacesData
from conceptspace.worlds.faces.drawing import SHARES, draw_face
from conceptspace.worlds.rendered import RenderedWorld
from conceptspace.worlds.world import World
from tiny import tiny_config, tiny_session

SIDE = 16


def effect(attribute: str, count: int = 60) -> float:
    """Squared distance of the mean face with an attribute from the one without, all else equal."""
    means = []
    for has in ([], [attribute]):
        rng = np.random.default_rng(3)
        means.append(np.mean([draw_face(has, rng, SIDE, SIDE) for _ in range(count)], axis=0))
    return float(np.square((means[1] - means[0]) / 255).mean())


def test_hair_and_hat_change_many_pixels_and_the_mouth_few() -> None:
    hair, hat, mouth = effect("Male"), effect("Wearing_Hat"), effect("Smiling")
    assert hair > 0.05
    assert hat > 0.015
    assert 0.002 < mouth < hat / 3


def test_pixels_are_means_of_finer_points() -> None:
    fine = draw_face(["Smiling"], np.random.default_rng(1), 8 * SIDE, 8 * SIDE).astype(float)
    small = draw_face(["Smiling"], np.random.default_rng(1), SIDE, SIDE).astype(float)
    means = fine.reshape(SIDE, 8, SIDE, 8, 3).mean((1, 3))
    assert np.abs(means - small).mean() < 4


@pytest.fixture(scope="module")
def faces() -> World:
    return parts.world(DrawnFacesData(resolution=SIDE, images_per_class=40))


def test_it_is_a_world_that_nothing_renders(faces: World) -> None:
    assert isinstance(faces, World)
    assert not isinstance(faces, RenderedWorld)
    assert faces.space.describe("11") == "Not Male Smiling"
    images, h = faces.draw("10", 5, generator(0))
    assert images.shape == (5, 3, SIDE, SIDE)
    assert h.tolist() == [[0, 1, 1, 0]] * 5


def test_an_attribute_and_its_negation_are_the_same_faces_in_other_classes() -> None:
    """Not_Male 1 has long hair, which darkens the lower corners beside the face."""
    asked = [("Not_Male", "Smiling"), ("Male", "Smiling")]
    worlds = [
        parts.world(DrawnFacesData(resolution=SIDE, images_per_class=40, attributes=names))
        for names in asked
    ]
    beside = [
        [world.pools[name][:, :, 9:13, 2].float().mean().item() for name in ("00", "10")]
        for world in worlds
    ]
    assert beside[0][0] > beside[0][1] + 40
    assert beside[1][0] < beside[1][1] - 40


def test_attributes_that_nobody_asks_for_vary() -> None:
    world = parts.world(DrawnFacesData(resolution=SIDE, images_per_class=200, attributes=("Male",)))
    mouths = world.pools["0"][:, 0, 11, 6:10].float().mean(1)
    assert mouths.std() > 3 * world.pools["0"][:, 0, 0, 0].float().std() / 200**0.5
    blue = world.pools["0"][:, 2].float() - world.pools["0"][:, 0].float()
    hats = (blue[:, 3, 6:10].mean(1) > 40).float().mean().item()
    assert 0.01 < hats < 3 * SHARES["Wearing_Hat"]


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        (("Male", "Smilng"), "no face is drawn with the attribute 'Smilng'.*did you mean Smiling"),
        (("Male", "Not_Male"), "names an attribute twice"),
    ],
)
def test_what_cannot_be_drawn_is_refused(attributes: tuple[str, ...], message: str) -> None:
    with pytest.raises(UserError, match=message):
        parts.world(DrawnFacesData(attributes=attributes))


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A tiny run that two probes judge."""
    config = tiny_config(
        data__kind="drawn-faces",
        data__images_per_class=20,
        probe__agreement=0.9,
        probe__channels=[8, 8],
        probe__images_per_class=10,
        probe__held_out_per_class=10,
        evaluate__protocols=("embedding-scaling",),
    )
    folder = tmp_path_factory.mktemp("drawn")
    session = tiny_session(folder / "run", config, folder / "probes")
    list(session.execute())
    return session.run


def test_the_page_says_what_decides_where_no_read_out_exists(done: Run, tmp_path: Path) -> None:
    texts = [finding.text for finding in write_page([done], tmp_path / "page.html")]
    (data,) = [text for text in texts if "drawn faces" in text]
    assert "drawn faces with the attributes Not_Male and Smiling, 8×8 pixels" in data
    (decides,) = [text for text in texts if text.startswith("No read-out exists")]
    judge, generated = done.information()["judge"], done.information()["probe_agreement"]
    for shares in (judge["agreement"], generated):
        shares_in_words = " and ".join(f"{100 * s:.1f} % ({n})" for n, s in shares.items())
        assert shares_in_words in decides
    assert "than 90 % of held-out ones are" in decides


def test_agreement_is_that_of_two_probes_on_all_generated_images(done: Run) -> None:
    scores = done.scores()
    assert scores["agreed"].isin([0.0, 1.0]).all()
    shares = scores.groupby("concept")["agreed"].mean()
    assert done.information()["probe_agreement"] == pytest.approx(shares.to_dict())
    both = scores.pivot_table(
        index=["protocol", "setting", "step", "concept_class", "sample"],
        columns="concept",
        values=["agreed", "valid"],
    )
    agreed = both["agreed"].min(axis=1)
    assert torch.tensor((both["valid"].max(axis=1) <= agreed).to_numpy()).all()
