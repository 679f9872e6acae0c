"""The judge from data alone: distance, agreement, what it refuses, and where it is used."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pytest
import torch
from scipy.spatial.distance import mahalanobis
from torch.overrides import TorchFunctionMode

from conceptspace.judges.agreement import (
    AgreementJudge,
    Familiarity,
    agreement_judge,
    second_opinion,
    summary,
)
from conceptspace.judges.foils import foils
from conceptspace.judges.probe import Probe, ProbeSettings, load_or_train
from conceptspace.worlds import border
from conceptspace.worlds.arrays import ArrayWorld
from tiny import CPU, tiny_config, tiny_session

SETTINGS = ProbeSettings(
    channels=(8, 16), features=16, images_per_class=64, held_out_per_class=48, steps=80,
    batch_size=32, learning_rate=3e-3,
)  # fmt: skip
SIDE, COLORS = 12, ((190, 60, 60), (60, 60, 190))


def squares(per_class: int) -> tuple[np.ndarray, dict[str, list[int]]]:
    """Red or blue squares, large or small, near the middle, on white."""
    rng = np.random.default_rng(0)
    rows = [(c, s) for c in (0, 1) for s in (0, 1) for _ in range(per_class)]
    images = np.full((len(rows), SIDE, SIDE, 3), 255, np.uint8)
    for image, (color, size) in zip(images, rows, strict=True):
        top, left = rng.integers(1, 4, 2)
        side = 7 - 3 * size + rng.integers(0, 2)
        image[top : top + side, left : left + side] = COLORS[color] + rng.integers(-20, 21, 3)
    return images, {"color": [c for c, _ in rows], "size": [s for _, s in rows]}


@pytest.fixture(scope="module")
def world() -> ArrayWorld:
    return ArrayWorld(*squares(112), held_out=["11"])


@pytest.fixture(scope="module")
def judged(world, tmp_path_factory):
    cache = tmp_path_factory.mktemp("probes")
    first = load_or_train(world, SETTINGS, CPU, cache)
    judge, report = agreement_judge(world, SETTINGS, first, 0.95, CPU, cache)
    return judge, report


class TestFamiliarity:
    def test_is_the_squared_mahalanobis_distance_to_the_nearest_class(self):
        source = np.random.default_rng(0)
        features = source.normal(size=(200, 3)) @ source.normal(size=(3, 3))
        values = torch.arange(200)[:, None] % 2
        features[1::2] += 5
        known = Familiarity.of(torch.from_numpy(features), values)
        means = [features[k::2].mean(0) for k in (0, 1)]
        within = np.concatenate([features[k::2] - means[k] for k in (0, 1)])
        covariance = within.T @ within / 200
        precision = np.linalg.inv(covariance + 1e-3 * np.diag(covariance).mean() * np.eye(3))
        asked = source.normal(size=(5, 3)) * 4
        expected = [min(mahalanobis(x, m, precision) ** 2 for m in means) for x in asked]
        found = known.distance(torch.from_numpy(asked))
        np.testing.assert_allclose(found.numpy(), expected, rtol=1e-9)

    def test_features_that_never_vary_do_not_break_it(self):
        values = torch.tensor([[0], [0], [1], [1]])
        known = Familiarity.of(torch.ones(4, 2, dtype=torch.float64), values)
        assert known.distance(torch.ones(1, 2, dtype=torch.float64)).item() == 0
        assert known.distance(torch.zeros(1, 2, dtype=torch.float64)).item() > 1e6


class Calls(TorchFunctionMode):
    """Notes the names of the operations that are called."""

    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_function__(self, function, types, args=(), kwargs=None):
        self.names.append(function.__name__)
        return function(*args, **(kwargs or {}))


def test_float64_is_on_the_cpu_alone():
    probe = Probe(("hue",), SETTINGS)
    with Calls() as calls:
        assert summary(probe, torch.rand(2, 3, 8, 8)).dtype == torch.float64
    assert calls.names.index("cpu") < calls.names.index("double")


class TestJudge:
    def test_real_images_are_valid_and_of_their_class(self, world, judged):
        judge, report = judged
        images, values = border.labelled(world, "held out", SETTINGS.held_out_per_class, 0.1)
        found = judge(images)
        assert report["valid"] == pytest.approx(found.valid.float().mean().item())
        assert 0.85 <= report["valid"] <= 0.96
        right = found.probabilities.argmax(2) == values
        assert right[found.valid].float().mean() > 0.97

    def test_what_shows_no_object_of_a_class_is_refused(self, judged):
        """Mean joint probability of any class; of 192 doubles 11 (AVX2) and 14 (AVX512) pass."""
        found = judged[1]["foils"]
        assert set(found) == {"blank", "noise", "specks", "double", "blend"}
        assert found.pop("double") < 0.1
        assert max(found.values()) < 0.02

    def test_the_probe_alone_does_not_refuse(self, world, judged):
        """So the test above tests something."""
        images, values = border.labelled(world, "held out", 48, 0.1)
        for shown in foils(images, values).values():
            joint = judged[0].first.probabilities(shown).amax(2).prod(1)
            assert joint.mean() > 0.4

    @pytest.mark.parametrize("part", ["agreement", "familiarity"])
    def test_both_parts_are_needed(self, world, judged, part):
        judge = judged[0]
        images, _ = border.labelled(world, "held out", 48, 0.1)
        known = Familiarity(judge.familiarity.means, judge.familiarity.precision, -1.0)
        never = Opposite(judge.first)
        lacking = {
            "agreement": AgreementJudge(judge.first, never, judge.familiarity),
            "familiarity": AgreementJudge(judge.first, judge.second, known),
        }[part]
        assert not lacking(images).valid.any()
        torch.testing.assert_close(lacking(images).probabilities, judge(images).probabilities)

    def test_the_limit_is_the_share_of_held_out_images(self, world, judged):
        judge, report = judged
        images, _ = border.labelled(world, "held out", SETTINGS.held_out_per_class, 0.1)
        near = judge.familiarity(summary(judge.first, images))
        assert near.float().mean().item() == pytest.approx(report["share"], abs=0.01)


class Opposite(Probe):
    """A probe that contradicts another in every concept."""

    def __init__(self, probe: Probe) -> None:
        super().__init__(probe.concepts, SETTINGS)
        self.contradicted = probe

    def probabilities(self, images: torch.Tensor, batch_size: int = 512) -> torch.Tensor:
        return self.contradicted.probabilities(images, batch_size).flip(2)


def test_the_second_probe_is_another_network():
    other = second_opinion(SETTINGS)
    one, two = Probe(["a"], SETTINGS), Probe(["a"], other)
    assert other.pooling != SETTINGS.pooling
    assert other.seed != SETTINGS.seed
    assert set(one.backbone.state_dict()).isdisjoint(two.backbone.state_dict())
    assert two.features(torch.rand(2, 3, 8, 8)).shape == (2, 16, 4, 4)


def test_seeds_of_probes_differ_and_usual_recipes_stay_what_they_were():
    old = asdict(SETTINGS)
    del old["architecture"], old["seed"]
    assert SETTINGS.recipe() == old
    assert second_opinion(SETTINGS).recipe().items() >= {"architecture": "plain", "seed": 1}.items()


class TestFoils:
    def test_keep_size_and_range_and_depend_on_nothing_else(self):
        images, values = torch.rand(6, 3, 9, 9), torch.tensor([[0], [1]] * 3)
        found, again = foils(images, values), foils(images, values)
        for name, shown in found.items():
            assert torch.equal(shown, again[name])
            assert shown.shape[1:] == (3, 9, 9)
            assert 0 <= shown.min() <= shown.max() <= 1

    def test_a_double_holds_both_objects_and_a_blend_lies_between_classes(self):
        images = torch.ones(2, 3, 9, 9)
        images[0, :, 4, 1], images[1, :, 4, 4] = 0.0, 0.5
        found = foils(images, torch.tensor([[0], [1]]))
        assert (found["blank"] == 1).all()
        for double in found["double"]:
            assert (double[0] < 1).sum() in (1, 2)
        torch.testing.assert_close(
            found["blend"], images.mean(0).expand(len(found["blend"]), -1, -1, -1)
        )


def test_a_run_is_judged_by_two_probes_if_its_config_says_so(tmp_path):
    images, columns = squares(20)
    np.savez(tmp_path / "squares.npz", images=images, **columns)
    config = tiny_config(
        data__kind="arrays", data__path=str(tmp_path / "squares.npz"), data__resolution=8,
        data__factors=["color", "size"], data__images_per_class=20, data__ood_classes=["11"],
        data__shown=["color=0.7 0.3|0.3 0.7"], probe__agreement=0.9, probe__channels=[8, 8],
        probe__held_out_per_class=12, evaluate__protocols=["overprompting-color"],
    )  # fmt: skip
    session = tiny_session(tmp_path / "run", config, tmp_path / "probes")
    texts = [str(event) for event in session.execute()]
    table = session.run.trajectory()
    assert table["valid"].notna().all()
    assert (table["accuracy"] <= table["valid"] + 1e-9).all()
    judge = json.loads((tmp_path / "run" / "run.json").read_text())["judge"]
    assert judge["share"] == 0.9
    assert judge["second"]["hash"] != session.probe.hash
    assert any("of held-out images are valid" in text for text in texts)
