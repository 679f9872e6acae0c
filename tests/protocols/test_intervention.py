"""Latent interventions by hand, and their controls of equal size."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from late_model import ALIGNED, late_model
from torch import Tensor, nn

from conceptspace.config import RunConfig
from conceptspace.experiment import parts
from conceptspace.models.unet import BlockEmbeddings
from conceptspace.models.vdm import VDM
from conceptspace.protocols import registry
from conceptspace.protocols.controls import MatchedControl
from conceptspace.protocols.edits import project
from conceptspace.protocols.intervention import LatentIntervention
from conceptspace.worlds.conditioning import Conditioning
from conceptspace.worlds.shapes.config import ShapesData
from conceptspace.worlds.shapes.world import COLUMNS, ShapesWorld


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


def test_latent_protocols_need_two_concepts() -> None:
    alone = RunConfig(
        data=ShapesData(concepts=("color",), train_classes=("0",), ood_classes=("1",))
    )
    names = registry.names(parts.context(alone), usual=True)
    assert names == ["naive", "overprompting-color", "patching"]
