"""Planted memorization, with a known class, strength and duration."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from tables import scores, trajectory

from conceptspace.analysis.memorization import bias, episodes, mass, memorization
from conceptspace.errors import UserError

TRAIN = ("00", "01", "10")
PATH = np.array([[[0.1, 0.2], [0.1, 0.9], [0.2, 0.9], [0.6, 0.9], [0.9, 0.9]]])
STEPS = [100, 200, 300, 400, 500]


def test_masses_of_all_classes_sum_to_one() -> None:
    point = np.array([[0.8, 0.2], [0.1, 0.9]])
    masses = [float(mass(point, name)) for name in ("00", "01", "10", "11")]
    assert masses == pytest.approx([0.08, 0.72, 0.02, 0.18])
    with pytest.raises(UserError):
        mass(point, "0")
    with pytest.raises(UserError, match="the value 2"):
        mass(point, "02")


def test_planted_memorization() -> None:
    found = memorization(trajectory(PATH, STEPS), TRAIN, "11")
    assert found["nearest"].tolist() == ["00", "01", "01", "01", "01"]
    assert found["strength"].tolist() == pytest.approx([0.72, 0.81, 0.72, 0.36, 0.09])
    assert found["memorized"].tolist() == [True, True, True, False, False]
    (episode,) = episodes(found)
    assert (episode.mistaken_for, episode.first, episode.last) == ("01", 200, 300)
    assert episode.strength == pytest.approx(0.81)
    assert episode.checkpoints == 2


def test_a_class_never_mistaken_has_no_episode() -> None:
    (episode,) = episodes(memorization(trajectory(np.full((1, 5, 2), 0.9), STEPS), TRAIN, "11"))
    assert (episode.mistaken_for, episode.strength, episode.checkpoints) == ("", 0.0, 0)
    assert np.isnan([episode.first, episode.last]).all()


def test_samples_tell_a_mixture_from_indecision() -> None:
    """Half of the images 01, half 10: the mean coordinates alone suggest a quarter of each."""
    halves = np.array([[0.0, 1.0], [1.0, 0.0]] * 4)
    samples = scores({"": halves}, protocol="naive")
    table = trajectory(np.full((1, 1, 2), 0.5), [100])
    assert memorization(table, TRAIN, "11")["strength"][0] == 0.25
    exact = memorization(table, ["01"], "11", scores=samples)
    assert (exact["strength"][0], exact["own"][0]) == (0.5, 0.0)
    with pytest.raises(UserError, match="lack checkpoints"):
        memorization(trajectory(np.full((1, 2, 2), 0.5), [100, 200]), TRAIN, "11", scores=samples)


def test_bias_has_the_sign_of_the_faster_concept() -> None:
    both = np.concatenate([PATH, PATH])
    found = bias(trajectory(both, STEPS), "11", until=300)
    assert found.value == pytest.approx(-(0.1 + 0.8 + 0.7) / 3)
    assert (found.low, found.high) == pytest.approx((found.value, found.value))
    mirrored = bias(trajectory(both, STEPS), "11", until=300, concepts=("size", "color"))
    assert mirrored.value == pytest.approx(-found.value)
    assert np.isnan(bias(trajectory(PATH, STEPS), "11").low)


def test_bias_reads_accuracy_of_the_prompted_bits() -> None:
    table = trajectory(np.array([[[0.1, 0.6]]]), [100], concept_class="01")
    assert bias(table, "01").value == pytest.approx(0.9 - 0.6)


def test_missing_columns_are_named() -> None:
    with pytest.raises(UserError, match="coordinate"):
        memorization(trajectory(PATH, STEPS).drop(columns="coordinate"), TRAIN, "11")
    with pytest.raises(UserError):
        episodes(pd.DataFrame({"seed": [0]}))
