"""Concepts of one's own under the names of the shapes world are taken as they are."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest
import torch

from conceptspace.judges.judge import ShapesJudge
from conceptspace.judges.probe import ProbeSettings, load_or_train
from conceptspace.protocols.intervention import LatentIntervention
from conceptspace.space import Concept, ConceptSpace, all_classes
from conceptspace.worlds.shapes import world as shapes
from conceptspace.worlds.shapes.world import COLUMNS, ShapesWorld, widest
from own_world import HUE, OwnWorld

GREEN_VIOLET = Concept("color", ("green", "violet"), ((0.2, 0.7, 0.3), (0.6, 0.2, 0.8)), 0.05)


def as_it_was(name: str, margin: float) -> tuple[tuple[tuple[float, ...], ...], float]:
    """Means and spread of the built-in concepts' widest classes before they followed the means."""
    separation = (1 + margin) / 2
    spread = (1 - margin) / 4 / separation
    if name == "size":
        separation = 2 * (0.45 - 0.1) * separation
        return ((0.45 + separation / 2,), (0.45 - separation / 2,)), spread * separation
    if name in ("x", "y"):
        return ((-separation / 2,), (separation / 2,)), spread * separation
    high, low = 0.5 + separation / 2, 0.5 - separation / 2
    if name == "color":
        return ((high, low, low), (low, low, high)), spread * separation
    return ((high,) * 3, (low,) * 3), spread * separation


MAKERS = {
    "color": shapes.color,
    "size": shapes.size,
    "background": shapes.background,
    "x": lambda *settings: shapes.position("x", *settings),
    "y": lambda *settings: shapes.position("y", *settings),
}


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("margin", [0.05, 0.1, 0.3, 0.5])
@pytest.mark.parametrize("separation", [0.1, 0.15, 0.2, 0.25, 0.3, 0.37, 0.4])
@pytest.mark.parametrize("spread", [1 / 8, 0.25, 3 / 8])
def test_built_in_concepts_keep_the_bytes_of_their_widest_classes(name, margin, separation, spread):
    concept = MAKERS[name](separation, spread)
    means, wide = as_it_was(name, margin)
    found = widest(concept, margin)
    assert (found.means, found.spread) == (means, wide)
    assert asdict(found) == asdict(concept) | {"means": means, "spread": wide}


def test_a_shape_stays_as_it_is():
    assert widest(shapes.shape(), 0.1) == shapes.shape()


OWN = {
    "green or violet": GREEN_VIOLET,
    "two greens": Concept("color", ("dark", "light"), ((0.1, 0.5, 0.1), (0.2, 0.9, 0.2)), 0.02),
    "both above the center": Concept(
        "background", ("grey", "white"), ((0.6,) * 3, (0.9,) * 3), 0.05
    ),
    "large sizes": Concept("size", ("small", "large"), ((0.4,), (0.9,)), 0.05, (0.1, 1.0), 0.45),
    "on the right": Concept("x", ("left", "right"), ((0.2,), (0.8,)), 0.05, (-1.0, 1.0), 0.0),
    "without spread": Concept("background", ("a", "b"), ((0.4, 0.2, 0.1), (0.3, 0.2, 0.6))),
}


@pytest.mark.parametrize("concept", OWN.values(), ids=OWN)
def test_the_widest_classes_follow_the_concept(concept):
    """Same labels and order; values inside the limits; own samples on the side of their class."""
    wide = widest(concept, 0.1)
    assert wide.labels == concept.labels
    assert wide.spread >= concept.spread
    source = torch.Generator().manual_seed(0)
    for bit in (0, 1):
        values = wide.sample(bit, 200, source)
        assert values.min() >= concept.limits[0] - 1e-6
        assert values.max() <= concept.limits[1] + 1e-6
        for axis in (wide, concept):
            for drawn in (values, concept.sample(bit, 200, source)):
                assert ((axis.coordinate(drawn) > 0.5) == bool(bit)).all()
    for k, (zero, one) in enumerate(zip(*concept.means, strict=True)):
        if zero != one:
            assert (wide.means[0][k] < wide.means[1][k]) == (zero < one)


def world_of(*concepts: Concept, resolution: int = 12) -> ShapesWorld:
    space = ConceptSpace(concepts, all_classes(len(concepts)), ())
    return ShapesWorld(space, resolution=resolution, position_range=0.1)


def test_a_probe_tells_green_from_violet(tmp_path: Path):
    world = world_of(GREEN_VIOLET)
    settings = ProbeSettings(
        channels=(8,), features=8, images_per_class=64, held_out_per_class=32, steps=60,
        learning_rate=1e-2,
    )  # fmt: skip
    trained = load_or_train(world, settings, torch.device("cpu"), tmp_path)
    for bit, name in enumerate(("0", "1")):
        images, _ = world.draw(name, 32, torch.Generator().manual_seed(3))
        right = (trained.probe.coordinates(images)[:, 0] > 0.5) == bool(bit)
        assert right.float().mean() > 0.9


def test_the_judge_sees_two_colors_in_one_object_along_the_axis_of_the_concept():
    """Half cyan, half yellow: blue minus red is the same in magenta and green, not here."""
    concept = Concept("color", ("magenta", "green"), ((0.6, 0.1, 0.6), (0.1, 0.6, 0.1)), 0.02)
    world = world_of(concept, resolution=16)
    source = torch.Generator().manual_seed(0)
    z = world.sample("0", 32, source)
    other = z.clone()
    other[:, COLUMNS["color"]] = concept.mean(1)
    left = torch.linspace(-1, 1, 16)[None] < z[:, COLUMNS["x"]]
    mixed = torch.where(left[:, None, None], world.render(z), world.render(other))
    judge = ShapesJudge(world)
    assert judge(world.render(z)).valid.all()
    assert not judge(mixed).valid.any()


def test_the_judge_reads_sizes_beyond_those_of_the_paper():
    world = world_of(OWN["large sizes"], resolution=16)
    z = world.class_mean("1")[None]
    judged = ShapesJudge(world)(world.render(z))
    assert judged.valid.all()
    fitted = ShapesJudge(world).readout(world.render(z)).z[:, COLUMNS["size"]].item()
    assert fitted == pytest.approx(0.9, abs=0.03)


@pytest.mark.parametrize(
    ("concept", "expected"),
    [
        (Concept("size", ("few", "many"), ((20.0,), (80.0,)), 5.0, (0.0, 100.0), 50.0), 95.0),
        (Concept("size", ("thin", "thick"), ((0.3,), (0.7,)), 0.05), 0.95),
        (Concept("weight", ("light", "heavy"), ((2.0,), (6.0,)), 1.0, (0.0, 8.0), 4.0), 7.6),
    ],
)
def test_an_intervention_goes_as_far_as_the_concepts_own_limits_let_it(concept, expected):
    protocol = LatentIntervention(OwnWorld((concept, HUE)), concept.name, "hue", (1.0,), (1.0,))
    assert protocol._prompt(concept.name, 1)[0, 0].item() == pytest.approx(expected)


@pytest.mark.parametrize(
    ("concept", "order", "expected"),
    [
        (shapes.size(0.4), "published", 0.3),
        (shapes.size(0.4), "text", 0.2),
        (shapes.color(0.4), "published", 0.95),
        (shapes.background(0.4), "text", 0.05),
        (shapes.position("x", 0.5), "published", 0.45),
    ],
)
def test_interventions_on_built_in_concepts_stay_where_they_were(concept, order, expected):
    names = (concept, shapes.shape())
    world = ShapesWorld(ConceptSpace(names, all_classes(2)[:3], all_classes(2)[3:]), resolution=8)
    protocol = LatentIntervention(world, concept.name, "shape", (1.0,), (1.0,), order)
    value = protocol._prompt(concept.name, 1)[0, COLUMNS[concept.name]]
    assert value[-1].item() == pytest.approx(expected, abs=1e-6)


def test_a_number_that_both_values_share_at_the_center_stays_there():
    concept = Concept("color", ("red", "blue"), ((0.7, 0.5, 0.3), (0.3, 0.5, 0.7)), 0.05)
    assert [mean[1] for mean in widest(concept, 0.1).means] == [0.5, 0.5]


def test_a_probe_sees_positions_as_far_out_as_those_that_are_asked_of_it():
    wide = widest(Concept("y", ("top", "bottom"), ((-0.9,), (0.9,)), 0.05, (-1.0, 1.0), 0.0), 0.1)
    assert wide.means[1][0] + wide.spread == pytest.approx(0.9)
