from __future__ import annotations

import copy
import functools
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from PIL import Image

from conceptspace.contact_sheet import Sheet, read_sheet
from conceptspace.errors import Diverged, UserError
from conceptspace.experiment import parts
from conceptspace.judges.probe import Probe, ProbeSettings
from conceptspace.models.sampling import sample
from conceptspace.protocols.edits import Edited
from conceptspace.protocols.naive import Naive
from conceptspace.recording.evaluate import Evaluator, Generated, Sampling
from conceptspace.recording.scoring import Scorer
from conceptspace.recording.sheets import write_sheet
from conceptspace.worlds.conditioning import Conditioning
from tiny import tiny_config, tiny_world

CLASSES = ("00", "01", "10", "11")


class Twice:
    """Two settings that do the same, one that asks with half of h, one that is no embedding."""

    name = "twice"

    def settings(self, concept_class):
        def plain(model, h):
            return (lambda z, gamma, condition: model(z, gamma, condition)), h

        return {
            "a": lambda model, h: (model, h),
            "b": lambda model, h: (model, h),
            "half": lambda model, h: (model, h / 2),
            "denoiser": plain,
        }


def evaluator(seed=0, samples=3, **sampling):
    probe = Probe(("color", "size"), ProbeSettings(channels=(8,), features=8))
    settings = {"steps": 2} | sampling
    return Evaluator(
        tiny_world(),
        Conditioning(("color", "size")),
        Scorer(probe),
        Sampling(samples=samples, **settings),
        seed,
    )


def some_model(seed=0):
    model = parts.model(tiny_config(seed=seed))
    source = torch.Generator().manual_seed(seed)
    for parameter in model.network.parameters():
        parameter.data += 0.05 * torch.randn(parameter.shape, generator=source)
    return model


MODEL = some_model()


def images(generated):
    return {(g.setting, str(g.concept_class)): g.images for g in generated}


class TestPrompts:
    def test_ood_prompts_are_the_class_mean(self):
        e = evaluator()
        prompts = e.prompts("11")
        assert prompts.shape == (3, 11)
        torch.testing.assert_close(prompts, e.conditioning(e.world.class_mean("11")).expand(3, -1))

    @pytest.mark.parametrize("concept_class", ["00", "01", "10"])
    def test_in_distribution_prompts_are_drawn_from_the_class(self, concept_class):
        prompts = evaluator(samples=20).prompts(concept_class)
        assert len(prompts.unique(dim=0)) == 20
        for name, concept in zip(("color", "size"), evaluator().world.space.concepts, strict=True):
            columns = {"color": slice(4, 7), "size": slice(7, 8)}[name]
            bit = int(concept_class[("color", "size").index(name)])
            assert (prompts[:, columns] - concept.mean(bit)).abs().max() <= concept.spread + 1e-6
        hidden = [0, 1, 2, 3, 8, 9, 10]
        assert (prompts[:, hidden] == 0).all()

    def test_prompts_are_the_same_at_every_checkpoint_and_differ_by_seed(self):
        assert torch.equal(evaluator().prompts("00"), evaluator().prompts("00"))
        assert not torch.equal(evaluator(0).prompts("00"), evaluator(1).prompts("00"))


class TestNoise:
    @pytest.mark.parametrize("sampler", ["ancestral", "ddim"])
    def test_is_the_same_for_every_setting(self, sampler):
        found = images(evaluator(sampler=sampler)(MODEL, Twice(), CLASSES))
        assert set(found) == {(s, c) for s in ("a", "b", "half", "denoiser") for c in CLASSES}
        for c in CLASSES:
            assert torch.equal(found["a", c], found["b", c])
            assert not torch.equal(found["a", c], found["half", c])
            torch.testing.assert_close(found["denoiser", c], found["a", c], atol=1e-5, rtol=0)

    def test_is_the_same_for_every_protocol_and_call(self):
        naive = images(evaluator()(MODEL, Naive(), CLASSES))
        again = images(evaluator()(MODEL, Naive(), CLASSES))
        twice = images(evaluator()(MODEL, Twice(), CLASSES))
        for c in CLASSES:
            assert torch.equal(naive["", c], again["", c])
            torch.testing.assert_close(naive["", c], twice["a", c], atol=1e-5, rtol=0)

    def test_is_the_same_at_every_checkpoint(self):
        """An untrained network ignores its condition: two of them make the same images."""
        first = images(evaluator()(parts.model(tiny_config(seed=0)), Naive(), CLASSES))
        second = images(evaluator()(parts.model(tiny_config(seed=1)), Naive(), CLASSES))
        for c in CLASSES:
            assert torch.equal(first["", c], second["", c])

    def test_differs_between_samples_classes_and_seeds(self):
        found = images(evaluator()(MODEL, Naive(), CLASSES))
        other = images(evaluator(seed=1)(MODEL, Naive(), CLASSES))
        assert not torch.equal(found["", "11"][0], found["", "11"][1])
        untrained = images(evaluator()(parts.model(tiny_config()), Naive(), CLASSES))
        assert not torch.equal(untrained["", "00"], untrained["", "01"])
        assert not torch.equal(found["", "11"], other["", "11"])


@pytest.mark.parametrize("batch_size", [1, 3, 7, 100])
def test_batch_size_does_not_change_the_images(batch_size):
    expected = images(evaluator(batch_size=24)(MODEL, Twice(), CLASSES))
    found = images(evaluator(batch_size=batch_size)(MODEL, Twice(), CLASSES))
    for key, value in expected.items():
        torch.testing.assert_close(found[key], value, atol=1e-4, rtol=0)


@functools.cache
def five_in_one_batch(sampler):
    return images(evaluator(samples=5, sampler=sampler)(MODEL, Twice(), CLASSES))


@pytest.mark.parametrize("sampler", ["ancestral", "ddim"])
@pytest.mark.parametrize("batch_size", [1, 2, 3, 4, 10])
def test_batch_size_is_never_exceeded(monkeypatch, batch_size, sampler):
    """Also where one request has more samples; every sample keeps its noise."""
    batches = []

    def counted(denoiser, schedule, h, **settings):
        batches.append(len(h))
        return sample(denoiser, schedule, h, **settings)

    expected = five_in_one_batch(sampler)
    monkeypatch.setattr("conceptspace.recording.evaluate.sample", counted)
    found = evaluator(samples=5, sampler=sampler, batch_size=batch_size)(MODEL, Twice(), CLASSES)
    assert max(batches) <= batch_size
    assert sum(batches) == 5 * 4 * len(CLASSES)
    for g in found:
        want = expected[g.setting, str(g.concept_class)]
        torch.testing.assert_close(g.images, want, atol=1e-4, rtol=0)
        assert len(g.scores) == 2 * 5


def test_classes_can_be_asked_for_on_their_own():
    every = images(evaluator()(MODEL, Naive(), CLASSES))
    alone = images(evaluator()(MODEL, Naive(), ["11"]))
    torch.testing.assert_close(alone["", "11"], every["", "11"], atol=1e-4, rtol=0)


def test_pairs_that_are_skipped_are_not_made():
    found = images(evaluator()(MODEL, Twice(), CLASSES, {("a", "11"), ("half", "00")}))
    assert len(found) == 14
    assert ("a", "11") not in found
    assert ("half", "00") not in found


def test_images_and_scores():
    for g in evaluator()(some_model(), Naive(), CLASSES):
        assert g.images.shape == (3, 3, 8, 8)
        assert g.images.min() >= 0
        assert g.images.max() <= 1
        assert len(g.scores) == 6


@pytest.mark.parametrize("training", [True, False])
def test_dropout_is_off_while_sampling_and_the_mode_is_as_before(training):
    seen = []

    class Watched:
        name = "watched"

        def settings(self, concept_class):
            def denoiser(model):
                def denoise(z, gamma, h):
                    seen.append((model.training, torch.is_grad_enabled()))
                    return model(z, gamma, h)

                return denoise

            return {"": lambda model, h: (denoiser(model), h)}

    model = some_model().train(training)
    evaluator()(model, Watched(), ["11"])
    assert seen == [(False, False)] * 2
    assert model.training is training


def test_a_protocol_may_train_a_copy():
    """Gradients are on where settings are applied, and the copy is what is asked."""

    class Tuned:
        name = "tuned"

        def settings(self, concept_class):
            def tune(model, h):
                other = copy.deepcopy(model)
                other(torch.zeros(1, 3, 8, 8), torch.zeros(1), h[:1]).sum().backward()
                assert other.network.trunk.conv_out.weight.grad is not None
                with torch.no_grad():
                    for parameter in other.network.trunk.parameters():
                        parameter.zero_()
                return other, h

            return {"": tune}

    class ByHand:
        name = "by hand"

        def settings(self, concept_class):
            return {"": lambda model, h: ((lambda z, gamma, condition: z), h)}

    tuned = images(evaluator()(MODEL, Tuned(), ["11"]))
    naive = images(evaluator()(MODEL, Naive(), ["11"]))
    assert not torch.equal(tuned["", "11"], naive["", "11"])
    expected = images(evaluator()(MODEL, ByHand(), ["11"]))
    torch.testing.assert_close(tuned["", "11"], expected["", "11"])


def test_edits_of_another_model_are_asked_of_that_model():
    other = some_model(seed=5)

    class Foreign:
        name = "foreign"

        def settings(self, concept_class):
            return {"": lambda model, h: (Edited(other, lambda blocks: blocks), h)}

    found = images(evaluator()(MODEL, Foreign(), ["11"]))
    expected = images(evaluator()(other, Naive(), ["11"]))
    torch.testing.assert_close(found["", "11"], expected["", "11"], atol=1e-5, rtol=0)


def test_images_that_are_no_numbers_are_refused():
    class Broken:
        name = "broken"

        def settings(self, concept_class):
            return {"": lambda model, h: ((lambda z, gamma, condition: z * float("nan")), h)}

    with pytest.raises(Diverged, match="images of class 11 hold values that are not finite"):
        evaluator()(MODEL, Broken(), ["11"])


@pytest.mark.parametrize("change", [lambda h: h[:1], lambda h: h.tolist(), lambda h: None])
def test_another_number_of_prompts_is_refused(change):
    class Fewer:
        name = "fewer"

        def settings(self, concept_class):
            return {"": lambda model, h: (model, change(h))}

    with pytest.raises(UserError, match="fewer returns prompts that are not 3 rows of a tensor"):
        evaluator()(MODEL, Fewer(), ["11"])


def test_a_denoiser_without_a_hash_is_asked():
    @dataclass
    class Wrapped:
        model: object

        def __call__(self, z, gamma, h):
            return self.model(z, gamma, h)

    class Wrapping:
        name = "wrapping"

        def settings(self, concept_class):
            return {"": lambda model, h: (Wrapped(model), h)}

    found = images(evaluator()(MODEL, Wrapping(), CLASSES))
    expected = images(evaluator()(MODEL, Naive(), CLASSES))
    for key, value in expected.items():
        torch.testing.assert_close(found[key], value, atol=1e-4, rtol=0)


class TestSheets:
    def generated(self, setting, concept_class, value):
        pixels = torch.full((2, 3, 4, 4), value)
        pixels[1] += 0.1
        pixels[:, 0, 0, 0] = 1.0
        return Generated(setting, concept_class, pixels, evaluator().scorer(pixels, "00"))

    def test_rows_are_settings_and_classes_and_columns_are_images(self, tmp_path):
        path = tmp_path / "a" / "sheet.png"
        write_sheet(path, 7, [self.generated("", "00", 0.2), self.generated("x", "01", 0.4)])
        with Image.open(path) as image:
            pixels = np.asarray(image)
        assert pixels.shape == (8, 8, 3)
        for row, value in enumerate((0.2, 0.4)):
            for column in (0, 1):
                tile = pixels[4 * row : 4 * row + 4, 4 * column : 4 * column + 4]
                assert tile[0, 0, 0] == 255, "every tile has its own first pixel marked"
                assert tile[3, 3] == pytest.approx([255 * (value + 0.1 * column)] * 3, abs=1)
        rows = [
            {"setting": "", "concept_class": "00"},
            {"setting": "x", "concept_class": "01"},
        ]
        assert read_sheet(path) == (7, Sheet(path, tile=4, rows=rows, columns=2))
        assert [p.name for p in path.parent.iterdir()] == ["sheet.png"], "its index is inside"

    def test_rows_are_added_and_those_scored_again_replaced(self, tmp_path):
        path = tmp_path / "sheet.png"
        write_sheet(path, 7, [self.generated("", "00", 0.2), self.generated("x", "01", 0.4)])
        write_sheet(path, 7, [self.generated("", "00", 0.6), self.generated("y", "01", 0.8)])
        found = [(row["setting"], row["concept_class"]) for row in read_sheet(path)[1].rows]
        assert found == [("x", "01"), ("", "00"), ("y", "01")]
        with Image.open(path) as image:
            pixels = np.asarray(image)
        assert pixels[3::4, 3, 0].tolist() == [round(255 * v) for v in (0.4, 0.6, 0.8)]
