from __future__ import annotations

import pytest
import torch

from conceptspace.seeding import generator
from conceptspace.worlds.signal import class_distances, local_signal
from tiny import tiny_world


def test_only_the_concept_differs_between_the_images_compared():
    world = tiny_world(resolution=16)
    table = class_distances(world, samples=16, seed=2).set_index(["concept", "from_class"])
    z = world.sample("00", 16, generator(2, "signal", "00"))
    blue = z.clone()
    blue[:, 4:7] += torch.tensor([-0.4, 0.0, 0.4])
    small = z.clone()
    small[:, 7] -= 0.4
    for concept, moved in (("color", blue), ("size", small)):
        expected = (world.render(moved) - world.render(z)).square().mean().item()
        assert table.loc[(concept, "00"), "distance"] == pytest.approx(expected, rel=1e-5)


def test_every_edge_of_the_cube_once():
    table = class_distances(tiny_world(), samples=4)
    edges = set(zip(table["concept"], table["from_class"], table["to_class"], strict=True))
    assert len(table) == 4
    assert edges == {
        ("color", "00", "10"),
        ("color", "01", "11"),
        ("size", "00", "01"),
        ("size", "10", "11"),
    }
    assert (table["error"] > 0).all()


def test_distance_of_uniformly_colored_images():
    """A background that changes by d everywhere outside the object: d^2 times the area left."""
    world = tiny_world(
        concepts=["background", "size"], background_separation=0.4, resolution=16, edge_blur=0.0
    )
    z = world.sample("00", 64, generator(0, "signal", "00"))
    outside = 1 - world.mask(z).mean().item()
    table = class_distances(world, samples=64).set_index(["concept", "from_class"])
    assert table.loc[("background", "00"), "distance"] == pytest.approx(0.16 * outside, rel=1e-4)


def test_grows_with_the_separation():
    found = [
        class_distances(tiny_world(color_separation=s), samples=64)
        .groupby("concept")
        .distance.mean()
        for s in (0.2, 0.4, 0.8)
    ]
    assert found[0]["color"] < found[1]["color"] < found[2]["color"]
    assert found[1]["color"] == pytest.approx(4 * found[0]["color"], rel=0.05)


def test_local_signal_of_a_linear_map():
    matrix = torch.randn(11, 30, generator=torch.Generator().manual_seed(0))
    z = torch.randn(4, 11, generator=torch.Generator().manual_seed(1))
    found = local_signal(lambda z: (z @ matrix).view(-1, 3, 2, 5), z)
    torch.testing.assert_close(found, matrix.norm(dim=1).expand(4, -1), atol=1e-4, rtol=1e-4)


def test_local_signal_of_a_polynomial():
    z = torch.randn(5, 3, generator=torch.Generator().manual_seed(1)).double()

    def generate(z):
        return torch.stack([z[:, 0] ** 2, z[:, 0] * z[:, 1], z[:, 1] - 2 * z[:, 2]], dim=1)

    expected = torch.stack(
        [
            (4 * z[:, 0] ** 2 + z[:, 1] ** 2).sqrt(),
            (z[:, 0] ** 2 + 1).sqrt(),
            torch.full((5,), 2.0).double(),
        ],
        dim=1,
    )
    torch.testing.assert_close(local_signal(generate, z, step=1e-3), expected)


def test_local_signal_of_the_renderer():
    """The colour changes the object's pixels alone, by as much as itself."""
    world = tiny_world(resolution=16)
    z = world.class_mean("00")[None]
    signal = local_signal(world.render, z)
    mask = world.mask(z)
    assert signal[0, 4].item() == pytest.approx(mask.norm().item(), rel=1e-3)
    assert signal[0, 8].item() == pytest.approx((1 - mask).norm().item(), rel=1e-3)
