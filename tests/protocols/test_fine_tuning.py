"""A copy learns from a few examples, the model keeps its bytes, and adapters stay of low rank."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from conceptspace.analysis.elicitation import elicits, teaches
from conceptspace.analysis.verdict import gates, others
from conceptspace.errors import UserError
from conceptspace.models.adapters.diffusers import from_diffusers
from conceptspace.models.adapters.flow import from_flow
from conceptspace.models.generative import FineTunable
from conceptspace.models.noise import Noise
from conceptspace.models.schedule import LinearSchedule
from conceptspace.models.unet import UNet
from conceptspace.models.vdm import VDM
from conceptspace.protocols.fine_tuning import FineTuning
from conceptspace.seeding import generator
from conceptspace.space import ConceptSpace
from conceptspace.worlds.naming import SpacePrompts, named_space
from conceptspace.worlds.shapes.world import ShapesWorld
from tiny import tiny_config, tiny_session, tiny_world


@pytest.fixture(scope="module")
def world() -> ShapesWorld:
    return tiny_world()


def vdm() -> VDM:
    torch.manual_seed(0)
    network = UNet(
        11, channels=(8, 16), blocks=1, heads=2, groups=4, dropout=0.5, gamma_range=(-7.0, 7.0)
    )
    return VDM(network, LinearSchedule(-7.0, 7.0, learned=True), (-1.0, 1.0))


def unet_model():
    diffusers = pytest.importorskip("diffusers", reason="the extra diffusers is not installed")
    torch.manual_seed(0)
    unet = diffusers.UNet2DModel(
        sample_size=8,
        block_out_channels=(8, 16),
        layers_per_block=1,
        norm_num_groups=4,
        down_block_types=["DownBlock2D", "AttnDownBlock2D"],
        up_block_types=["AttnUpBlock2D", "UpBlock2D"],
        attention_head_dim=8,
        class_embed_type="identity",
    )
    return from_diffusers(unet, diffusers.DDPMScheduler(num_train_timesteps=50), steps=2)


class Field(nn.Module):
    """A velocity of images (3, 8, 8)."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Linear(192 + 1 + 11, 32), nn.SiLU(), nn.Linear(32, 192))

    def forward(self, x: Tensor, t: Tensor, h: Tensor) -> Tensor:
        return self.layers(torch.cat([x.flatten(1), t[:, None], h], 1)).view_as(x)


def flow_model():
    return from_flow(Field(), (3, 8, 8), steps=2, times=(1.0, 0.0))


def padded(world: ShapesWorld):
    """Examples whose prompts are as wide as the time embedding of the U-Net."""

    def draw(name: str, count: int, source: torch.Generator) -> tuple[Tensor, Tensor]:
        images, z = world.draw(name, count, source)
        return images, nn.functional.pad(z, (0, 21))

    return draw


def weights(model: object) -> nn.Module:
    """The module that holds a model's weights."""
    if isinstance(model, nn.Module):
        return model
    return getattr(model, "unet", None) or model.module


def tuned(protocol: FineTuning, model: FineTunable) -> FineTunable:
    (setting,) = protocol.settings("11").values()
    prompts = torch.zeros(2, 11)
    found, h = setting(model, prompts)
    assert h is prompts
    return found


def loss(model: FineTunable, images: Tensor, prompts: Tensor) -> float:
    """The mean over draws that are the same for every model."""
    with torch.no_grad():
        draws = [model.training_loss(images, prompts, generator(1, "test", i)) for i in range(20)]
    return float(torch.stack(draws).mean())


MODELS = {"vdm": vdm, "flow": flow_model, "diffusers": unet_model}


@pytest.mark.parametrize("rank", [0, 2])
@pytest.mark.parametrize("kind", MODELS)
def test_the_class_that_is_taught_becomes_likelier_and_the_model_stays(world, kind, rank):
    if rank:
        pytest.importorskip("peft", reason="the extra peft is not installed")
    model = MODELS[kind]()
    draw = padded(world) if kind == "diffusers" else None
    teaching = FineTuning(
        world, "held-out", steps=[20], examples=[8], draw=draw, rank=rank, learning_rate=3e-3
    )
    module = weights(model).train()
    module.requires_grad_(False)
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    torch.manual_seed(5)
    with torch.no_grad():
        taught = tuned(teaching, model)
    drawn = torch.rand(())
    torch.manual_seed(5)
    assert torch.equal(drawn, torch.rand(()))
    after = module.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert module.training
    assert not any(p.requires_grad or p.grad is not None for p in module.parameters())

    fresh = (draw or world.draw)("11", 16, generator(9, "fresh"))
    module.eval()
    assert loss(taught, *fresh) < loss(model, *fresh)
    copy = weights(taught)
    assert not copy.training
    assert [type(layer) for layer in copy.modules()] == [type(layer) for layer in module.modules()]


def test_adapters_change_linear_layers_and_convolutions_alone_and_by_a_low_rank(world):
    pytest.importorskip("peft", reason="the extra peft is not installed")
    model = vdm()
    adapted = tuned(FineTuning(world, "training", [5], [2], rank=2), model)
    before, changed = model.state_dict(), set()
    for name, tensor in weights(adapted).state_dict().items():
        difference = tensor - before[name]
        if difference.any():
            changed.add(name)
            assert torch.linalg.matrix_rank(difference.flatten(1), rtol=1e-4) <= 2
    layers = {f"{n}.weight" for n, m in model.named_modules() if type(m) in (nn.Linear, nn.Conv2d)}
    assert changed
    assert changed <= layers
    assert "network.trunk.attention.qkv.weight" in changed


def test_it_is_the_same_every_time_whatever_was_drawn_before(world):
    protocol = FineTuning(world, "training", [3], [2])
    first = weights(tuned(protocol, vdm())).state_dict()
    torch.rand(7)
    second = weights(tuned(protocol, vdm())).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    other = weights(tuned(replace(protocol, seed=1), vdm())).state_dict()
    assert not all(torch.equal(first[name], other[name]) for name in first)


class Seen(FineTunable, nn.Module):
    """Keeps what it is trained on."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))
        self.seen: list[tuple[Tensor, Tensor]] = []

    def tunable_copy(self):
        return self, self

    def training_loss(self, images, prompts, source):
        self.seen.append((images, prompts))
        return (self.weight - 1).square()


def labelled(name: str, count: int, source: torch.Generator) -> tuple[Tensor, Tensor]:
    """Images whose pixels, and prompts, are the number of the class."""
    number = float(int(name, 2))
    return torch.full((count, 1, 2, 2), number / 4), torch.full((count, 1), number)


@pytest.mark.parametrize("on", ["training", "held-out"])
def test_control_shows_the_same_images_with_prompts_that_say_nothing_of_them(on):
    space = named_space({"a": ("0", "1"), "b": ("0", "1")}, [("1", "1")])
    protocol = FineTuning(SpacePrompts(space), on, [200], [4], draw=labelled)
    asked, shuffled = Seen(), Seen()
    tuned(protocol, asked)
    tuned(replace(protocol, control=True), shuffled)
    assert len(asked.seen) == len(shuffled.seen) == 200
    matches = []
    for (images, prompts), (same, others_) in zip(asked.seen, shuffled.seen, strict=True):
        assert torch.equal(images, same)
        assert torch.equal(images[:, 0, 0, 0] * 4, prompts[:, 0])
        assert set(others_.flatten().tolist()) <= {0.0, 1.0, 2.0}
        matches.append((others_[:, 0] == prompts[:, 0]).float().mean())
    share = float(torch.stack(matches).mean())
    assert share == pytest.approx(1 / 3 if on == "training" else 0.0, abs=0.03)
    classes = {float(c) for images, _ in asked.seen for c in images[:, 0, 0, 0] * 4}
    assert classes == ({0.0, 1.0, 2.0} if on == "training" else {3.0})


def test_settings_and_names():
    space = named_space({"a": ("0", "1"), "b": ("0", "1")}, [("1", "1")])
    protocol = FineTuning(SpacePrompts(space), "training", [1, 2], [3, 4], draw=labelled)
    assert protocol.settings("00") == {}
    assert list(protocol.settings("11")) == [
        f"steps={k},examples={n}" for k in (1, 2) for n in (3, 4)
    ]
    names = [
        replace(protocol, on=on, rank=rank, control=control).name
        for on in ("training", "held-out")
        for rank in (0, 4)
        for control in (False, True)
    ]
    assert names == [
        f"fine-tuning-{on}{rank}{control}"
        for on in ("training", "held-out")
        for rank in ("", "-lora")
        for control in ("", "-control")
    ]
    assert [name for name in names if elicits(name)] == names[:3:2]
    assert [name for name in names if teaches(name)] == names[4:]
    assert others(names) == names[:3:2]
    assert gates(names) == names[1:4:2]


def space() -> ConceptSpace:
    return named_space({"a": ("0", "1")}, [("1",)])


def test_what_cannot_be_is_refused(world):
    with pytest.raises(UserError, match="SpacePrompts has no images; give draw="):
        FineTuning(SpacePrompts(space()), "training")
    with pytest.raises(UserError, match="1 step and 1 example or more"):
        FineTuning(world, "training", [0])
    with pytest.raises(UserError, match="needs a model with weights that can be fine-tuned"):
        tuned(FineTuning(world, "training", [1], [1]), from_flow(lambda x, t, h: x, (3, 8, 8)))
    with pytest.raises(UserError, match="take a smaller learning_rate than"):
        tuned(FineTuning(world, "training", [4], [1], learning_rate=float("inf")), vdm())


def test_guided_flows_of_modules_are_still_flows(world):
    model = from_flow(Field(), (3, 8, 8), steps=2, null=torch.zeros(11))
    found = tuned(FineTuning(world, "training", [1], [1]), model)
    noise = Noise(0, "11", range(2))
    assert found.guided(2.0)(torch.zeros(2, 11), noise).shape == (2, 3, 8, 8)


def test_saved_runs_are_asked_by_name_and_their_checkpoints_stay(tmp_path, probe_cache_folder):
    folder, config = tmp_path / "run", tiny_config(train__checkpoint_steps=(4, 9))
    session = tiny_session(folder, config, probe_cache_folder)
    list(session.execute())
    before = {path: path.read_bytes() for path in (folder / "checkpoints").iterdir()}
    names = [f"fine-tuning-{on}" for on in ("training", "training-control", "held-out")]
    own = {"fine-tuning": {"steps": (1,), "examples": (2,)}}
    list(session.evaluate(names, own=own))
    table = session.run.trajectory()
    tuned_ = table[table["protocol"].isin(names)]
    assert set(tuned_["protocol"]) == set(names)
    assert set(tuned_["step"]) == {4, 9}
    assert set(tuned_["setting"]) == {"steps=1,examples=2"}
    assert set(tuned_["concept_class"]) == {"11"}
    assert before == {path: path.read_bytes() for path in (folder / "checkpoints").iterdir()}
