"""What a terminal shows while a run works."""

from __future__ import annotations

import pickle

from conceptspace.cli import progress
from conceptspace.events import Evaluated, Trained


def test_the_pace_is_that_of_the_training_however_late_its_steps_are_shown(capsys, monkeypatch):
    """A process that trains beside scoring tells of many steps at once."""
    monkeypatch.setattr(progress, "PLAIN_INTERVAL", -1.0)
    trained = [Trained(step, 401, at=100 + step / 20) for step in (1, 2, 201)]
    progress.show([Evaluated(1, "naive", {"11": 0.5}), *pickle.loads(pickle.dumps(trained))])
    assert capsys.readouterr().err.splitlines() == [
        "step 1: naive joint accuracy 11 0.50",
        "step 2 of 401, 20.0 steps/s, 0:19 left",
        "step 201 of 401, 20.0 steps/s, 0:10 left",
    ]


def test_steps_of_one_instant_have_no_pace_yet(capsys, monkeypatch):
    monkeypatch.setattr(progress, "PLAIN_INTERVAL", -1.0)
    progress.show([Trained(step, 9, at=7.0) for step in (1, 2)])
    assert capsys.readouterr().err == ""
