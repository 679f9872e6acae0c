"""Protocols, on their formulas and on a model whose capability at each step is known."""

from __future__ import annotations

import pandas as pd
import pytest
import torch
from late_model import ALIGNED, CAPABLE, STRENGTHS, Gain, late_model
from torch import Tensor

from conceptspace.analysis.elicitation import best_settings
from conceptspace.analysis.emergence import find_emergence
from conceptspace.config import RunConfig, TrainConfig
from conceptspace.errors import UserError
from conceptspace.experiment import parts
from conceptspace.judges.probe import Probe, ProbeSettings
from conceptspace.models.vdm import VDM
from conceptspace.protocols import registry
from conceptspace.protocols.base import Protocol
from conceptspace.protocols.guidance import Guidance
from conceptspace.protocols.intervention import LatentIntervention
from conceptspace.protocols.naive import Naive
from conceptspace.protocols.overprompting import Overprompting
from conceptspace.protocols.patching import EmbeddingPatching, Patched
from conceptspace.recording.evaluate import Evaluator, Sampling
from conceptspace.recording.scoring import Scorer, trajectory
from conceptspace.worlds.conditioning import Conditioning
from conceptspace.worlds.shapes.readout import AnalyticReadout
from conceptspace.worlds.shapes.world import ShapesWorld

STEPS = range(100, 1000, 100)


class ReadoutProbe(Probe):
    """The analytic read-out in the place of a trained probe."""

    def __init__(self, world: ShapesWorld) -> None:
        super().__init__(world.space.names, ProbeSettings(channels=(8,), features=8))
        self.readout = AnalyticReadout(world)

    def probabilities(self, images: Tensor, batch_size: int = 512) -> Tensor:
        seen = self.readout.coordinates(images).clamp(0, 1)
        return torch.stack([1 - seen, seen], dim=2)


@pytest.fixture(scope="module")
def scores(world: ShapesWorld) -> pd.DataFrame:
    """Every protocol at every step of the model that is aligned late."""
    conditioning = Conditioning(("color", "size"))
    sampling = Sampling(samples=2, steps=2)
    evaluator = Evaluator(world, conditioning, Scorer(ReadoutProbe(world)), sampling, 0)
    protocols = [
        Naive(),
        Overprompting(world, "color", STRENGTHS),
        LatentIntervention(world, "color", "size", (0.1, 1.0, 2.0), (0.1, 0.5)),
        Guidance((0.5, 1.0, 3.0)),
        EmbeddingPatching(world, Gain(1.0)),
    ]
    scores = []
    for step in STEPS:
        model = late_model(world, step)
        for protocol in protocols:
            for g in evaluator(model, protocol, ("11",)):
                labels = {"protocol": protocol.name, "setting": g.setting, "concept_class": "11"}
                scores.append(g.scores.assign(run="late", seed=0, step=step, **labels))
    return pd.concat(scores, ignore_index=True)


@pytest.mark.parametrize(
    ("protocol", "expected"),
    [
        ("naive", ALIGNED),
        ("overprompting-color", CAPABLE),
        ("latent-intervention", CAPABLE),
        ("patching", CAPABLE),
        ("guidance", ALIGNED),
    ],
)
def test_a_known_capability_is_dated_right(
    scores: pd.DataFrame, protocol: str, expected: int
) -> None:
    best = best_settings(trajectory(scores), scores)
    for column in ("accuracy", "honest"):
        table = best.assign(accuracy=best[column])
        (found,) = find_emergence(table, "11", protocol)
        assert (found.lower, found.upper) == (expected - 100, expected)


def test_no_protocol_elicits_what_is_not_there(scores: pd.DataFrame) -> None:
    table = trajectory(scores)
    early = table[(table["step"] < CAPABLE) & (table["concept"] == "joint")]
    assert early["accuracy"].max() < 0.2


def test_patching_uses_the_other_embedding(world: ShapesWorld) -> None:
    later = Gain(1.0)
    model = late_model(world, 100)
    patched, h = EmbeddingPatching(world, later).settings("11")[""](model, torch.rand(2, 11))
    assert isinstance(patched, Patched)
    torch.testing.assert_close(patched.embed_condition(h)[0], h)


def test_sweeps_leave_training_classes_alone(world: ShapesWorld) -> None:
    assert not Overprompting(world, "color", STRENGTHS).settings("01")
    assert not LatentIntervention(world, "color", "size", (1.0,), (1.0,)).settings("00")
    assert len(Guidance((0.0, 1.0)).settings("00")) == 2


def test_protocols_by_name() -> None:
    config = RunConfig()
    assert "guidance" not in registry.names(parts.context(config))
    dropped = parts.context(RunConfig(train=TrainConfig(condition_dropout=0.2)))
    names = registry.names(dropped)
    assert (names[0], len(set(names))) == ("naive", len(names))
    assert "guidance" in names
    for name in names:
        assert registry.make(name, dropped).name == name
    with pytest.raises(UserError, match="no protocol 'hypnosis'"):
        registry.make("hypnosis", parts.context(config))
    latent = [name for name in names if name.startswith("latent-")]
    assert len(latent) == 4
    for name in latent:
        assert len(registry.make(name, parts.context(config)).settings("11")) == 16


def test_patching_from_any_checkpoint() -> None:
    asked = []

    def load(step: int | None) -> VDM:
        asked.append(step)
        return parts.outline(RunConfig())

    run = parts.context(RunConfig(), load)
    assert registry.make("patching-2000", run).name == "patching-2000"
    assert registry.make("patching", run).name == "patching"
    assert asked == [2000, None]
    with pytest.raises(UserError, match="no protocol 'patching-last'"):
        registry.make("patching-last", run)


def test_a_list_is_no_protocol() -> None:
    assert isinstance(Naive(), Protocol)
    assert not isinstance([], Protocol)
    assert not isinstance("naive", Protocol)


def test_settings_that_six_digits_do_not_tell_apart_are_two() -> None:
    assert [*Guidance((2.51, 2.5100001)).settings("11")] == ["2.51", "2.5100001"]
    assert [*Guidance((1.0, 0.1, 1e-7, 1e6)).settings("11")] == ["1", "0.1", "1e-07", "1e+06"]
