"""Protocols, on their formulas and on a model whose capability at each step is known."""

from __future__ import annotations

import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from conceptspace import build
from conceptspace.analysis.elicitation import best_settings
from conceptspace.analysis.emergence import find_emergence
from conceptspace.config import DataConfig, RunConfig, TrainConfig
from conceptspace.data.conditioning import Conditioning
from conceptspace.data.shapes import COLUMNS, ShapesWorld
from conceptspace.diffusion.schedule import LinearSchedule
from conceptspace.diffusion.unet import BlockEmbeddings
from conceptspace.diffusion.vdm import VDM
from conceptspace.errors import UserError
from conceptspace.measurement.evaluate import Evaluator, Sampling
from conceptspace.measurement.probe import Probe, ProbeSettings
from conceptspace.measurement.protocols import (
    EmbeddingPatching,
    Guidance,
    LatentIntervention,
    Naive,
    Overprompting,
    Patched,
    project,
)
from conceptspace.measurement.readout import AnalyticReadout
from conceptspace.measurement.scoring import Scorer, trajectory
from oracles import OracleNetwork

STRENGTHS = (0.1, 0.15, 0.25, 0.35, 0.45)
CAPABLE, ALIGNED = 300, 600
STEPS = range(100, 1000, 100)


@pytest.fixture(scope="module")
def world() -> ShapesWorld:
    return build.world(DataConfig(resolution=16, position_range=0.25))


class Gain(BlockEmbeddings):
    """Condition embeddings that pass h on, its colour made weaker."""

    def __init__(self, gain: float) -> None:
        nn.Module.__init__(self)
        self.gain = gain

    def forward(self, vector: Tensor) -> list[Tensor]:
        scale = torch.ones(vector.shape[1])
        scale[COLUMNS["color"]] = self.gain
        return [vector * scale]


def late_model(world: ShapesWorld, step: int) -> VDM:
    """An ideal denoiser that can make 11 from step CAPABLE on, but is aligned only at ALIGNED.

    It makes a small blue object if the embedding is blue enough; until it is aligned the
    embedding halves the colour, and a naive prompt is mistaken for 10.
    """
    images = {str(c): world.render(world.class_mean(c)[None])[0] for c in world.space.classes}
    embeddings = Gain(1.0 if step >= ALIGNED else 0.5)

    def wanted(condition: Tensor) -> str:
        contrast = float(condition[6] - condition[4])
        if float(condition[COLUMNS["size"]]) >= 0.45 or contrast <= 0:
            return f"{int(contrast > 0)}{int(float(condition[COLUMNS['size']]) < 0.45)}"
        return "11" if step >= CAPABLE and contrast > 0.3 else "10"

    def ideal(z: Tensor, gamma: Tensor, conditions: Tensor) -> Tensor:
        x = torch.stack([images[wanted(c)] for c in conditions])
        a, s = torch.sigmoid(-gamma).sqrt(), torch.sigmoid(gamma).sqrt()
        return (z - a[:, None, None, None] * x) / s[:, None, None, None]

    network = OracleNetwork(ideal)
    network.embed_condition = embeddings.forward  # type: ignore[method-assign]
    return VDM(network, LinearSchedule(-7.0, 7.0, learned=True))


class ReadoutProbe(Probe):
    """The analytic read-out in the place of a trained probe."""

    def __init__(self, world: ShapesWorld) -> None:
        super().__init__(world.space.names, ProbeSettings(channels=(8,), features=8))
        self.readout = AnalyticReadout(world)

    def coordinates(self, images: Tensor, batch_size: int = 512) -> Tensor:
        return self.readout.coordinates(images).clamp(0, 1)


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
    parts = []
    for step in STEPS:
        model = late_model(world, step)
        for protocol in protocols:
            for g in evaluator(model, protocol, ("11",)):
                labels = {"protocol": protocol.name, "setting": g.setting, "concept_class": "11"}
                parts.append(g.scores.assign(run="late", seed=0, step=step, **labels))
    return pd.concat(parts, ignore_index=True)


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


def test_strengths_are_the_paper_colors(world: ShapesWorld) -> None:
    concept = world.space.concepts[0]
    values = [concept.extrapolated(1, s).tolist() for s in STRENGTHS]
    paper = [(0.4, 0.4, 0.6), (0.35, 0.35, 0.65), (0.25, 0.25, 0.75), (0.15, 0.15, 0.85)]
    for value, expected in zip(values, [*paper, (0.05, 0.05, 0.95)], strict=True):
        assert value == pytest.approx(expected)


def test_extrapolation_goes_to_the_target_side(world: ShapesWorld) -> None:
    size = world.space.concepts[1]
    assert size.extrapolated(0, 0.25).item() == pytest.approx(0.7)
    assert size.extrapolated(1, 0.25).item() == pytest.approx(0.2)


def test_overprompting_changes_its_concept_alone(world: ShapesWorld) -> None:
    h = torch.rand(3, 11)
    model = late_model(world, 100)
    same, changed = Overprompting(world, "color", (0.45,)).settings("11")["0.45"](model, h)
    assert same is model
    expected = h.clone()
    expected[:, COLUMNS["color"]] = torch.tensor([0.05, 0.05, 0.95])
    torch.testing.assert_close(changed, expected)


def test_projection_by_hand() -> None:
    found = project(torch.tensor([[3.0, 4.0]]), torch.tensor([2.0, 0.0]))
    torch.testing.assert_close(found, torch.tensor([[3.0, 0.0]]))
    zero = project(torch.tensor([[3.0, 4.0]]), torch.zeros(2))
    torch.testing.assert_close(zero, torch.zeros(1, 2))


def test_latent_intervention_by_hand(world: ShapesWorld) -> None:
    """h' = h + alpha h_blue - beta h_large with embeddings that pass h on."""
    model = late_model(world, ALIGNED)
    protocol = LatentIntervention(world, "color", "size", (2.0,), (0.5,))
    h = Conditioning(("color", "size"))(world.class_mean("11"))[None]
    edited, same = protocol.settings("11")["alpha=2,beta=0.5"](model, h)
    torch.testing.assert_close(same, h)
    blue, large = torch.zeros(11), torch.zeros(11)
    blue[COLUMNS["color"]] = torch.tensor([0.05, 0.05, 0.95])
    large[COLUMNS["size"]] = 0.7
    along = (h[0] @ blue) / (blue @ blue) * blue
    away = (h[0] @ large) / (large @ large) * large
    (found,) = edited.embed_condition(h)  # type: ignore[union-attr]
    torch.testing.assert_close(found[0], h[0] + 2 * along - 0.5 * away)


def test_control_directions_keep_their_norm(world: ShapesWorld) -> None:
    model = late_model(world, ALIGNED)
    make = {
        s: LatentIntervention(world, "color", "size", (1.0,), (0.0,), shuffled=s)
        for s in (True, False)
    }
    prompt = make[False]._prompt("color", 1)
    (plain,) = make[False]._directions(model, prompt, "add")
    (shuffled,) = make[True]._directions(model, prompt, "add")
    assert not torch.equal(plain, shuffled)
    torch.testing.assert_close(plain.sort().values, shuffled.sort().values)


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
    names = build.protocol_names(config)
    assert "guidance" not in names
    dropped = RunConfig(train=TrainConfig(condition_dropout=0.2))
    assert "guidance" in build.protocol_names(dropped)
    for name in build.protocol_names(dropped):
        assert build.protocol(name, dropped, lambda step: Gain(1.0)).name == name
    with pytest.raises(UserError, match="no protocol 'hypnosis'"):
        build.protocol("hypnosis", config, lambda step: Gain(1.0))
    latent = build.protocol("latent-intervention", config, lambda step: Gain(1.0))
    assert len(latent.settings("11")) == 16


def test_patching_from_any_checkpoint() -> None:
    asked = []

    def later(step: int | None) -> Gain:
        asked.append(step)
        return Gain(1.0)

    config = RunConfig()
    assert build.protocol("patching-2000", config, later).name == "patching-2000"
    assert build.protocol("patching", config, later).name == "patching"
    assert asked == [2000, None]
    with pytest.raises(UserError, match="no protocol 'patching-last'"):
        build.protocol("patching-last", config, later)
