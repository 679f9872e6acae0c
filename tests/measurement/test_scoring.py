from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from conceptspace.measurement.probe import Probe, ProbeSettings
from conceptspace.measurement.readout import AnalyticReadout
from conceptspace.measurement.scoring import Scorer, agreement, trajectory
from conceptspace.tables import KEYS, TRAJECTORY_COLUMNS
from tiny import tiny_world


def scores(rows, **keys):
    """Rows of (sample, concept, accuracy, coordinate, readout)."""
    table = pd.DataFrame(rows, columns=["sample", "concept", "accuracy", "coordinate", "readout"])
    fixed = {"run": "r", "seed": 0, "step": 5, "protocol": "naive", "setting": ""}
    return table.assign(**(fixed | {"concept_class": "10"} | keys))


HAND_WORKED = [
    (0, "color", 0.9, 0.9, 1.0),
    (0, "size", 0.5, 0.5, 1.0),
    (1, "color", 0.2, 0.2, 0.0),
    (1, "size", 1.0, 0.0, 1.0),
]


def test_trajectory_by_hand():
    table = trajectory(scores(HAND_WORKED))
    assert list(table.columns) == TRAJECTORY_COLUMNS
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


def test_groups_stay_apart_and_order_does_not_matter():
    other = [(s, c, a / 2, k, r) for s, c, a, k, r in HAND_WORKED]
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
    """Probe and read-out agree on the colour of both images, and on the size of the second."""
    found = agreement(scores(HAND_WORKED), ["color", "size", "shape"])
    assert found == {"color": 1.0, "size": 0.5}
    unknown = scores([(0, "color", 0.9, 0.9, float("nan"))])
    assert agreement(unknown, ["color"]) == {}


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
        assert table["readout"].isna().all()

    def test_readout_tells_whether_the_target_was_found(self):
        world = tiny_world(resolution=16)
        z = torch.stack([world.class_mean("01"), world.class_mean("11")])
        table = Scorer(self.probe, AnalyticReadout(world))(world.render(z), "11")
        assert table["readout"].tolist() == [0.0, 1.0, 1.0, 1.0]
