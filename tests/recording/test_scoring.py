from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from conceptspace.errors import Diverged
from conceptspace.judges.judge import ShapesJudge
from conceptspace.judges.probe import Probe, ProbeSettings
from conceptspace.recording.scoring import Scorer, agreement, trajectory
from conceptspace.tables import KEYS, TRAJECTORY_COLUMNS
from tiny import tiny_world


def scores(rows, **keys):
    """Rows of (sample, concept, accuracy, coordinate, valid, probe)."""
    columns = ["sample", "concept", "accuracy", "coordinate", "valid", "probe"]
    table = pd.DataFrame(rows, columns=columns)
    fixed = {"run": "r", "seed": 0, "step": 5, "protocol": "naive", "setting": ""}
    return table.assign(**(fixed | {"concept_class": "10"} | keys))


HAND_WORKED = [
    (0, "color", 0.9, 0.9, 1.0, 0.8),
    (0, "size", 0.5, 0.5, 1.0, 0.5),
    (1, "color", 0.2, 0.2, 1.0, 0.6),
    (1, "size", 1.0, 0.0, 1.0, 1.0),
]


def test_trajectory_by_hand():
    table = trajectory(scores(HAND_WORKED))
    assert list(table.columns) == [*TRAJECTORY_COLUMNS, "valid", "probe"]
    found = table.set_index("concept")
    assert found.loc["color", "accuracy"] == pytest.approx(0.55)
    assert found.loc["color", "coordinate"] == pytest.approx(0.55)
    assert found.loc["size", "accuracy"] == pytest.approx(0.75)
    assert found.loc["size", "coordinate"] == pytest.approx(0.25)
    joint = (0.9 * 0.5 + 0.2 * 1.0) / 2
    assert found.loc["joint", "accuracy"] == pytest.approx(joint), "the mean of the products"
    assert joint != pytest.approx(0.55 * 0.75), "which is not the product of the means"
    assert np.isnan(found.loc["joint", "coordinate"])
    assert (found["samples"] == 2).all()
    assert (found["valid"] == 1).all()
    assert found.loc["color", "probe"] == pytest.approx(0.7)
    assert found.loc["joint", "probe"] == pytest.approx((0.8 * 0.5 + 0.6 * 1.0) / 2)


def test_a_factor_that_is_missing_makes_the_joint_accuracy_missing():
    missing = [(*row[:2], np.nan, *row[3:]) for row in HAND_WORKED[:1]] + HAND_WORKED[1:]
    found = trajectory(scores(missing)).set_index("concept")
    one = trajectory(scores(HAND_WORKED[2:])).set_index("concept").loc["joint", "accuracy"]
    assert found.loc["joint", "accuracy"] == pytest.approx(one), "of the image that has both"
    every = [(*row[:2], np.nan, *row[3:]) for row in HAND_WORKED]
    assert np.isnan(trajectory(scores(every)).set_index("concept").loc["joint", "accuracy"])


def test_tables_of_before_have_no_validity():
    found = trajectory(scores(HAND_WORKED).drop(columns=["valid", "probe"]))
    assert found[["valid", "probe"]].isna().all(axis=None)
    assert found["accuracy"].notna().all()


def test_groups_stay_apart_and_order_does_not_matter():
    other = [(s, c, a / 2, *rest) for s, c, a, *rest in HAND_WORKED]
    parts = [
        scores(HAND_WORKED),
        scores(other, step=7),
        scores(other, setting="x"),
        scores(other, concept_class="11"),
        scores(other, seed=100),
    ]
    table = trajectory(pd.concat(parts, ignore_index=True))
    assert len(table) == 5 * 3
    assert not table.duplicated([*KEYS, "concept"]).any()
    shuffled = pd.concat(parts[::-1], ignore_index=True).sample(frac=1, random_state=0)
    pd.testing.assert_frame_equal(trajectory(shuffled), table)
    first = table.query("step == 5 and seed == 0 and setting == '' and concept_class == '10'")
    assert first["accuracy"].tolist() == pytest.approx([0.55, 0.325, 0.75])


def test_agreement_by_hand():
    """Judge and probe differ on the color of the second image, and nothing else; 0.5 is bit 0."""
    found = agreement(scores(HAND_WORKED))
    assert (found.same, found.images) == ({"color": 1, "size": 2}, {"color": 2, "size": 2})
    invalid = scores([(*row[:4], 0.0, row[5]) for row in HAND_WORKED])
    assert agreement(invalid).images == {}
    assert agreement(scores(HAND_WORKED).drop(columns="valid")).images == {}


class TestScorer:
    probe = Probe(("color", "size"), ProbeSettings(channels=(8,), features=8)).eval()
    images = torch.rand(3, 3, 8, 8, generator=torch.Generator().manual_seed(0))

    def test_accuracy_is_the_probability_of_the_target(self):
        coordinate = self.probe.coordinates(self.images)
        table = Scorer(self.probe)(self.images, "10")
        assert table["sample"].tolist() == [0, 0, 1, 1, 2, 2]
        assert table["concept"].tolist() == ["color", "size"] * 3
        by = table.set_index(["sample", "concept"])
        for i in range(3):
            color, size = coordinate[i].tolist()
            assert by.loc[(i, "color"), "accuracy"] == pytest.approx(color)
            assert by.loc[(i, "size"), "accuracy"] == pytest.approx(1 - size)
            assert by.loc[(i, "color"), "coordinate"] == pytest.approx(color)
            assert by.loc[(i, "size"), "coordinate"] == pytest.approx(size)
        assert table["valid"].isna().all()
        assert table["probe"].tolist() == table["accuracy"].tolist()

    def test_the_judge_decides_and_the_probe_stands_beside_it(self):
        world = tiny_world(resolution=16)
        z = torch.stack([world.class_mean("01"), world.class_mean("11")])
        blank = torch.full((1, 3, 16, 16), 0.9)
        images = torch.cat([world.render(z), blank])
        table = Scorer(self.probe, ShapesJudge(world))(images, "11")
        assert table["valid"].tolist() == [1.0, 1.0, 1.0, 1.0, 0.0, 0.0]
        found = table["accuracy"].round(2).tolist()
        assert found == [0.0, 1.0, 1.0, 1.0, 0.0, 0.0], "red is not blue, and nothing is nothing"
        assert table["coordinate"].tolist()[4:] == [0.5, 0.5]
        seen = self.probe.coordinates(images).flatten().tolist()
        assert table["probe"].tolist() == pytest.approx(seen)
        assert min(table["probe"].tolist()[4:]) > 0, "the plain probe says something of it"

    def test_images_that_are_not_finite_are_refused(self):
        images = self.images.clone()
        images[1, 0, 0, 0] = float("nan")
        with pytest.raises(Diverged, match="not finite"):
            Scorer(self.probe)(images, "11")
