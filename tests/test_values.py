"""Axes between two of several values, in concept spaces, tables and figures."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from conceptspace.analysis.findings import findings
from conceptspace.analysis.memorization import episodes, memorization
from conceptspace.analysis.reading import checked_table
from conceptspace.analysis.trajectories import paths
from conceptspace.errors import UserError
from conceptspace.judges.judge import Judgement, ShapesJudge
from conceptspace.judges.probe import Probe, ProbeSettings
from conceptspace.presentation.figures import (
    conditions_figure,
    signal_figure,
    story_figure,
    trajectory_figure,
)
from conceptspace.recording.scoring import Scorer, trajectory
from conceptspace.space import Concept, ConceptSpace, as_classes, paper_split
from conceptspace.values import along, axis
from conceptspace.worlds.shapes.world import ShapesWorld, color, size
from conceptspace.worlds.signal import class_distances

HUES = Concept("hue", ("red", "green", "blue"), tuple(map(tuple, np.eye(3).tolist())))
LIGHT = Concept("light", ("dark", "bright"), ((0.0,), (1.0,)))
SPACE = ConceptSpace((HUES, LIGHT), as_classes(["00", "01", "10", "20"]), as_classes(["21", "11"]))
SMALL = ProbeSettings(channels=(8,), features=8)


def probabilities(step: int, name: str, steps: int = 10) -> dict[str, list[float]]:
    """Class 21 looks red first (01), then blue; training classes are right from the start."""
    done = step / steps
    hue = np.eye(3)[int(name[0])]
    if name == "21":
        hue = (1 - done) * np.eye(3)[0] + done * hue
    light = float(name[1])
    return {"hue": [*hue], "light": [1 - light, light]}


def table() -> pd.DataFrame:
    rows = []
    for step in range(1, 11):
        for name in SPACE.classes:
            seen = probabilities(step, name)
            joint = 1.0
            for index, (concept, p) in enumerate(seen.items()):
                start, end = SPACE.axes()[concept]
                own = p[int(name[index])]
                joint *= own
                single = p if len(p) > 2 else [np.nan] * 3
                coordinate = (1 + p[end] - p[start]) / 2
                rows.append((step, name, concept, own, coordinate, *single))
            rows.append((step, name, "joint", joint, np.nan, *[np.nan] * 3))
    names = ["step", "concept_class", "concept", "accuracy", "coordinate", "p0", "p1", "p2"]
    found = pd.DataFrame(rows, columns=names)
    return found.assign(run="mine", seed=0, protocol="naive", setting="", samples=64)


class TestAxes:
    def test_run_to_the_held_out_value_from_the_most_similar_training_class(self):
        assert SPACE.axes() == {"hue": (0, 2), "light": (0, 1)}
        assert SPACE.axes("11") == {"hue": (0, 1), "light": (0, 1)}
        assert SPACE.ends() == (("red", "blue"), ("dark", "bright"))
        assert [SPACE.corner(c) for c in ("01", "21", "11")] == [(0, 1), (1, 1), (None, 1)]

    @given(st.lists(st.integers(2, 4), min_size=2, max_size=3), st.data())
    def test_have_two_values_that_the_concept_has(self, sizes, data):
        train, ood = paper_split(sizes)
        held_out = data.draw(st.sampled_from(ood))
        for index, count in enumerate(sizes):
            start, end = axis(train, held_out, index)
            assert start != end == int(held_out[index])
            assert max(start, end) < count
            assert any(int(name[index]) == start for name in train)

    def test_where_all_training_classes_agree_with_it(self):
        assert axis(["00", "10"], "20", 1) == (1, 0)
        assert axis(["01", "11"], "21", 1) == (0, 1)

    def test_by_names(self):
        assert SPACE.between(hue=("green", "red")) == {"hue": (1, 0)}
        for given_, message in (
            ({"tone": ("a", "b")}, "no concept 'tone'"),
            ({"hue": ("red", "x")}, "'x'"),
        ):
            with pytest.raises(UserError, match=message):
                SPACE.between(**given_)


class TestTables:
    def test_paths_between_any_two_values(self):
        found = table()
        own = paths(found, "naive", "21", concepts=("hue",)).values.ravel()
        assert own == pytest.approx(np.linspace(0.1, 1, 10))
        other = paths(found, "naive", "21", concepts=("hue",), values={"hue": (1, 0)})
        assert other.values.ravel() == pytest.approx((1 + np.linspace(0.9, 0, 10)) / 2)
        assert checked_table(found)["p2"].equals(found["p2"])

    def test_two_values_stay_as_they_are_and_missing_ones_are_refused(self):
        found = table()
        assert along(found, {"light": (0, 1)}).equals(found)
        plain = found.drop(columns=["p0", "p1", "p2"])
        assert along(plain, {"hue": (0, 1)}).equals(plain)
        for name, change, message in (
            ("hue", plain, "no probabilities of the single values of 'hue'"),
            ("hue", found.drop(columns="p2"), "no probabilities of value 2 of 'hue'"),
        ):
            with pytest.raises(UserError, match=message):
                along(change, {name: (0, 2)})

    def test_memorization_tells_the_value(self):
        train = [str(c) for c in SPACE.train_classes]
        found = memorization(table(), train, "21", concepts=SPACE.names)
        (episode,) = episodes(found)
        assert episode.mistaken_for == "01"
        assert episode.strength == pytest.approx(0.9)
        assert episode.checkpoints == 4
        assert not memorization(table(), train, "11", concepts=SPACE.names)["memorized"].any()

    def test_findings_in_the_order_of_the_digits(self):
        """Alphabetically, light stands behind hue; renamed, it stands before."""
        renamed = table().replace({"concept": {"light": "a light"}})
        renamed = renamed.sort_values(["step", "concept_class", "concept"], ignore_index=True)
        words = {str(c): SPACE.describe(c) for c in SPACE.classes}
        found = findings(
            renamed, None, SPACE.train_classes, ["21"], words, concepts=("hue", "a light")
        )
        text = " ".join(finding.text for finding in found)
        assert "21 (blue bright) is taken for 01 (red bright)" in text


class TestScores:
    def scored(self, seen: Tensor, target: str, valid: Tensor | None = None) -> pd.DataFrame:
        probe = Probe(SPACE.names, SMALL, SPACE.sizes)
        marks = torch.ones(len(seen), dtype=torch.bool) if valid is None else valid
        scorer = Scorer(probe, lambda images: Judgement(seen, marks), SPACE.axes())
        scores = scorer(torch.rand(len(seen), 3, 8, 8), target)
        keys = {"run": "r", "seed": 0, "step": 1, "protocol": "naive", "setting": ""}
        return scores.assign(**keys, concept_class=target)

    def test_accuracy_is_the_probability_of_the_asked_value(self):
        seen = torch.tensor([[[0.2, 0.3, 0.5], [0.1, 0.9, 0.0]]] * 2)
        scores = self.scored(seen, "21", torch.tensor([True, False]))
        assert scores["accuracy"].tolist() == pytest.approx([0.5, 0.9, 0, 0])
        assert scores["coordinate"].tolist() == pytest.approx([0.65, 0.9, 0.5, 0.5])
        assert scores["p1"].tolist() == pytest.approx([0.3, np.nan, 0, np.nan], nan_ok=True)
        means = trajectory(scores).set_index("concept")
        assert means.loc["hue", "p2"] == pytest.approx(0.25)
        assert means.loc["joint", "accuracy"] == pytest.approx(0.225)

    def test_of_two_values_there_are_no_columns_of_single_values(self):
        probe = Probe(("a", "b"), SMALL)
        assert "p0" not in Scorer(probe)(torch.rand(2, 3, 8, 8), "01")

    def test_a_probe_gives_each_concept_its_own_number_of_values(self):
        probe = Probe(SPACE.names, SMALL, SPACE.sizes)
        found = probe.probabilities(torch.rand(5, 3, 8, 8))
        assert found.shape == (5, 2, 3)
        assert (found[:, 1, 2] == 0).all()
        torch.testing.assert_close(found.sum(2), torch.ones(5, 2))


def hued_world() -> ShapesWorld:
    means = ((0.8, 0.2, 0.2), (0.2, 0.8, 0.2), (0.2, 0.2, 0.8))
    hues = Concept("color", ("red", "green", "blue"), means, 0.05)
    return ShapesWorld(ConceptSpace((hues, size(0.4)), *paper_split((3, 2))), resolution=16)


def test_shapes_of_three_hues_have_images_a_signal_and_no_judge():
    world = hued_world()
    images, labels = world.labelled("train", 2, 0.1)
    assert images.shape == (12, 3, 16, 16)
    assert labels[:, 0].unique().tolist() == [0, 1, 2]
    distances = class_distances(world, samples=4)
    pairs = {tuple(row) for row in distances[["from_class", "to_class"]].to_numpy().tolist()}
    assert {("00", "10"), ("00", "20"), ("10", "20"), ("20", "21")} <= pairs
    assert len(pairs) == 9
    assert signal_figure(world.space, {"": (distances, {})})
    with pytest.raises(UserError, match="tells two values apart, and color has 3"):
        ShapesJudge(world)
    with pytest.raises(UserError, match="shape of the shapes world has 2 numbers"):
        ShapesWorld(
            ConceptSpace(
                (
                    Concept("shape", ("a", "b", "c"), tuple(map(tuple, np.eye(3).tolist()))),
                    color(0.4),
                ),
                *paper_split((3, 2)),
            )
        )


def test_figures_draw_between_two_values_and_say_which():
    figure = trajectory_figure(table(), SPACE, {})
    texts = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert "hue: red → blue" in texts
    assert any("blue bright" in text for text in texts)
    assert not any("green" in text for text in texts)
    assert story_figure(table(), [_log()], SPACE, {})
    assert conditions_figure({"one": table(), "two": table()}, SPACE, {}, label="which")


def _log() -> pd.DataFrame:
    steps = np.arange(1, 11)
    return pd.DataFrame({"step": steps, "loss": 1 / steps, "diffusion": 1 / steps})
