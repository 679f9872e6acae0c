"""A protocol that is made otherwise is another one, even where every name is the same."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from foreign import SPACE, Painter, judge

from conceptspace.errors import UserError
from conceptspace.files import read_record, write_record
from conceptspace.models.noise import Noise
from conceptspace.protocols.controls import MatchedControl
from conceptspace.protocols.fine_tuning import FineTuning
from conceptspace.protocols.intervention import LatentIntervention
from conceptspace.protocols.naive import Naive
from conceptspace.recording.described import described
from conceptspace.recording.recorder import Recorder
from conceptspace.settings.description import Section
from conceptspace.worlds.naming import SpacePrompts

WORLD = SpacePrompts(SPACE)
MOVED = LatentIntervention(WORLD, "hue", "side", (1.0,), (1.0,))
TUNED = FineTuning(WORLD, "training", draw=lambda c, n, g: (torch.zeros(n), torch.zeros(n)))


class Louder:
    """A protocol of one's own, whose settings' names tell nothing."""

    name = "louder"
    limit = 1.0

    def __init__(self, factor: Any = 2.0) -> None:
        self.factor = factor
        self._calls = 0

    def settings(self, concept_class):
        self._calls += 1
        return {"": lambda model, h: (model, 2 * h)} if concept_class == "11" else {}


class Capped(Louder):
    limit = 2.0


class Mine(Section):
    name: str = "mine"
    at: str = "start"

    def settings(self, concept_class):
        return {}


@dataclass
class Scale:
    by: float


def ask(folder: Path, protocol: Any) -> Recorder:
    with Recorder(folder, SPACE, judge, [protocol], samples=2) as recorder:
        recorder.checkpoint(4, Painter())
    return recorder


@pytest.mark.parametrize(
    ("before", "after", "how"),
    [
        (Louder(), Louder(3.0), "factor = 2.0, not 3.0"),
        (Louder(), Capped(), "class = 'Louder', not 'Capped'"),
        (Louder(torch.zeros(2)), Louder(torch.ones(2)), r"factor = 'torch.float32 \(2,\) .*, not "),
        (Louder({"a": 1}), Louder({"b": 1}), r"factor = \{'a': 1\}, not \{'b': 1\}"),
        (Louder(Scale(1.0)), Louder(Scale(2.0)), r"factor\.by = 1.0, not 2.0"),
        (Louder(Scale(1.0)), Louder(None), "factor = 'Scale', not None"),
        (Louder(partial(max, 1)), Louder(partial(max, 2)), r"factor = .*\[1\], .*, not .*\[2\], "),
    ],
)
def test_a_protocol_that_is_made_otherwise_is_refused(tmp_path, before, after, how):
    folder = tmp_path / "run"
    ask(folder, before)
    scores = (folder / "scores/louder/step-00000004.parquet").read_bytes()
    with pytest.raises(UserError, match=f"{folder} was asked by louder with {how}") as refused:
        ask(folder, after)
    assert f"rm -r {folder}/scores/louder {folder}/samples/louder" in str(refused.value)
    assert (folder / "scores/louder/step-00000004.parquet").read_bytes() == scores
    for kind in ("scores", "samples"):
        shutil.rmtree(folder / kind / "louder")
    ask(folder, after)
    with pytest.raises(UserError, match="was asked by louder with"):
        ask(folder, before)


def test_the_same_protocol_goes_on(tmp_path):
    for _ in range(2):
        asked = Louder(np.float32(0.1))
        ask(tmp_path / "run", asked)
        ask(tmp_path / "run", asked)  # what it counted meanwhile is its own affair
    kept = read_record(tmp_path / "run/run.json")["asked"]
    assert kept.pop("naive").keys() == {"prompts"}
    assert kept == {"louder": {"class": "Louder", "factor": float(np.float32(0.1)), "limit": 1.0,
                               "name": "louder"}}  # fmt: skip


def test_a_recording_of_which_nothing_is_kept_is_taken_at_its_word(tmp_path):
    ask(tmp_path / "run", Louder())
    path = tmp_path / "run/run.json"
    write_record(path, {k: v for k, v in read_record(path).items() if k != "asked"})
    ask(tmp_path / "run", Louder(3.0))
    assert read_record(path)["asked"]["louder"]["factor"] == 3.0


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (MOVED, replace(MOVED, add="side", remove="hue")),
        (MatchedControl(MOVED, "random"), MatchedControl(replace(MOVED, add="side"), "random")),
        (TUNED, replace(TUNED, learning_rate=0.1)),
        (Mine(), Mine(at="end")),
        (MOVED, replace(MOVED, world=SpacePrompts(replace(SPACE, ood_classes=())))),
    ],
)
def test_what_no_name_tells_is_described(one, other):
    (name,) = described([one])
    assert described([one]) == described([one, Naive()])
    assert described([one])[name] != described([other])[name]


def test_what_is_nobodys_setting_is_not_looked_into():
    endless: list[Any] = []
    endless.append(endless)
    noise = Noise(0, "11", range(2))
    made = described([Louder(endless)]) | {"called": described([Louder(noise)])["louder"]}
    assert "list" in str(made["louder"]["factor"])
    assert made["called"]["factor"] == "Noise"
    assert described([Louder(torch.Generator())])["louder"]["factor"] == "Generator"
