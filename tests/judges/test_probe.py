from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import jaxtyping
import numpy as np
import pytest
import torch
from filelock import FileLock
from hypothesis import given
from hypothesis import strategies as st

from conceptspace.errors import UserError
from conceptspace.judges import probe as probes
from conceptspace.judges.probe import (
    Probe,
    ProbeSettings,
    ProbeStopped,
    calibration_error,
    load_or_train,
    train_probe,
)
from conceptspace.presets import quick
from conceptspace.worlds.arrays import ArrayWorld
from conceptspace.worlds.shapes.building import concept as concept_of
from conceptspace.worlds.shapes.world import widest, widest_world
from tiny import CPU, tiny_config, tiny_world

TINY = ProbeSettings(
    channels=(8,), features=8, images_per_class=8, held_out_per_class=8, steps=2, batch_size=4
)


@pytest.mark.parametrize("cached", [False, True])
def test_images_that_are_there_are_not_judged_by_where_they_were_trained_on(tmp_path, cached):
    images = np.random.default_rng(0).random((30, 3, 8, 8), np.float32)
    world = ArrayWorld(images, {"hue": ["red"] * 15 + ["blue"] * 15})
    if cached:  # by a version that did not look
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(ArrayWorld, "require_apart", lambda *_: None)
            train_probe(world, TINY, cache=tmp_path)
    with pytest.raises(UserError, match=r"take 8 \+ 8 of the 15 images of class 0; ask for fewer"):
        train_probe(world, TINY, cache=tmp_path)
    with pytest.raises(UserError, match=r"take 8 \+ 8 of the 15 images"):
        probes.fit(world, TINY, CPU)
    train_probe(world, replace(TINY, held_out_per_class=7), cache=tmp_path)


class TestCalibration:
    def test_by_hand(self):
        """Bin of 0.9: two images, one right, gap 0.4; bin of 0.6: one, right, gap 0.4."""
        confidence = torch.tensor([0.90, 0.90, 0.60])
        right = torch.tensor([1.0, 0.0, 1.0])
        assert calibration_error(confidence, right) == pytest.approx((2 * 0.4 + 0.4) / 3)

    def test_of_a_perfect_and_of_a_boasting_classifier(self):
        sure = torch.ones(10)
        assert calibration_error(sure, torch.ones(10)) == 0
        assert calibration_error(sure, torch.zeros(10)) == 1

    def test_errors_of_one_bin_cancel_and_of_two_do_not(self):
        together = torch.tensor([0.7, 0.7])
        assert calibration_error(together, torch.tensor([1.0, 0.0])) == pytest.approx(0.2)
        apart = torch.tensor([0.55, 0.95])
        found = calibration_error(apart, torch.tensor([1.0, 0.0]))
        assert found == pytest.approx((0.45 + 0.95) / 2)


class TestWidest:
    @given(st.sampled_from(["color", "size", "background", "x", "y"]), st.floats(0.01, 0.9))
    def test_classes_do_not_overlap(self, name, margin):
        concept = widest(concept_of(name, tiny_config().data), margin)
        source = torch.Generator().manual_seed(0)
        zero, one = (concept.coordinate(concept.sample(bit, 500, source)) for bit in (0, 1))
        assert zero.max() < 0.5 < one.min()
        values = torch.cat([concept.sample(bit, 500, source) for bit in (0, 1)])
        low, high = concept.limits
        assert values.min() >= low - 1e-6
        assert values.max() <= high + 1e-6

    @pytest.mark.parametrize(
        ("name", "field", "separations"),
        [
            ("color", "color_separation", (0.1, 0.8)),
            ("size", "size_separation", (0.1, 0.4)),
            ("background", "background_separation", (0.2, 0.6)),
            ("x", "position_separation", (0.2, 0.9)),
        ],
    )
    def test_does_not_depend_on_the_separation(self, name, field, separations):
        found = [
            widest(concept_of(name, tiny_config(**{f"data__{field}": s}).data), 0.1)
            for s in separations
        ]
        assert found[0] == found[1]

    @pytest.mark.parametrize(
        ("name", "low", "high"),
        [
            ("color", 0.0, 1.0),
            ("size", 0.1, 0.8),
            ("background", 0.0, 1.0),
            ("x", -0.5, 0.5),
            ("y", -0.5, 0.5),
        ],
    )
    @pytest.mark.parametrize("margin", [0.01, 0.1, 0.5])
    def test_classes_fill_the_range_but_for_a_gap_in_the_middle(self, name, low, high, margin):
        wide = widest(concept_of(name, tiny_config().data), margin)
        for channel in zip(*wide.means, strict=True):
            lower, upper = sorted(channel)
            if lower == upper:
                assert name == "color", "green is low in both"
                continue
            assert lower - wide.spread == pytest.approx(low)
            assert upper + wide.spread == pytest.approx(high)
            gap = (upper - wide.spread) - (lower + wide.spread)
            assert gap == pytest.approx(margin * (high - low))
            assert (lower + upper) / 2 == pytest.approx((low + high) / 2)

    def test_green_and_violet_are_not_taken_for_red_and_blue(self):
        """The widest classes lie where the concept's own do, whatever it is called."""
        color = concept_of("color", tiny_config().data)
        own = replace(
            color, labels=("green", "violet"), means=((0.2, 0.8, 0.2), (0.7, 0.2, 0.8)), center=0.5
        )
        for wide, mean in zip(widest(own, 0.1).means, own.means, strict=True):
            for value, ordinary in zip(wide, mean, strict=True):
                assert (value > 0.5) == (ordinary > 0.5)

    @pytest.mark.parametrize("name", ["color", "size", "background", "x"])
    def test_covers_the_values_that_models_are_trained_on(self, name):
        ordinary = concept_of(name, tiny_config().data)
        wide = widest(ordinary, 0.1)

        def reach(concept):
            ends = [value for mean in concept.means for value in mean]
            return min(ends) - concept.spread, max(ends) + concept.spread

        low, high = reach(ordinary)
        assert reach(wide)[0] <= low + 1e-9
        assert reach(wide)[1] >= high - 1e-9

    def test_all_classes_are_trained(self):
        world = widest_world(tiny_world(), 0.1)
        assert world.space.train_classes == ("00", "01", "10", "11")


class TestProbe:
    def test_reads_an_easy_world(self, tmp_path):
        world = tiny_world()
        settings = ProbeSettings(
            channels=(8, 16),
            features=16,
            images_per_class=200,
            held_out_per_class=100,
            steps=120,
            batch_size=32,
            learning_rate=5e-3,
        )
        trained = load_or_train(world, settings, CPU, tmp_path)
        assert trained.report["accuracy"]["color"] > 0.95
        assert trained.report["accuracy"]["size"] > 0.9
        assert trained.report["calibration_error"]["color"] < 0.1
        between = trained.report["between"]["color"]
        assert len(between) == 11
        assert between[0] < 0.05
        assert between[-1] > 0.95
        z = torch.stack([world.class_mean(c) for c in ("00", "01", "10", "11")])
        bits = (trained.probe.coordinates(world.render(z)) > 0.5).int().tolist()
        assert bits == [[0, 0], [0, 1], [1, 0], [1, 1]]

    @pytest.mark.parametrize("pooling", ["max", "average"])
    def test_coordinates_are_softmax_probabilities(self, pooling):
        probe = Probe(("a", "b", "c"), ProbeSettings(channels=(8,), features=8, pooling=pooling))
        images = torch.rand(5, 3, 8, 8)
        logits = probe(images)
        assert logits.shape == (5, 3, 2)
        expected = logits.detach().exp()
        expected = expected[..., 1] / expected.sum(2)
        torch.testing.assert_close(probe.coordinates(images, batch_size=2), expected)

    def test_poolings_differ(self):
        found = []
        for pooling in ("max", "average"):
            torch.manual_seed(0)
            probe = Probe(("a",), ProbeSettings(channels=(8,), features=8, pooling=pooling))
            found.append(probe(torch.ones(1, 3, 8, 8) * torch.linspace(0, 1, 8)))
        assert not torch.allclose(*found)


@pytest.fixture
def untyped():
    """Without the checks of the tests, which see other shapes sooner."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.mark.usefixtures("untyped")
class TestImagesThatAreNone:
    @pytest.mark.parametrize("channels", [1, 2, 4, 64])
    @pytest.mark.parametrize("size", [16, 33])
    def test_of_other_channels(self, channels, size):
        probe = Probe(("a", "b"), ProbeSettings(channels=(8,), features=8))
        with pytest.raises(RuntimeError, match=f"to have 3 channels, but got {channels} channels"):
            probe.coordinates(torch.rand(4, channels, size, size))

    def test_of_whole_numbers(self):
        probe = Probe(("a",), ProbeSettings(channels=(8,), features=8))
        for dtype in (torch.uint8, torch.int64, torch.bool):
            with pytest.raises(TypeError, match=f"not {dtype}; divide bytes by 255"):
                probe.coordinates(torch.ones(2, 3, 8, 8).to(dtype))

    def test_of_other_types(self):
        probe = Probe(("a",), ProbeSettings(channels=(8,), features=8))
        images = torch.rand(2, 3, 8, 8)
        for dtype, error in ((torch.float64, 1e-5), (torch.bfloat16, 0.02), (torch.float16, 0.02)):
            found = probe.coordinates(images.to(dtype))
            torch.testing.assert_close(
                found, probe.coordinates(images), atol=error, rtol=0, check_dtype=False
            )

    def test_none_at_all(self):
        probe = Probe(("a", "b"), ProbeSettings(channels=(8,), features=8))
        assert probe.coordinates(torch.rand(0, 3, 8, 8)).shape == (0, 2)


class TestNothingElseChanges:
    def test_mode_of_every_layer(self):
        probe = Probe(("a",), ProbeSettings(channels=(8,), features=8)).train()
        probe.heads.eval()
        probe.coordinates(torch.rand(2, 3, 8, 8))
        assert probe.training
        assert probe.backbone.training
        assert not probe.heads.training

    def test_random_numbers_of_the_process(self, tmp_path):
        for _ in ("trained", "taken from the cache"):
            torch.manual_seed(7)
            expected = torch.rand(3)
            torch.manual_seed(7)
            load_or_train(tiny_world(), TINY, CPU, tmp_path)
            assert torch.equal(torch.rand(3), expected)

    def test_random_numbers_of_other_devices(self, tmp_path, monkeypatch):
        def refuse(seed):
            raise AssertionError("a seed for every device")

        monkeypatch.setattr(torch, "manual_seed", refuse)
        load_or_train(tiny_world(), TINY, CPU, tmp_path)

    @pytest.mark.parametrize("cached", [False, True])
    def test_type_of_the_process(self, tmp_path, cached):
        """The cache is shared: a probe is the same in a process that works in float64."""
        expected = load_or_train(tiny_world(), TINY, CPU, tmp_path / "a")
        torch.set_default_dtype(torch.float64)
        try:
            found = load_or_train(tiny_world(), TINY, CPU, tmp_path / ("a" if cached else "b"))
            assert torch.get_default_dtype() == torch.float64
        finally:
            torch.set_default_dtype(torch.float32)
        assert found.hash == expected.hash
        assert found.report == expected.report
        assert {p.dtype for p in found.probe.parameters()} == {torch.float32}

    def test_calibration_in_another_type(self):
        confidence = torch.tensor([0.9, 0.9, 0.6])
        right = torch.tensor([1.0, 0.0, 1.0])
        torch.set_default_dtype(torch.float64)
        try:
            found = calibration_error(confidence, right)
        finally:
            torch.set_default_dtype(torch.float32)
        assert found == pytest.approx((2 * 0.4 + 0.4) / 3)


class TestCache:
    def test_of_two_that_want_it_at_once_one_trains_it(self, tmp_path, monkeypatch):
        trained, train = [], probes.fit

        def slowly(*arguments):
            trained.append(arguments)
            time.sleep(0.5)
            return train(*arguments)

        monkeypatch.setattr(probes, "fit", slowly)
        with ThreadPoolExecutor(2) as pool:
            asked = [
                pool.submit(load_or_train, tiny_world(), TINY, CPU, tmp_path) for _ in range(2)
            ]
        assert len(trained) == 1
        assert asked[0].result().hash == asked[1].result().hash

    def test_one_that_waits_for_another_can_be_stopped(self, tmp_path):
        held = load_or_train(tiny_world(), TINY, CPU, tmp_path / "a")
        (name,) = [path.name for path in (tmp_path / "a").iterdir() if path.is_dir()]
        (tmp_path / "b").mkdir()
        with FileLock(tmp_path / "b" / f"{name}.lock"), pytest.raises(ProbeStopped):
            load_or_train(tiny_world(), TINY, CPU, tmp_path / "b", lambda: True)
        assert load_or_train(tiny_world(), TINY, CPU, tmp_path / "b").hash == held.hash

    def test_second_call_does_not_train(self, tmp_path, monkeypatch):
        first = load_or_train(tiny_world(), TINY, CPU, tmp_path)

        def refuse(*arguments):
            raise AssertionError("trained again")

        monkeypatch.setattr(probes, "fit", refuse)
        second = load_or_train(tiny_world(), TINY, CPU, tmp_path)
        assert second.hash == first.hash
        assert second.report == first.report
        images = torch.rand(2, 3, 8, 8)
        assert torch.equal(second.probe.coordinates(images), first.probe.coordinates(images))
        load_or_train(tiny_world(color_separation=0.2), TINY, CPU, tmp_path)

    def test_the_curve_between_the_means_belongs_to_the_run(self, tmp_path):
        """A sweep of separations shares one probe, whichever of its runs trained it."""
        weak, strong = tiny_world(color_separation=0.2), tiny_world(color_separation=0.8)
        found = [
            load_or_train(world, TINY, CPU, tmp_path / first)
            for first, worlds in (("weak", (weak, strong)), ("strong", (strong, weak)))
            for world in worlds
        ]
        assert len({trained.hash for trained in found}) == 1
        after_weak, after_strong = found[:2], found[:1:-1]
        assert [t.report for t in after_weak] == [t.report for t in after_strong]
        assert found[0].report["between"]["color"] != found[1].report["between"]["color"]

    def test_the_curve_is_read_again_only_of_another_probe(self, tmp_path, monkeypatch):
        first = load_or_train(tiny_world(), TINY, CPU, tmp_path)
        (kept,) = tmp_path.glob("*/between-*.json")
        with monkeypatch.context() as patch:
            patch.delattr(Probe, "coordinates")
            assert load_or_train(tiny_world(), TINY, CPU, tmp_path).report == first.report
        kept.write_text(kept.read_text().replace("0.", "1.", 1))
        assert load_or_train(tiny_world(), TINY, CPU, tmp_path).report == first.report
        assert load_or_train(tiny_world(), TINY, CPU, tmp_path).report == first.report
        kept.unlink()
        with monkeypatch.context() as patch:

            def full(*arguments):
                raise OSError(28, "No space left on device")

            patch.setattr("conceptspace.judges.probe.write_record", full)
            assert load_or_train(tiny_world(), TINY, CPU, tmp_path).report == first.report
        (weights,) = tmp_path.glob("*/*.safetensors")
        weights.write_bytes(b"damaged")
        monkeypatch.setattr(
            "conceptspace.judges.probe.fit", lambda *a: Probe(first.probe.concepts, TINY)
        )
        other = load_or_train(tiny_world(), TINY, CPU, tmp_path)
        assert other.report["between"] != first.report["between"]

    def test_training_is_reproducible(self, tmp_path):
        torch.manual_seed(1)
        first = load_or_train(tiny_world(), TINY, CPU, tmp_path / "a")
        torch.manual_seed(2)
        second = load_or_train(tiny_world(), TINY, CPU, tmp_path / "b")
        assert first.hash == second.hash

    @pytest.mark.parametrize(
        ("data", "settings"),
        [
            ({"resolution": 16}, {}),
            ({"pixel_noise": 0.1}, {}),
            ({"edge_blur": 0.5}, {}),
            ({"position_range": 0.1}, {}),
            ({"concepts": ["size", "color"]}, {}),
            ({}, {"steps": 3}),
            ({}, {"margin": 0.2}),
            ({}, {"pooling": "average"}),
        ],
    )
    def test_what_matters_has_a_probe_of_its_own(self, tmp_path, data, settings):
        from dataclasses import replace

        load_or_train(tiny_world(), TINY, CPU, tmp_path)
        load_or_train(tiny_world(**data), replace(TINY, **settings), CPU, tmp_path)
        assert len([place for place in tmp_path.iterdir() if place.is_dir()]) == 2

    def test_stopped_in_training_it_leaves_nothing_and_is_trained_next_time(self, tmp_path):
        asked = iter([False, True])
        with pytest.raises(ProbeStopped):
            load_or_train(tiny_world(), TINY, CPU, tmp_path / "a", lambda: next(asked))
        assert not [place for place in (tmp_path / "a").iterdir() if place.is_dir()]
        again = load_or_train(tiny_world(), TINY, CPU, tmp_path / "a")
        assert again.hash == load_or_train(tiny_world(), TINY, CPU, tmp_path / "b").hash

    @pytest.mark.parametrize("what", ["weights", "json"])
    def test_a_damaged_entry_is_trained_anew(self, tmp_path, what):
        first = load_or_train(tiny_world(), TINY, CPU, tmp_path)
        pattern = "*/*.safetensors" if what == "weights" else "*/*.json"
        path = next(tmp_path.glob(pattern))
        path.write_bytes(path.read_bytes()[:-9])
        again = load_or_train(tiny_world(), TINY, CPU, tmp_path)
        assert again.hash == first.hash
        assert json.loads(next(tmp_path.glob("*/*.json")).read_text())["sha256"] == first.hash


def test_a_judge_of_a_worlds_own_images_is_one_call(probe_cache_folder):
    """As much as a run's own probe, from the same cache."""
    import conceptspace as cs

    judge = cs.train_probe(tiny_world(), TINY)
    assert judge.hash == load_or_train(tiny_world(), TINY, CPU, probe_cache_folder).hash
    assert ProbeSettings.of(quick().probe).steps == 300
