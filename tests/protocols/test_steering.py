"""Steering of modules and embeddings, and ensembles of prompts, by hand and on real models."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from conceptspace.config import RunConfig, merged
from conceptspace.engine.cuda_graph import Replayed
from conceptspace.engine.fusible import has_hooks
from conceptspace.errors import UserError
from conceptspace.experiment import parts
from conceptspace.models.adapters.flow import from_flow
from conceptspace.models.adapters.function import from_function
from conceptspace.models.generative import Hookable
from conceptspace.models.hooks import Hooked, hooked
from conceptspace.models.noise import Noise
from conceptspace.models.vdm import VDM
from conceptspace.protocols import registry
from conceptspace.protocols.draws import pairs
from conceptspace.protocols.embedding_steering import EmbeddingSteering
from conceptspace.protocols.ensembling import PromptEnsemble
from conceptspace.protocols.registry import Context
from conceptspace.protocols.steering import Steering
from conceptspace.recording.recorder import Recorder
from conceptspace.store import Run
from conceptspace.worlds.naming import SpacePrompts, named_space
from recording.foreign import SPACE, Painter, judge
from tiny import tiny_config

CONFIG = tiny_config()
BETWEEN = "network.trunk.middle.0"
LISTS = ("network.block_time", "network.block_condition")


@pytest.fixture(scope="module")
def model() -> VDM:
    """An untrained model that does not start as the identity."""
    made = parts.model(CONFIG)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter += 0.05 * torch.randn(
                parameter.shape, generator=torch.Generator().manual_seed(parameter.numel())
            )
    return made.eval()


@pytest.fixture
def inputs() -> tuple[Tensor, Tensor, Tensor]:
    source = torch.Generator().manual_seed(0)
    return (
        torch.randn(2, 3, 8, 8, generator=source),
        torch.zeros(2),
        torch.rand(2, 11, generator=source),
    )


def hooks(model: nn.Module) -> int:
    return sum(len(module._forward_hooks) for module in model.modules())


def called_modules() -> list[str]:
    """Every module but containers, the schedule, which the sampler asks, the network, whose parts
    the model calls, and those that give a list."""
    outline = parts.outline(CONFIG)
    containers = (nn.ModuleList, nn.ModuleDict)
    others = ("network", "schedule", *LISTS)
    return [n for n, m in outline.named_modules() if not isinstance(m, containers) | (n in others)]


@torch.no_grad()
@pytest.mark.parametrize("name", called_modules())
def test_hooks_fire_on_every_module_of_the_built_in_model(
    model: VDM, inputs: tuple[Tensor, Tensor, Tensor], name: str
) -> None:
    """No fused operation computes in the place of a module with a hook; its output is changed."""
    plain = model(*inputs)
    seen = []

    def change(y: Tensor) -> Tensor:
        seen.append(y)
        return y + 10.0 * torch.rand(y.shape, generator=torch.Generator().manual_seed(1)).to(y)

    moved = Hooked(model, name, change, "test")(*inputs)
    assert seen
    assert not torch.allclose(moved, plain)
    assert hooks(model) == 0
    assert torch.equal(model(*inputs), plain)


@torch.no_grad()
@pytest.mark.parametrize("name", ["network", "schedule", "network.trunk.down"])
def test_modules_that_are_not_called_are_refused(
    model: VDM, inputs: tuple[Tensor, Tensor, Tensor], name: str
) -> None:
    with pytest.raises(UserError, match=f"without calling its module '{name}'"):
        Hooked(model, name, lambda y: y, "test")(*inputs)
    assert hooks(model) == 0


@torch.no_grad()
@pytest.mark.parametrize("name", LISTS)
def test_modules_that_give_no_tensor_are_refused(
    model: VDM, inputs: tuple[Tensor, Tensor, Tensor], name: str
) -> None:
    """The hook fires, and there is no one output to move."""
    with pytest.raises(UserError, match=f"the module {name} gives a list, not a tensor"):
        Hooked(model, name, lambda y: y, "test")(*inputs)
    assert hooks(model) == 0


def test_hooks_are_gone_after_an_exception(
    model: VDM, inputs: tuple[Tensor, Tensor, Tensor]
) -> None:
    def fails(y: Tensor) -> Tensor:
        assert hooks(model) == 1
        assert has_hooks(model)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Hooked(model, BETWEEN, fails, "test")(*inputs)
    assert hooks(model) == 0
    assert not has_hooks(model)
    with pytest.raises(UserError, match=r"has no module 'network.middle'; it has, for example, n"):
        Hooked(model, "network.middle", fails, "test")(*inputs)
    with pytest.raises(UserError, match="needs a model with modules that can be hooked"):
        Hooked(lambda h: h, "layer", fails, "test")(inputs[0])


def test_of_several_outputs_the_first_is_changed() -> None:
    class Two(nn.Module, Hookable):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.LSTM(2, 2, batch_first=True)
            self.none = nn.Identity()

        def forward(self, x: Tensor) -> Tensor:
            self.none({"x": x})
            return self.inner(x)[0]

    made, x = Two(), torch.ones(1, 3, 2)
    assert torch.equal(Hooked(made, "inner", lambda y: 0 * y, "test")(x), torch.zeros(1, 3, 2))
    with pytest.raises(UserError, match="the module none gives a dict, not a tensor"):
        Hooked(made, "none", lambda y: y, "test")(x)


def test_a_recorded_graph_stands_aside_where_hooks_are(model: VDM) -> None:
    """What replays recorded work would run without the hook."""
    asked = []
    replayed = Replayed(lambda x: x, torch.device("cuda"), aside=lambda: has_hooks(model))
    replayed._record = lambda *_: asked.append(True)  # type: ignore[method-assign]
    with hooked(model, "", lambda y: y, "test"):
        assert replayed(torch.ones(1)) == 1
        model(torch.zeros(1, 3, 8, 8), torch.zeros(1), torch.zeros(1, 11))
    assert not asked


class Ledger(nn.Module, Hookable):
    """Its layer passes prompts on, plus noise; images are the layer's output in every pixel."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Identity()

    def forward(self, prompts: Tensor, noise: Noise) -> Tensor:
        self.asked = prompts
        y = self.layer(prompts + noise(prompts.shape[1]))
        return y.mean(1)[:, None, None, None].expand(-1, 3, 2, 2).sigmoid()


PROMPTS = SpacePrompts(SPACE)  # hue, side; (blue, right) is held out


def test_pairs_of_training_classes_differ_in_the_concept_alone() -> None:
    assert pairs(SPACE, "hue", "11") == [("00", "10")]
    assert pairs(SPACE, "side", "11") == [("00", "01")]
    three = named_space(
        {"hue": ("red", "green", "blue"), "side": ("left", "right"), "size": ("s", "l")},
        [("blue", "right", "l")],
    )
    assert pairs(three, "side", "211") == [("000", "010"), ("001", "011"), ("100", "110"),
                                           ("101", "111"), ("200", "210")]  # fmt: skip
    assert all(a[0] in "01" and b[0] == "2" for a, b in pairs(three, "hue", "211"))
    with pytest.raises(UserError, match="there is no concept 'tone'"):
        pairs(SPACE, "tone", "11")


def test_the_vector_is_the_difference_of_means_of_training_prompts() -> None:
    """With the same noise for both, the noise cancels."""
    model = Ledger()
    asked: list[str] = []

    def encode(name: str, count: int) -> Tensor:
        asked.append(name)
        return PROMPTS.class_mean(name).expand(count, -1)

    steering = Steering(PROMPTS, "hue", "layer", (1.0, 3.0), 5, encode)
    settings = steering.settings("11")
    assert list(settings) == ["module=layer,strength=1", "module=layer,strength=3"]
    v = steering.vector(model, pairs(SPACE, "hue", "11"))
    torch.testing.assert_close(v, torch.tensor([-1.0, 1.0, 0.0, 0.0]))
    moved, h = settings["module=layer,strength=3"](model, torch.zeros(2, 4))
    assert set(asked) == {"00", "10"}
    assert torch.equal(h, torch.zeros(2, 4))
    seen = []
    model.layer.register_forward_hook(lambda *call: seen.append(call[2]))
    model(h, Noise(0, "11", range(2)))
    moved(h, Noise(0, "11", range(2)))
    torch.testing.assert_close(seen[1], seen[0])  # this hook was there first
    images = [m(h, Noise(0, "11", range(2))) for m in (model, moved)]
    torch.testing.assert_close(images[0], images[1])  # the vector's mean is 0


def test_feature_maps_are_moved_by_channel() -> None:
    class Maps(nn.Module, Hookable):
        def __init__(self) -> None:
            super().__init__()
            self.maps = nn.Identity()

        def forward(self, prompts: Tensor, noise: Noise) -> Tensor:
            where = torch.arange(9.0).view(1, 1, 3, 3)
            return self.maps(prompts[:, :3, None, None] * (1 + where) / 10)

    model, h = Maps(), torch.zeros(2, 4)
    steering = Steering(PROMPTS, "hue", "maps", (1.0,), 4)
    moved, _ = steering.settings("11")["module=maps,strength=1"](model, h)
    found = moved(h, Noise(0, "11", range(2)))
    expected = torch.tensor([-0.5, 0.5, 0.0])[None, :, None, None].expand(2, 3, 3, 3)
    torch.testing.assert_close(found, expected)


def test_the_control_moves_as_far_in_a_direction_of_its_own() -> None:
    model, h, moves = Ledger(), torch.zeros(3, 4), []
    for control in (False, True, True):
        steering = Steering(PROMPTS, "hue", "layer", (2.0,), 4, control=control)
        (setting,) = steering.settings("11").values()
        moved, _ = setting(model, h)
        with torch.no_grad():
            moves.append(moved.change(h))
    assert steering.name == "steering-control-hue"
    steered, control, again = moves
    torch.testing.assert_close(steered.norm(dim=1), torch.full((3,), 2 * 2**0.5))
    torch.testing.assert_close(control.norm(dim=1), steered.norm(dim=1))
    assert torch.equal(control, again)
    assert torch.cosine_similarity(control, steered).abs().max() < 0.999


def test_what_cannot_be_compared_is_refused() -> None:
    lone = SpacePrompts(named_space({"hue": ("red", "blue")}, [("blue",)]))
    with pytest.raises(UserError, match="training classes that differ in 'hue' alone"):
        Steering(lone, "hue", "layer").settings("1")
    with pytest.raises(UserError, match="training classes that differ in 'hue' alone"):
        EmbeddingSteering(lone, "hue").settings("1")
    assert not Steering(PROMPTS, "hue", "layer").settings("01")
    few = Steering(PROMPTS, "hue", "layer", prompts=3, encode=lambda name, count: torch.zeros(2, 4))
    with pytest.raises(UserError, match="steering-hue needs 3 prompts of class 10 as a tensor"):
        few.vector(Ledger(), [("00", "10")])

    class Scalar(Ledger):
        def forward(self, prompts: Tensor, noise: Noise) -> Tensor:
            return self.layer(prompts.mean(1))

    with pytest.raises(UserError, match=r"gives a tensor of shape \(16,\) for 16 prompts"):
        Steering(PROMPTS, "hue", "layer").vector(Scalar(), [("00", "10")])


def test_a_foreign_model_is_steered_and_stays_as_it_is(tmp_path) -> None:
    """A flow and a function of modules are hookable; a recorder asks them like any other model."""
    net = Painter()
    steering = Steering(PROMPTS, "hue", "layers.1", (1.0,), 4)
    control = Steering(PROMPTS, "hue", "layers.1", (1.0,), 4, control=True)

    class Model(Painter, Hookable):
        pass

    model = Model()
    model.load_state_dict(net.state_dict())
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    with Recorder(tmp_path / "r", SPACE, judge, [steering, control], samples=3) as recorder:
        recorder.checkpoint(4, model)
    table = Run(tmp_path / "r").trajectory()
    assert set(table.protocol) == {"naive", "steering-hue", "steering-control-hue"}
    assert hooks(model) == 0
    assert all(torch.equal(model.state_dict()[name], w) for name, w in before.items())
    closed = pytest.raises(UserError, match=r"modules that can be hooked \(conceptspace.Hookable")
    with Recorder(tmp_path / "s", SPACE, judge, [steering], samples=3) as recorder, closed:
        recorder.checkpoint(4, net)


class Velocity(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(4, 3)

    def forward(self, x: Tensor, t: Tensor, h: Tensor) -> Tensor:
        return self.inner(h)[:, :, None, None] - x


@torch.no_grad()
@pytest.mark.parametrize("kind", ["flow", "function"])
def test_adapters_of_modules_are_hookable(kind: str) -> None:
    if kind == "flow":
        model = from_flow(Velocity(), (3, 4, 4), steps=2)
        name = "inner"
    else:
        net = nn.Sequential(nn.Flatten(1), nn.Linear(4, 12), nn.Unflatten(1, (3, 2, 2)))
        model = from_function(_First(net), (2,))
        name = "net.1"
    assert isinstance(model, Hookable)
    (setting,) = Steering(PROMPTS, "hue", name, (50.0,), 4).settings("11").values()
    h = torch.eye(4)[:2]
    plain = model(h, Noise(0, "11", range(2)))
    moved = setting(model, h)[0](h, Noise(0, "11", range(2)))
    assert not torch.allclose(moved, plain)
    assert torch.equal(model(h, Noise(0, "11", range(2))), plain)


class _First(nn.Module):
    """A function of prompts and noise that reads the prompts."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, prompts: Tensor, noise: Tensor) -> Tensor:
        return self.net(prompts)


@pytest.fixture
def run() -> Context:
    return parts.context(tiny_config(evaluate__elicitation_samples=2))


NAMES = [
    *(f"{kind}steering-{control}{concept}" for kind in ("", "embedding-")
      for control in ("", "control-") for concept in ("color", "size")),
    "ensemble", "ensemble-control-single", "ensemble-control-random",
]  # fmt: skip


def test_a_run_knows_them_but_asks_them_only_by_name(run: Context) -> None:
    assert set(NAMES) <= set(registry.names(run))
    assert not set(NAMES) & set(registry.names(run, usual=True))
    for name in NAMES:
        assert registry.make(name, run).name == name
    lone = RunConfig(data=tiny_config(data__concepts=["color"], data__train_classes=["0"],
                                      data__ood_classes=["1"]).data)  # fmt: skip
    found = registry.names(parts.context(lone))
    assert not [name for name in found if "steering" in name]


def evaluated(model: VDM, run: Context, name: str) -> dict[str, Tensor]:
    from test_protocols import ReadoutProbe

    from conceptspace.judges.judge import ShapesJudge
    from conceptspace.recording.evaluate import Evaluator
    from conceptspace.recording.scoring import Scorer

    evaluator = Evaluator(
        run.world,
        parts.conditioning(run.config.data),
        Scorer(ReadoutProbe(run.world), ShapesJudge(run.world)),
        parts.sampling(run.config, name),
        0,
    )
    made = evaluator(model, registry.make(name, run), run.world.space.classes)
    return {generated.setting: generated.images for generated in made}


@pytest.fixture(scope="module")
def plain(model: VDM) -> Tensor:
    """What the model makes when it is asked as it was trained."""
    run = parts.context(tiny_config(evaluate__elicitation_samples=2))
    return evaluated(model, run, "naive")[""]


@pytest.mark.parametrize("name", [name for name in NAMES if "size" not in name])
def test_the_built_in_model_is_asked_and_stays_as_it_is(
    model: VDM, run: Context, plain: Tensor, inputs: tuple[Tensor, Tensor, Tensor], name: str
) -> None:
    before = {key: weight.clone() for key, weight in model.state_dict().items()}
    noise = model(*inputs)
    found = evaluated(model, run, name)
    assert all(not torch.equal(images, plain) for images in found.values())
    assert len({images.numpy().tobytes() for images in found.values()}) == len(found)
    assert hooks(model) == 0
    assert all(torch.equal(model.state_dict()[key], weight) for key, weight in before.items())
    assert torch.equal(model(*inputs), noise)


def test_embeddings_move_by_the_difference_of_means(model: VDM, run: Context) -> None:
    steering = EmbeddingSteering(run.world, "color", (2.0,), 8)
    h = torch.rand(3, 11)
    edited, same = steering.settings("11")["strength=2"](model, h)
    assert torch.equal(same, h)
    from conceptspace.protocols.draws import encoder

    encode = encoder(run.world)
    means = [[e.mean(0) for e in model.embed_condition(encode(c, 8))] for c in ("00", "10")]
    found = edited.embed_condition(h)
    for e, a, b, after in zip(model.embed_condition(h), *means, found, strict=True):
        torch.testing.assert_close(after, e + 2 * (b - a))
    control = registry.make("embedding-steering-control-color", run).settings("11")
    steered = registry.make("embedding-steering-color", run).settings("11")
    for name in steered:
        moves = []
        for settings in (steered, control):
            found = settings[name](model, h)[0].embed_condition(h)
            moves.append([a - b for a, b in zip(found, model.embed_condition(h), strict=True)])
        for one, other in zip(*moves, strict=True):
            torch.testing.assert_close(one.norm(dim=1), other.norm(dim=1), rtol=1e-3, atol=1e-5)


def test_an_ensemble_is_the_mean_of_its_prompts_embeddings(model: VDM, run: Context) -> None:
    prompts = torch.rand(4, 11)

    def encode(name: str, count: int) -> Tensor:
        return prompts[:count] if name == "11" else torch.full((count, 11), float(int(name)))

    ask = PromptEnsemble(run.world, (2, 4), encode).settings("11")
    assert list(ask) == ["draws=2", "draws=4"]
    edited, h = ask["draws=2"](model, torch.rand(3, 11))
    for found, each in zip(
        edited.embed_condition(h), model.embed_condition(prompts[:2]), strict=True
    ):
        torch.testing.assert_close(found, each.mean(0).expand(3, -1))
    (single,) = PromptEnsemble(run.world, (2,), encode, "single").settings("11").values()
    same, turns = single(model, torch.rand(3, 11))
    assert same is model
    assert torch.equal(turns, prompts[[0, 1, 0]])


def test_prompts_that_are_all_the_same_make_no_ensemble() -> None:
    with pytest.raises(UserError, match="all 4 prompts of class 11 are the same"):
        PromptEnsemble(PROMPTS).settings("11")
    assert not PromptEnsemble(PROMPTS).settings("01")


def test_a_module_that_is_not_there_is_refused_before_any_training():
    config = tiny_config(evaluate__protocols=["steering-color"])
    parts.validate(config)
    changed = merged(config, {"protocols": {"steering": {"module": "network.trunk.dwn"}}}, "test")
    with pytest.raises(UserError, match=r"VDM has no module 'network.trunk.dwn'; it has, for"):
        parts.validate(changed)
