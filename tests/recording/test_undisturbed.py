"""What is recorded leaves networks, prompts, images and random numbers as they are."""

from __future__ import annotations

import random
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from foreign import SPACE, judge, patches
from PIL import Image
from torch import Tensor, nn

from conceptspace.errors import Diverged, UserError
from conceptspace.models import modes
from conceptspace.models.adapters.flow import from_flow
from conceptspace.models.adapters.function import from_function
from conceptspace.models.generative import EditableModel
from conceptspace.models.modes import networks
from conceptspace.protocols.base import offered
from conceptspace.protocols.ensembling import PromptEnsemble
from conceptspace.recording.recorder import Recorder
from conceptspace.store import Run
from conceptspace.worlds.naming import SpacePrompts

WIDTH = 4


class Painter(nn.Module):
    """Images of noise by a network whose batch norm would notice that it is used."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(2 * WIDTH, 108), nn.BatchNorm1d(108), nn.Dropout(0.5))

    def forward(self, prompts: Tensor, noise: Tensor) -> Tensor:
        return self.layers(torch.cat([prompts, noise], 1)).view(-1, 3, 6, 6).sigmoid()


class Holder:
    """A network as an attribute."""

    def __init__(self, network: nn.Module) -> None:
        self.network = network

    def __call__(self, prompts: Tensor, noise: object) -> Tensor:
        return self.network(prompts, noise(WIDTH))


class Sampler:
    """A network inside an object that cannot be called, in a slot."""

    __slots__ = "network"

    def __init__(self, network: nn.Module) -> None:
        self.network = network

    def sample(self, prompts: Tensor, noise: object) -> Tensor:
        return self.network(prompts, noise(WIDTH))


def in_a_sampler(network: nn.Module):
    sampler = Sampler(network)
    return lambda prompts, noise: sampler.sample(prompts, noise)


class LowRank(nn.Linear):
    """Layers that merge a weight of low rank into their own while they are evaluated."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs)
        self.low = nn.Parameter(torch.ones(outputs, 1) / 4)
        self.merged = False

    def train(self, mode: bool = True):
        if mode == self.merged:
            self.weight.data += self.low if self.merged is False else -self.low
            self.merged = not mode
        return super().train(mode)


def perfect(prompts: Tensor, noise: object) -> Tensor:
    return torch.stack([patches(f"{int(p[1] > p[0])}{int(p[3] > p[2])}", 1)[0] for p in prompts])


def recorder(folder: Path, *protocols: object, **changes: object) -> Recorder:
    return Recorder(folder, SPACE, changes.pop("judge", judge), protocols, samples=4, **changes)


def closed(network: nn.Module):
    return lambda prompts, noise: network(prompts, noise(WIDTH))


def in_a_list(network: nn.Module):
    several = {"experts": [network]}
    return lambda prompts, noise: several["experts"][0](prompts, noise(WIDTH))


def flowing(network: nn.Module):
    """A velocity that is a function over a network."""

    def velocity(x: Tensor, t: Tensor, h: Tensor) -> Tensor:
        return network(h, x.flatten(1)[:, :WIDTH])

    return from_flow(velocity, (3, 6, 6), steps=2)


def in_functions_that_call_each_other(network: nn.Module):
    HELD.clear()
    HELD["network"] = network
    return third


HELD: dict[str, object] = dict.fromkeys(map(str, range(70)))


def first(prompts: Tensor, noise: object) -> Tensor:
    return torch.cat([HELD["network"](*both) for both in [(prompts, noise(WIDTH))]])


def second(prompts: Tensor, noise: object) -> Tensor:
    return first(prompts, noise)


def third(prompts: Tensor, noise: object) -> Tensor:
    return second(prompts, noise)


class OfTheClass:
    """A network as an attribute of a class, used by a method that another one calls."""

    networks: list[nn.Module]

    def draw(self, prompts: Tensor, noise: object) -> Tensor:
        return self.networks[0](prompts, noise(WIDTH))

    def __call__(self, prompts: Tensor, noise: object) -> Tensor:
        return self.draw(prompts, noise)


def in_a_class(network: nn.Module):
    return type("Made", (OfTheClass,), {"networks": [network]})()


def four_deep(network: nn.Module):
    app = Sampler(Sampler(Sampler(Sampler(network))))

    def draw(prompts: Tensor, noise: object) -> Tensor:
        return app.network.network.network.sample(prompts, noise)

    return draw


class Touchy:
    """Something that fails when it is asked for what it does not have."""

    __slots__ = ("unset",)

    def __getattr__(self, name: str) -> object:
        raise RuntimeError(name)


def beside_something_touchy(network: nn.Module):
    touchy = Touchy()
    return lambda prompts, noise: (touchy, network(prompts, noise(WIDTH)))[1]


MADE = {
    "touchy": beside_something_touchy,
    "from_function": partial(from_function, shape=(WIDTH,)),
    "closure": closed,
    "attribute": Holder,
    "method": lambda network: Holder(network).__call__,
    "partial": lambda network: partial(lambda of, p, noise: of(p, noise(WIDTH)), network),
    "flow": flowing,
    "list": in_a_list,
    "sampler": lambda network: Sampler(network).sample,
    "closed sampler": in_a_sampler,
    "functions": in_functions_that_call_each_other,
    "class": in_a_class,
    "four deep": four_deep,
}


@pytest.mark.parametrize("made", MADE.values(), ids=MADE)
def test_a_network_behind_any_model_is_in_evaluation_mode(tmp_path, made):
    network = Painter()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    assert networks(made(network)) == [network]
    with recorder(tmp_path / "r") as opened:
        opened.checkpoint(4, made(network))
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    assert all(layer.training for layer in network.modules())


def test_looking_for_networks_ends(monkeypatch):
    monkeypatch.setattr(modes, "MOST", 50)
    far = [[Painter()] for _ in range(40)]
    assert len(networks([far, [[list(range(30))] for _ in range(30)], Painter()])) == 1
    monkeypatch.undo()
    assert len(networks([far, Painter()])) == 41


def test_a_layer_that_changes_with_its_mode_changes_back(tmp_path):
    network = Painter()
    layer = network.layers[0] = LowRank(2 * WIDTH, 108)
    network.layers[2].eval()
    with recorder(tmp_path / "r") as opened:
        opened.checkpoint(4, closed(network))
    assert (layer.merged, layer.training) == (False, True)
    assert not network.layers[2].training


def test_a_judge_that_is_a_network_is_asked_in_evaluation_mode(tmp_path):
    class Doubtful(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.drop = nn.Dropout(0.9)

        def forward(self, images: Tensor) -> Tensor:
            return self.drop((judge(images) - 0.5) * 20).sigmoid()

    asked = Doubtful()
    with recorder(tmp_path / "r", judge=asked) as opened:
        (found,) = opened.checkpoint(1, perfect)
    assert min(found.accuracies.values()) > 0.99
    assert asked.drop.training


@pytest.mark.parametrize("value", [float("inf"), float("-inf"), float("nan")])
def test_pixels_that_are_not_finite_are_no_images(tmp_path, value):
    endless = from_function(lambda p, x: torch.full((len(p), 3, 6, 6), value), (WIDTH,))
    with recorder(tmp_path / "r") as opened, pytest.raises(Diverged):
        opened.checkpoint(4, endless)


def test_changes_in_place_reach_nobody_else(tmp_path):
    seen = []

    class Wide:
        name = "wide"

        def settings(self, concept_class: str):
            def apply(model: object, h: Tensor):
                h *= 3
                return model, h

            return {"3": apply}

    def greedy(prompts: Tensor, noise: object) -> Tensor:
        seen.append(prompts.clone())
        prompts *= 2
        return perfect(prompts, noise)

    def grim(images: Tensor) -> Tensor:
        found = judge(images)
        images.sub_(0.5).div_(0.5)
        return found

    vectors = SpacePrompts(SPACE)
    own = {"prompts": lambda c, n: vectors.class_mean(c).repeat(n, 1), "judge": grim}
    for changes in (own, {"judge": grim}):
        seen.clear()
        folder = tmp_path / str(len(changes))
        with recorder(folder, Wide(), **changes) as opened:
            for step in (1, 2):
                opened.checkpoint(step, greedy)
        once = len(seen) // 2
        assert all(torch.equal(a, b) for a, b in zip(seen[:once], seen[once:], strict=True))
        plain, wide = seen[: once // 2], seen[once // 2 : once]
        assert all(torch.equal(3 * a, b) for a, b in zip(plain, wide, strict=True))
        with Image.open(Run(folder).sheets()[1].path) as sheet:
            assert max(high for _, high in sheet.convert("RGB").getextrema()) == 230


class Editable(EditableModel):
    """Draws what its embeddings say."""

    def embed_condition(self, h: Tensor) -> list[Tensor]:
        return [h]

    def from_embeddings(self, embeddings, noise: object) -> Tensor:
        return perfect(embeddings[0], noise)

    def __call__(self, prompts: Tensor, noise: object) -> Tensor:
        return perfect(prompts, noise)


def test_a_protocol_that_draws_leaves_the_random_numbers_and_draws_the_same(tmp_path):
    drawn = []

    def encode(concept_class: str, count: int) -> Tensor:
        drawn.append(torch.randn(count, 4))
        return SpacePrompts(SPACE).class_mean(concept_class) + drawn[-1]

    protocol = PromptEnsemble(SpacePrompts(SPACE), (4,), encode=encode)
    torch.manual_seed(3)
    before = torch.get_rng_state()
    with recorder(tmp_path / "r", protocol) as opened:
        for step in (1, 2, 2):
            opened.checkpoint(step, Editable())
            assert torch.equal(torch.get_rng_state(), before)
    assert len(drawn) > 3
    assert all(torch.equal(drawn[0], each) for each in drawn)


def test_a_setting_that_draws_draws_the_same_in_a_run_as_in_a_recording():
    """Runs of the command line take their settings by the same way."""

    class Drawing:
        name = "drawing"

        def settings(self, concept_class: str):
            return {"": lambda model, h: (model, h + torch.randn(1))}

    torch.manual_seed(3)
    before = torch.get_rng_state()
    found = [offered(Drawing(), c)[""](None, torch.zeros(2))[1] for c in ("11", "11", "10")]
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


def test_random_numbers_of_numpy_go_on_and_python_s_are_the_same_at_every_checkpoint(tmp_path):
    """The tests' own checks of types draw from Python's meanwhile."""
    legacy = np.random.mtrand._rand  # what numpy.random.rand draws from
    seen = []

    def drawing(prompts: Tensor, noise: object) -> Tensor:
        seen.append((random.random(), legacy.rand()))
        return perfect(prompts, noise)

    legacy.seed(1)
    expected = legacy.rand(2)[1]
    legacy.seed(1)
    legacy.rand()
    with recorder(tmp_path / "r") as opened:
        opened.checkpoint(1, drawing)
        first, seen = seen, []
        opened.checkpoint(2, drawing)
    assert seen == first
    assert legacy.rand() == expected


class Levels:
    """Settings that set something on the model itself."""

    name = "levels"

    def settings(self, concept_class: str) -> dict[str, object]:
        def at(level: float):
            def apply(model: Lamp, prompts: Tensor):
                model.level = level
                return model, prompts

            return apply

        return {f"{level}": at(level) for level in (0.25, 0.75)}


class Lamp:
    level = 0.5

    def __call__(self, prompts: Tensor, noise: object) -> Tensor:
        return torch.full((len(prompts), 3, 6, 6), self.level)


def test_a_setting_that_changes_the_model_holds_for_its_own_images(tmp_path):
    def light(images: Tensor) -> Tensor:
        return images.mean((1, 2, 3))[:, None].expand(-1, len(SPACE.names))

    with recorder(tmp_path / "r", Levels(), judge=light) as opened:
        opened.checkpoint(1, Lamp())
    table = Run(tmp_path / "r").trajectory()
    found = table[(table["protocol"] == "levels") & (table["concept"] != "joint")]
    seen = found.groupby("setting")["coordinate"].mean()
    assert seen.to_dict() == pytest.approx({"0.25": 0.25, "0.75": 0.75})


def test_a_folder_that_is_moved_while_it_is_recorded_is_noticed(tmp_path):
    with recorder(tmp_path / "r") as opened:
        opened.checkpoint(1, perfect)
        (tmp_path / "r").rename(tmp_path / "elsewhere")
        with pytest.raises(UserError, match="was moved or removed while it was recorded"):
            opened.checkpoint(2, perfect)
        (tmp_path / "elsewhere").rename(tmp_path / "r")
    assert Run(tmp_path / "r").trajectory()["step"].unique().tolist() == [1]
