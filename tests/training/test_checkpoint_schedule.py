from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from conceptspace import presets
from conceptspace.experiment import parts
from conceptspace.training.checkpoint_schedule import EvenInRoot, StepSet, checkpoint_steps
from tiny import tiny_config


def test_paper_saves_60_checkpoints_evenly_in_the_square_root():
    steps = parts.checkpoints(presets.paper())
    assert len(steps) == 60
    assert (steps[0], steps[-1]) == (500, 20_000)
    expected = np.linspace(np.sqrt(500), np.sqrt(20_000), 60) ** 2
    assert np.abs(np.array(steps) - expected).max() <= 0.5


def test_linear_and_log():
    assert checkpoint_steps("linear", 100, 500, 5) == [100, 200, 300, 400, 500]
    assert checkpoint_steps("log", 1, 1000, 4) == [1, 10, 100, 1000]
    assert checkpoint_steps("sqrt", 0, 400, 3) == [0, 100, 400]


@given(
    st.sampled_from(["sqrt", "linear", "log"]),
    st.integers(0, 500),
    st.integers(1, 5000),
    st.integers(1, 80),
)
def test_increases_from_first_to_last(kind, first, last, count):
    assume(first <= last and (kind != "log" or first >= 1))
    steps = checkpoint_steps(kind, first, last, count)
    assert steps[-1] == last
    assert all(a < b for a, b in pairwise(steps))
    assert 1 <= len(steps) <= count
    if count > 1:
        assert steps[0] == first
    assert all(isinstance(step, int) for step in steps)
    if last - first >= 10 * count**2:
        assert kind == "log" or len(steps) == count, "no step is merged where there is room"


def test_explicit_steps_are_taken_as_they_are():
    config = tiny_config(train__checkpoint_steps=[1, 2, 7])
    assert parts.checkpoints(config) == [1, 2, 7]


@pytest.mark.parametrize("kind", ["sqrt", "linear", "log"])
def test_one_checkpoint_is_the_last_step(kind):
    assert checkpoint_steps(kind, 3, 9, 1) == [9]


@pytest.mark.parametrize("kind", [int, np.int64, np.uint8, np.array, torch.tensor])
@pytest.mark.parametrize("steps", [EvenInRoot(), StepSet({4, 16, 36})])
def test_whole_numbers_of_every_library_are_steps(kind, steps):
    assert [step for step in range(1, 40) if kind(step) in steps] == [4, 16, 36]


@pytest.mark.parametrize("step", [True, 4.0, np.float64(4), torch.tensor(4.0), "4", None, -4])
def test_what_is_no_step_is_not_planned(step):
    assert step not in EvenInRoot(0.5)
    assert step not in StepSet({1, 4})
