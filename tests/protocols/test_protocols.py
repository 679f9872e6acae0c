"""Protocols, on their formulas and on a model whose capability at each step is known."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from conceptspace.analysis.elicitation import best_settings
from conceptspace.analysis.emergence import find_emergence
from conceptspace.config import EvaluateConfig, RunConfig, TrainConfig
from conceptspace.errors import UserError
from conceptspace.experiment import parts
from conceptspace.judges.probe import Probe, ProbeSettings
from conceptspace.models.schedule import LinearSchedule
from conceptspace.models.unet import BlockEmbeddings
from conceptspace.models.vdm import VDM
from conceptspace.protocols import registry
from conceptspace.protocols.base import Protocol
from conceptspace.protocols.controls import MatchedControl
from conceptspace.protocols.edits import project
from conceptspace.protocols.guidance import Guidance
from conceptspace.protocols.intervention import LatentIntervention
from conceptspace.protocols.naive import Naive
from conceptspace.protocols.overprompting import Overprompting
from conceptspace.protocols.patching import EmbeddingPatching, Patched
from conceptspace.recording.evaluate import Evaluator, Sampling
from conceptspace.recording.scoring import Scorer, trajectory
from conceptspace.space import Concept
from conceptspace.worlds.conditioning import Conditioning
from conceptspace.worlds.shapes.config import ShapesData
from conceptspace.worlds.shapes.readout import AnalyticReadout
from conceptspace.worlds.shapes.world import COLUMNS, ShapesWorld
from oracles import OracleNetwork

STRENGTHS = (1.5, 2.5, 3.5, 4.5)
CAPABLE, ALIGNED = 300, 600
STEPS = range(100, 1000, 100)


@pytest.fixture(scope="module")
def world() -> ShapesWorld:
    return parts.world(ShapesData(resolution=16, position_range=0.25))


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


def distances(concept: Concept, strengths: tuple[float, ...], bit: int = 1) -> list[list[float]]:
    return [concept.exaggerated(bit, s).tolist() for s in strengths]


def test_strengths_are_the_paper_colors() -> None:
    """At its separation of 0.2, where the class mean (.4, .4, .6) is the first of five."""
    color = parts.world(ShapesData(color_separation=0.2)).space.concepts[0]
    paper = [(0.4, 0.4, 0.6), (0.35, 0.35, 0.65), (0.25, 0.25, 0.75), (0.15, 0.15, 0.85)]
    found = distances(color, (1.0, *STRENGTHS))
    for value, expected in zip(found, [*paper, (0.05, 0.05, 0.95)], strict=True):
        assert value == pytest.approx(expected)
    assert found[0] == color.mean(1).tolist()


def test_strengths_are_multiples_of_the_distance_from_the_center(world: ShapesWorld) -> None:
    color, size = world.space.concepts
    assert color.exaggerated(0, 2.0).tolist() == pytest.approx([0.9, 0.1, 0.1])
    assert size.exaggerated(0, 1.5).item() == pytest.approx(0.75)
    assert size.exaggerated(1, 1.5).item() == pytest.approx(0.15)


def test_prompts_are_cut_at_the_limits_of_their_concept(world: ShapesWorld) -> None:
    color, size = world.space.concepts
    assert color.exaggerated(1, 3.0).tolist() == [0.0, 0.0, 1.0]
    assert size.exaggerated(1, 4.0).item() == pytest.approx(size.limits[0])
    assert size.exaggerated(0, 4.0).item() == pytest.approx(size.limits[1])


def test_one_hot_prompts_are_not_cut() -> None:
    world = parts.world(ShapesData(concepts=("shape", "x")))
    shape, x = world.space.concepts
    assert shape.exaggerated(1, 1.5).tolist() == [-0.25, 1.25]
    assert shape.categorical
    assert not x.categorical
    asked = Overprompting(world, "shape", (1.5, 2.5, 4.5)).settings("11")
    assert list(asked) == ["1.5", "2.5", "4.5"]


def test_prompts_that_the_limits_make_equal_are_asked_once() -> None:
    """With colors 0.4 apart, 2.5 is the limit; with colors 1 apart there is nothing beyond."""
    asked = Overprompting(parts.world(ShapesData()), "color", (3.5, 1.5, 2.5, 4.5)).settings("11")
    assert list(asked) == ["1.5", "2.5"]
    farthest = parts.world(ShapesData(color_separation=1.0, color_spread=0.0))
    assert not Overprompting(farthest, "color", STRENGTHS).settings("11")
    narrow = parts.world(ShapesData(color_separation=0.2))
    assert list(Overprompting(narrow, "color", STRENGTHS).settings("11")) == [
        "1.5",
        "2.5",
        "3.5",
        "4.5",
    ]


def test_a_direction_prompt_stands_on_the_target_side(world: ShapesWorld) -> None:
    color, size = world.space.concepts
    assert color.at_distance(1, 0.45).tolist() == pytest.approx([0.05, 0.05, 0.95])
    assert size.at_distance(0, 0.25).item() == pytest.approx(0.7)
    assert size.at_distance(1, 0.25).item() == pytest.approx(0.2)


def test_overprompting_changes_its_concept_alone(world: ShapesWorld) -> None:
    h = torch.rand(3, 11)
    model = late_model(world, 100)
    same, changed = Overprompting(world, "color", (2.25,)).settings("11")["2.25"](model, h)
    assert same is model
    expected = h.clone()
    expected[:, COLUMNS["color"]] = torch.tensor([0.05, 0.05, 0.95])
    torch.testing.assert_close(changed, expected)


def test_projection_by_hand() -> None:
    found = project(torch.tensor([[3.0, 4.0]]), torch.tensor([2.0, 0.0]))
    torch.testing.assert_close(found, torch.tensor([[3.0, 0.0]]))
    zero = project(torch.tensor([[3.0, 4.0]]), torch.zeros(2))
    torch.testing.assert_close(zero, torch.zeros(1, 2))


def intervention(world: ShapesWorld) -> LatentIntervention:
    return LatentIntervention(world, "color", "size", (0.5, 2.0), (0.5, 1.0))


def directions(large: float) -> tuple[Tensor, Tensor]:
    """Of the color blue and of a large size, with embeddings that pass h on."""
    blue, big = torch.zeros(11), torch.zeros(11)
    blue[COLUMNS["color"]] = torch.tensor([0.05, 0.05, 0.95])
    big[COLUMNS["size"]] = large
    return blue, big


class Mixing(BlockEmbeddings):
    """Three blocks of different widths that mix all entries of h."""

    def __init__(self) -> None:
        nn.Module.__init__(self)
        source = torch.Generator().manual_seed(0)
        self.matrices = [torch.randn(11, width, generator=source) for width in (5, 8, 3)]

    def forward(self, vector: Tensor) -> list[Tensor]:
        return [vector @ matrix for matrix in self.matrices]


def mixing_model(world: ShapesWorld) -> VDM:
    model = late_model(world, ALIGNED)
    model.network.embed_condition = Mixing().forward  # type: ignore[method-assign]
    return model


def along(e: Tensor, direction: Tensor) -> Tensor:
    return (e @ direction) / (direction @ direction) * direction


def test_latent_intervention_by_hand(world: ShapesWorld) -> None:
    """First what is added, then what is removed from the result, which overlaps with it."""
    model, h = mixing_model(world), torch.rand(3, 11)
    protocol = intervention(world)
    assert (protocol.name, protocol.order) == ("latent-intervention", "published")
    edited, same = protocol.settings("11")["alpha=2,beta=0.5"](model, h)
    torch.testing.assert_close(same, h)
    blue, large = (Mixing()(d[None]) for d in directions(0.6))
    found = edited.embed_condition(h)  # type: ignore[union-attr]
    for after, before, p, m in zip(found, Mixing()(h), blue, large, strict=True):
        for row, e in zip(after, before, strict=True):
            added = e + 2 * along(e, p[0])
            torch.testing.assert_close(row, added - 0.5 * along(added, m[0]))


def test_latent_intervention_of_the_text_by_hand(world: ShapesWorld) -> None:
    """h' = h + alpha h_blue - beta h_large, both of the same h."""
    model, h = mixing_model(world), torch.rand(3, 11)
    protocol = replace(intervention(world), order="text")
    assert protocol.name == "latent-intervention-text"
    edited, _ = protocol.settings("11")["alpha=2,beta=0.5"](model, h)
    blue, large = (Mixing()(d[None]) for d in directions(0.7))
    found = edited.embed_condition(h)  # type: ignore[union-attr]
    for after, before, p, m in zip(found, Mixing()(h), blue, large, strict=True):
        for row, e in zip(after, before, strict=True):
            expected = e + 2 * along(e, p[0]) - 0.5 * along(e, m[0])
            torch.testing.assert_close(row, expected)


def test_both_orders_agree_where_directions_are_orthogonal(world: ShapesWorld) -> None:
    """As with embeddings that pass h on, where color and size share no entry."""
    model = late_model(world, ALIGNED)
    h = Conditioning(("color", "size"))(world.class_mean("11"))[None]
    blue, large = directions(0.6)
    expected = h[0] + 2 * along(h[0], blue) - 0.5 * along(h[0], large)
    for protocol in (intervention(world), replace(intervention(world), order="text")):
        edited, _ = protocol.settings("11")["alpha=2,beta=0.5"](model, h)
        (found,) = edited.embed_condition(h)  # type: ignore[union-attr]
        torch.testing.assert_close(found[0], expected)


@pytest.mark.parametrize("order", ["published", "text"])
def test_directions_stand_on_the_side_of_the_class(world: ShapesWorld, order: str) -> None:
    """Blue and large for 11; other concepts than size are 0.45 from the middle."""
    protocol = replace(intervention(world), order=order)
    size = {"published": 0.15, "text": 0.25}[order]
    assert protocol._prompt("size", 0)[0, 7].item() == pytest.approx(0.45 + size)
    assert protocol._prompt("size", 1)[0, 7].item() == pytest.approx(0.45 - size)
    expected = torch.tensor([0.95, 0.05, 0.05])
    torch.testing.assert_close(protocol._prompt("color", 0)[0, COLUMNS["color"]], expected)


def displacements(
    protocol: LatentIntervention | MatchedControl, model: VDM, h: Tensor
) -> dict[str, list[Tensor]]:
    """By how much each setting moves each block's embeddings."""
    before = model.embed_condition(h)
    found = {}
    for name, setting in protocol.settings("11").items():
        edited, same = setting(model, h)
        assert same is h
        after = edited.embed_condition(h)  # type: ignore[union-attr]
        found[name] = [a - b for a, b in zip(after, before, strict=True)]
    return found


class TestMatchedControls:
    """Displacements of the intervention's norm that have nothing to do with its concepts."""

    @pytest.fixture
    def model(self, world: ShapesWorld) -> VDM:
        return mixing_model(world)

    @pytest.fixture
    def h(self) -> Tensor:
        return torch.rand(4, 11, generator=torch.Generator().manual_seed(1))

    @pytest.mark.parametrize("kind", ["scaling", "random"])
    def test_norms_equal_those_of_the_intervention(
        self, world: ShapesWorld, model: VDM, h: Tensor, kind: str
    ) -> None:
        matched = MatchedControl(intervention(world), kind)
        assert matched.name == f"latent-control-{kind}"
        wanted = displacements(intervention(world), model, h)
        found = displacements(matched, model, h)
        assert list(found) == list(wanted)
        for name in wanted:
            for mine, other in zip(found[name], wanted[name], strict=True):
                assert other.norm(dim=1).min() > 1e-3
                torch.testing.assert_close(mine.norm(dim=1), other.norm(dim=1))
                assert not torch.allclose(mine, other)

    def test_scaling_is_parallel_to_the_embedding(
        self, world: ShapesWorld, model: VDM, h: Tensor
    ) -> None:
        for moved in displacements(
            MatchedControl(intervention(world), "scaling"), model, h
        ).values():
            for d, e in zip(moved, model.embed_condition(h), strict=True):
                torch.testing.assert_close(torch.cosine_similarity(d, e), torch.ones(4))

    def test_random_directions_are_drawn_once_for_each_setting_and_block(
        self, world: ShapesWorld, model: VDM, h: Tensor
    ) -> None:
        control = MatchedControl(intervention(world), "random")
        found = displacements(control, model, h)
        again = displacements(control, model, h)
        units = {}
        for name, moved in found.items():
            assert all(map(torch.equal, moved, again[name])), "the same at each call"
            units[name] = [d / d.norm(dim=1, keepdim=True) for d in moved]
            for unit in units[name]:
                torch.testing.assert_close(unit, unit[:1].expand_as(unit))
        names = list(units)
        for block in range(3):
            rows = torch.stack([units[name][block][0] for name in names])
            similarity = (rows @ rows.T - torch.eye(len(names))).abs()
            assert similarity.max() < 0.999, "settings have directions of their own"

    def test_random_directions_do_not_depend_on_the_prompt(
        self, world: ShapesWorld, model: VDM, h: Tensor
    ) -> None:
        control = MatchedControl(intervention(world), "random")
        one, other = displacements(control, model, h), displacements(control, model, 1 - h)
        for name in one:
            for a, b in zip(one[name], other[name], strict=True):
                torch.testing.assert_close(torch.cosine_similarity(a, b), torch.ones(4))

    @pytest.mark.parametrize("kind", ["scaling", "random"])
    def test_training_classes_are_left_alone(self, world: ShapesWorld, kind: str) -> None:
        assert not MatchedControl(intervention(world), kind).settings("10")

    def test_an_embedding_of_zero_stays_finite(self, world: ShapesWorld, model: VDM) -> None:
        control = MatchedControl(intervention(world), "scaling")
        for moved in displacements(control, model, torch.zeros(2, 11)).values():
            assert all(torch.equal(d, torch.zeros_like(d)) for d in moved)


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


def test_latent_protocols_need_two_concepts() -> None:
    alone = RunConfig(
        data=ShapesData(concepts=("color",), train_classes=("0",), ood_classes=("1",))
    )
    names = registry.names(parts.context(alone), usual=True)
    assert names == ["naive", "overprompting-color", "patching"]


@pytest.mark.parametrize("strengths", [(0.5, 2.0), (1.0,)])
def test_strengths_that_ask_for_less_are_refused(strengths: tuple[float, ...]) -> None:
    weak = RunConfig(evaluate=EvaluateConfig(strengths=strengths))
    with pytest.raises(UserError, match="must all exceed 1, the strength of a naive prompt"):
        registry.make("overprompting-color", parts.context(weak))
    parts.validate(weak)
    asked = weak.model_copy(
        update={"evaluate": EvaluateConfig(strengths=strengths, protocols=("overprompting-size",))}
    )
    with pytest.raises(UserError, match="must all exceed 1"):
        parts.validate(asked)


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
