from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from conceptspace.errors import UserError
from conceptspace.space import ConceptSpace, all_classes, as_classes
from conceptspace.worlds.shapes import world as shapes
from conceptspace.worlds.shapes.world import COLUMNS, ShapesWorld, blur_matrix

SIX = (
    shapes.shape(),
    shapes.position("x", 0.5),
    shapes.position("y", 0.5),
    shapes.color(0.4),
    shapes.size(0.4),
    shapes.background(0.4),
)


def world(resolution=32, concepts=SIX, **settings):
    space = ConceptSpace(tuple(concepts), all_classes(len(concepts)), ())
    return ShapesWorld(space, resolution, **settings)


def vector(shape=0, x=0.0, y=0.0, color=(0.8, 0.2, 0.2), size=0.4, background=(0.9, 0.9, 0.9)):
    one_hot = [1.0 - shape, float(shape)]
    return torch.tensor([[*one_hot, x, y, *color, size, *background]])


def moments(mask: torch.Tensor) -> tuple[float, float, float]:
    """Area and centre of mass of a mask, in the units of z."""
    grid = torch.linspace(-1, 1, mask.shape[-1], dtype=torch.double)
    mask = mask.double()
    pixel = (grid[1] - grid[0]) ** 2
    total = mask.sum()
    x, y = (mask.sum(0) * grid).sum() / total, (mask.sum(1) * grid).sum() / total
    return float(total * pixel), float(x), float(y)


class TestGeometry:
    @pytest.mark.parametrize("size", [0.15, 0.25, 0.45])
    @pytest.mark.parametrize(("shape", "area"), [(0, math.pi), (1, 2 / math.sqrt(3) * math.pi)])
    def test_area(self, shape, area, size):
        """Single objects differ by what falls between pixels, their mean over places does not."""
        source = torch.Generator().manual_seed(0)
        z = vector(shape, size=size).repeat(100, 1)
        z[:, 2:4] = torch.rand(100, 2, generator=source) * 0.1
        areas = [moments(mask)[0] for mask in world(64).mask(z)]
        assert sum(areas) / 100 == pytest.approx(area * size**2, rel=0.006)
        assert areas == pytest.approx([area * size**2] * 100, rel=0.02 / size)

    @pytest.mark.parametrize("shape", [0, 1])
    @pytest.mark.parametrize("center", [(0.0, 0.0), (0.3, -0.2), (-0.35, 0.15)])
    @pytest.mark.parametrize("size", [0.2, 0.3])
    def test_center_of_mass(self, shape, center, size):
        """A triangle's lies a third of the height from its base, which is not at the center."""
        mask = world(64).mask(vector(shape, *center, size=size))[0]
        _, x, y = moments(mask)
        below = shape * (1 / 3 - math.sqrt(3) / 6) * shapes.TRIANGLE_SIDE * size
        pixel = 2 / 63
        assert (x, y) == pytest.approx((center[0], center[1] + below), abs=pixel / 2)

    def test_triangle_has_its_base_at_the_top_and_sides_of_slope_2(self):
        pixel = 2 / 255
        mask = world(256, edge_blur=0.0).mask(vector(1, size=0.5))[0]
        widths = mask.sum(1)
        rows = widths.nonzero().flatten()
        side = shapes.TRIANGLE_SIDE * 0.5
        y = -1 + rows * pixel
        assert side == pytest.approx(math.sqrt(4 * math.pi / math.sqrt(3)) * 0.5)
        assert y[0] == pytest.approx(-math.sqrt(3) / 6 * side, abs=pixel)
        assert widths[rows[0]] * pixel == pytest.approx(side, abs=2 * pixel)
        assert y[-1] == pytest.approx((1 - math.sqrt(3) / 6) * side, abs=2 * pixel)
        assert widths[rows[-1]] <= 2, "the tip is at the bottom"
        expected = side - (y - y[0])
        torch.testing.assert_close(widths[rows] * pixel, expected, atol=3 * pixel, rtol=0)
        torch.testing.assert_close(mask, mask.flip(1), msg="it is symmetric left to right")

    def test_circle_is_round(self):
        mask = world(33).mask(vector(0, size=0.5))[0]
        torch.testing.assert_close(mask, mask.T)
        torch.testing.assert_close(mask, mask.flip(0))

    def test_circle_radius(self):
        mask = world(65, edge_blur=0.0).mask(vector(0, size=0.5))[0]
        assert mask[32].sum() * 2 / 64 == pytest.approx(1.0, abs=2 / 64)

    @pytest.mark.parametrize("shape", [0, 1])
    def test_does_not_depend_on_resolution(self, shape):
        z = vector(shape, 0.1, -0.2, size=0.4)
        found = [moments(world(r).mask(z)[0]) for r in (32, 64, 128)]
        for other in found[:2]:
            assert other == pytest.approx(found[2], rel=0.06, abs=0.02)

    def test_neighbours_do_not_touch_each_other(self):
        z = torch.cat([vector(0, size=0.2), vector(1, 0.4, size=0.5), vector(0, size=0.3)])
        w = world(16)
        together, alone = w.render(z), torch.cat([w.render(row[None]) for row in z])
        torch.testing.assert_close(together, alone, atol=1e-6, rtol=0)


class TestImages:
    @given(st.integers(0, 2**31), st.sampled_from(all_classes(6)), st.sampled_from([4, 7, 16]))
    def test_values_lie_between_0_and_1(self, seed, concept_class, resolution):
        w = world(resolution, pixel_noise=0.2)
        source = torch.Generator().manual_seed(seed)
        images = w.render(w.sample(concept_class, 3, source), source)
        assert images.shape == (3, 3, resolution, resolution)
        assert images.min() >= 0
        assert images.max() <= 1

    @pytest.mark.parametrize("resolution", range(4, 65, 5))
    @pytest.mark.parametrize("shape", [0, 1])
    def test_every_resolution_shows_object_and_background(self, resolution, shape):
        image = world(resolution).render(vector(shape, size=0.6))[0]
        middle = resolution // 2
        assert image[:, middle, middle].tolist() == pytest.approx([0.8, 0.2, 0.2], abs=0.05)
        assert image[:, 0, 0].tolist() == pytest.approx([0.9] * 3, abs=0.02)

    def test_colors_inside_and_outside(self):
        image = world(32).render(vector(color=(0.1, 0.5, 0.7), background=(0.3, 0.6, 0.9)))[0]
        assert image[:, 16, 16].tolist() == pytest.approx([0.1, 0.5, 0.7], abs=1e-4)
        assert image[:, 0, 31].tolist() == pytest.approx([0.3, 0.6, 0.9], abs=1e-4)

    @pytest.mark.parametrize("concept", [c.name for c in SIX])
    def test_every_concept_changes_the_image(self, concept):
        w = world(16)
        index = w.space.names.index(concept)
        zero = "000000"
        other = zero[:index] + "1" + zero[index + 1 :]
        images = w.render(torch.stack([w.class_mean(zero), w.class_mean(other)]))
        assert (images[0] - images[1]).square().mean() > 1e-3

    def test_noise_has_the_given_sigma_and_follows_the_seed(self):
        w = world(32, pixel_noise=0.02)
        z = vector(color=(0.5, 0.4, 0.6), background=(0.5, 0.4, 0.6)).expand(40, -1)
        clean = w.render(z)
        noisy = w.render(z, torch.Generator().manual_seed(3))
        again = w.render(z, torch.Generator().manual_seed(3))
        other = w.render(z, torch.Generator().manual_seed(4))
        assert torch.equal(noisy, again)
        assert not torch.equal(noisy, other)
        residual = noisy - clean
        assert residual.std().item() == pytest.approx(0.02, rel=0.01)
        assert abs(residual.mean().item()) < 0.001
        pixels = residual.flatten(1)
        assert torch.corrcoef(pixels[:2])[0, 1].abs() < 0.1, "every image has noise of its own"

    def test_without_a_generator_there_is_no_noise(self):
        w = world(16, pixel_noise=0.5)
        assert torch.equal(w.render(vector()), w.render(vector()))


class TestBlur:
    @pytest.mark.parametrize("sigma", [0.0, 0.3, 1.0, 2.5])
    @pytest.mark.parametrize("resolution", [4, 9, 32])
    def test_constants_stay(self, resolution, sigma):
        torch.testing.assert_close(
            blur_matrix(resolution, sigma).sum(1), torch.ones(resolution), atol=1e-6, rtol=0
        )

    @pytest.mark.parametrize("sigma", [0.3, 0.5, 1.0, 1.5, 2.5])
    @pytest.mark.parametrize("resolution", [4, 9, 16, 32])
    def test_is_that_of_scipy_with_mirrored_borders(self, resolution, sigma):
        """Random masks have objects at every border and in every corner."""
        source = torch.Generator().manual_seed(resolution)
        blur = blur_matrix(resolution, sigma)
        for _ in range(5):
            mask = (torch.rand(resolution, resolution, generator=source) < 0.5).float()
            mask[0], mask[:, -1] = 1.0, 1.0
            expected = gaussian_filter(mask.double().numpy(), sigma, mode="reflect")
            found = (blur @ mask @ blur.T).double()
            torch.testing.assert_close(found, torch.from_numpy(expected), atol=1e-6, rtol=0)

    @pytest.mark.parametrize("shape", [0, 1])
    def test_objects_that_leave_the_image_are_blurred_as_by_scipy(self, shape):
        z = torch.cat([vector(shape, *at, size=0.5) for at in ((0.9, 0.0), (-0.8, 0.8), (0, -0.9))])
        sharp, soft = world(32, edge_blur=0.0).mask(z), world(32).mask(z)
        for before, after in zip(sharp, soft, strict=True):
            assert before[[0, -1]].any() or before[:, [0, -1]].any()
            expected = gaussian_filter(before.double().numpy(), 1.0, mode="reflect")
            torch.testing.assert_close(
                after.double(), torch.from_numpy(expected), atol=1e-6, rtol=0
            )

    def test_mass_stays_even_at_the_border(self):
        torch.testing.assert_close(blur_matrix(9, 1.5).sum(0), torch.ones(9))

    def test_mass_in_the_interior_stays(self):
        blur = blur_matrix(33, 1.5)
        spike = torch.zeros(33)
        spike[16] = 1.0
        assert (blur @ spike).sum().item() == pytest.approx(1, abs=1e-6)

    def test_is_a_gaussian_of_sigma(self):
        blurred = blur_matrix(65, 2.0)[32]
        offsets = torch.arange(65) - 32
        variance = (blurred * offsets.square()).sum().item()
        assert variance == pytest.approx(4.0, rel=0.01)
        assert (blurred[33] / blurred[32]).item() == pytest.approx(math.exp(-1 / 8), rel=1e-4)

    def test_sigma_belongs_to_the_resolution(self):
        """One pixel of 32, two of 64: the edge has the same width in units of the image."""
        widths = []
        for resolution in (32, 64, 128):
            row = world(resolution).mask(vector(size=0.5))[0, resolution // 2]
            partly = (row > 0.1) & (row < 0.9)
            widths.append(partly.sum().item() / resolution)
        assert widths[1] == pytest.approx(widths[0], abs=2 / 32)
        assert widths[2] == pytest.approx(widths[1], abs=2 / 64)
        sharp = world(128, edge_blur=0.25).mask(vector(size=0.5))[0, 64]
        assert ((sharp > 0.1) & (sharp < 0.9)).sum().item() / 128 < widths[2] / 2


class TestSampling:
    def test_classes_and_nuisances_lie_where_the_config_says(self):
        w = world(8, concepts=(shapes.color(0.4), shapes.size(0.4)), position_range=0.25)
        z = w.sample("01", 2000, torch.Generator().manual_seed(0))
        assert torch.equal(z[:, :2], torch.tensor([1.0, 0.0]).expand(2000, 2))
        for axis in ("x", "y"):
            v = z[:, COLUMNS[axis]]
            assert v.abs().max() <= 0.25
            assert v.std().item() == pytest.approx(0.25 / 3**0.5, rel=0.05)
        color = z[:, COLUMNS["color"]] - torch.tensor([0.7, 0.3, 0.3])
        assert color.abs().max() <= 0.05 + 1e-6
        size = z[:, COLUMNS["size"]]
        assert size.min() >= 0.1 - 1e-6
        assert size.max() <= 0.4 + 1e-6
        back = z[:, COLUMNS["background"]]
        assert back.min() >= 0.8
        assert back.max() <= 1.0
        varying = z[:, [2, 3, 4, 5, 6, 7, 8, 9, 10]]
        correlations = torch.corrcoef(varying.T) - torch.eye(9)
        assert correlations.abs().max() < 0.1, "all variables are independent"

    def test_class_mean_is_the_mean_of_its_samples(self):
        for concepts in (SIX, (shapes.size(0.3),)):
            w = world(8, concepts=concepts)
            name = "101101"[: len(concepts)]
            z = w.sample(name, 4000, torch.Generator().manual_seed(1))
            torch.testing.assert_close(z.mean(0), w.class_mean(name), atol=0.03, rtol=0)

    def test_with_class_leaves_nuisances(self):
        w = world(8, concepts=(shapes.color(0.4), shapes.size(0.4)))
        z = w.sample("00", 5, torch.Generator().manual_seed(1))
        before = z.clone()
        moved = w.with_class(z, "11")
        assert torch.equal(z, before)
        kept = [0, 1, 2, 3, 8, 9, 10]
        assert torch.equal(moved[:, kept], z[:, kept])
        torch.testing.assert_close(moved[0, 4:8], torch.tensor([0.3, 0.3, 0.7, 0.25]))

    def test_an_unknown_concept_is_refused(self):
        from conceptspace.space import Concept

        hue = Concept("hue", ("a", "b"), ((0.0,), (1.0,)))
        space = ConceptSpace((hue,), as_classes(("0",)), ())
        with pytest.raises(UserError, match="no concept 'hue'"):
            ShapesWorld(space)
