from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from conceptspace import build, presets
from conceptspace.diffusion.unet import SinusoidalEmbedding, UNet, normalisation
from tiny import tiny_config


def inputs(batch=2, resolution=8, device=None):
    torch.manual_seed(0)
    return (
        torch.randn(batch, 3, resolution, resolution, device=device),
        torch.randn(batch, device=device),
        torch.randn(batch, 11, device=device),
    )


def trained_like(model):
    """A model whose zero-initialised convolutions have become something."""
    source = torch.Generator().manual_seed(0)
    for parameter in (p for p in model.parameters() if p.ndim > 0):
        scale = parameter[0].numel() ** -0.5
        parameter.data = torch.randn(parameter.shape, generator=source) * scale
    return model


@pytest.fixture(scope="module")
def paper_network():
    with torch.device("meta"):
        return UNet(11)


class TestPaperSize:
    def test_parameters(self, paper_network):
        count = sum(p.numel() for p in paper_network.parameters())
        assert count == pytest.approx(11_044_803, rel=0.01)

    def test_floating_point_operations_of_a_training_step_at_batch_64(self, paper_network):
        counter = FlopCounterMode(display=False)
        with counter:
            paper_network(*inputs(1, 32, "meta")).square().sum().backward()
        assert 440e9 < 64 * counter.get_total_flops() < 480e9

    def test_preset_builds_the_default_network(self, paper_network):
        model = build.model(presets.paper())
        shapes = {name: p.shape for name, p in model.network.named_parameters()}
        assert shapes == {name: p.shape for name, p in paper_network.named_parameters()}


@pytest.mark.parametrize("norm", ["group", "layer"])
def test_untrained_network_predicts_its_input(norm):
    model = build.model(tiny_config(model__norm=norm)).eval()
    z, gamma, h = inputs()
    assert torch.equal(model(z, gamma, h), z)


def test_every_input_matters_once_trained():
    model = trained_like(build.model(tiny_config())).eval()
    z, gamma, h = inputs()
    base = model(z, gamma, h)
    for changed in ((z + 1, gamma, h), (z, gamma + 1, h), (z, gamma, h + 1)):
        assert (model(*changed) - base).abs().max() > 1e-3


def test_samples_of_a_batch_do_not_mix():
    model = trained_like(build.model(tiny_config())).eval()
    z, gamma, h = inputs(3)
    alone = torch.cat([model(z[i : i + 1], gamma[i : i + 1], h[i : i + 1]) for i in range(3)])
    torch.testing.assert_close(model(z, gamma, h), alone, atol=1e-3, rtol=1e-4)


def test_information_crosses_the_whole_image():
    """Attention in the bottleneck: every output pixel depends on every input pixel."""
    model = trained_like(build.model(tiny_config())).eval()
    z, gamma, h = inputs(1)
    z.requires_grad_(True)
    gradient = torch.autograd.grad(model(z, gamma, h)[0, :, 0, 0].sum(), z)[0]
    assert (gradient[0, :, -1, -1].abs() > 0).any()


@pytest.mark.parametrize("resolution", [4, 6, 10, 16])
@pytest.mark.parametrize("channels", [(8,), (8, 16)])
def test_any_resolution(resolution, channels):
    model = build.model(tiny_config(data__resolution=resolution, model__channels=channels))
    z, gamma, h = inputs(resolution=resolution)
    assert model(z, gamma, h).shape == z.shape


def test_every_block_has_embeddings_of_its_own():
    network = build.model(tiny_config(model__blocks=2)).network
    widths = network.trunk.block_widths()
    assert len(widths) == 2 * 2 + 2 + 2 * 2
    assert [e.shape[1] for e in network.embed_condition(torch.zeros(1, 11))] == widths
    assert [e.shape[1] for e in network.embed_time(torch.zeros(1))] == widths
    trained_like(network)
    z, gamma, h = inputs(1)
    conditions = [e.detach() for e in network.embed_condition(h)]
    base = network.denoise(z, gamma, conditions)
    for i in range(len(widths)):
        moved = [e + torch.randn(e.shape) * (j == i) for j, e in enumerate(conditions)]
        assert (network.denoise(z, gamma, moved) - base).abs().max() > 1e-3


def test_time_embedding_distinguishes_the_whole_range():
    embedding = SinusoidalEmbedding(64)(torch.linspace(0, 1000, 50))
    assert embedding.shape == (50, 64)
    assert torch.pdist(embedding).min() > 0.5
    torch.testing.assert_close(embedding.square().sum(1), torch.full((50,), 32.0))


def test_dropout_acts_in_training_only():
    model = trained_like(build.model(tiny_config(model__dropout=0.5)))
    z, gamma, h = inputs()
    assert not torch.equal(model.train()(z, gamma, h), model(z, gamma, h))
    assert torch.equal(model.eval()(z, gamma, h), model(z, gamma, h))


def test_normalisations():
    x = torch.randn(2, 8, 4, 4) * 3 + 1
    layer = normalisation("layer", 8, 4)(x)
    torch.testing.assert_close(layer.mean((1, 2, 3)), torch.zeros(2), atol=1e-5, rtol=0)
    group = normalisation("group", 8, 4)(x).view(2, 4, 2, 4, 4)
    torch.testing.assert_close(group.mean((2, 3, 4)), torch.zeros(2, 4), atol=1e-5, rtol=0)


def test_weights_depend_on_the_seed_alone():
    torch.manual_seed(1)
    first = build.model(tiny_config()).state_dict()
    before = torch.random.get_rng_state()
    again = build.model(tiny_config()).state_dict()
    assert torch.equal(before, torch.random.get_rng_state())
    other = build.model(tiny_config(seed=1)).state_dict()
    assert all(torch.equal(first[k], again[k]) for k in first)
    assert any(not torch.equal(first[k], other[k]) for k in first)
