from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from conceptspace import presets
from conceptspace.experiment import parts
from conceptspace.models.embeddings import SinusoidalEmbedding
from conceptspace.models.unet import UNet, normalization
from tiny import tiny_config


def inputs(batch=2, resolution=8, device=None):
    torch.manual_seed(0)
    return (
        torch.randn(batch, 3, resolution, resolution, device=device),
        torch.randn(batch, device=device),
        torch.randn(batch, 11, device=device),
    )


def parameters(module):
    return sum(p.numel() for p in module.parameters())


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
        assert parameters(paper_network) == 10_635_011

    def test_published_count_has_two_layers_that_are_never_applied(self, paper_network):
        """The deepest level's own downsampling and the finest level's own upsampling.

        The published count leaves out the two numbers of the noise schedule, as this one does.
        """
        deepest = nn.Conv2d(256, 256, 2, stride=2)
        finest = nn.ConvTranspose2d(64, 64, 2, stride=2)
        unused = parameters(deepest) + parameters(finest)
        assert unused == (4 * 256 * 256 + 256) + (4 * 64 * 64 + 64) == 278_848
        assert parameters(paper_network) + unused == 10_913_859

    def test_every_parameter_is_used(self):
        network = trained_like(UNet(11))
        network(*inputs(1, 8)).square().sum().backward()
        assert all(p.grad is not None and p.grad.any() for p in network.parameters())

    def test_floating_point_operations_of_a_training_step_at_batch_64(self, paper_network):
        counter = FlopCounterMode(display=False)
        with counter:
            paper_network(*inputs(1, 32, "meta")).square().sum().backward()
        assert 64 * counter.get_total_flops() == pytest.approx(447.1e9, rel=1e-3)

    def test_preset_builds_the_default_network(self, paper_network):
        model = parts.model(presets.paper())
        shapes = {name: p.shape for name, p in model.network.named_parameters()}
        assert shapes == {name: p.shape for name, p in paper_network.named_parameters()}


@pytest.mark.parametrize("norm", ["group", "layer"])
def test_untrained_network_predicts_its_input(norm):
    model = parts.model(tiny_config(model__norm=norm)).eval()
    z, gamma, h = inputs()
    assert torch.equal(model(z, gamma, h), z)


def test_every_input_matters_once_trained():
    model = trained_like(parts.model(tiny_config())).eval()
    z, gamma, h = inputs()
    base = model(z, gamma, h)
    for changed in ((z + 1, gamma, h), (z, gamma + 1, h), (z, gamma, h + 1)):
        assert (model(*changed) - base).abs().max() > 1e-3


def test_samples_of_a_batch_do_not_mix():
    model = trained_like(parts.model(tiny_config())).eval()
    z, gamma, h = inputs(3)
    alone = torch.cat([model(z[i : i + 1], gamma[i : i + 1], h[i : i + 1]) for i in range(3)])
    torch.testing.assert_close(model(z, gamma, h), alone, atol=1e-3, rtol=1e-4)


def test_information_crosses_the_whole_image():
    """Attention in the bottleneck: every output pixel depends on every input pixel."""
    model = trained_like(parts.model(tiny_config())).eval()
    z, gamma, h = inputs(1)
    z.requires_grad_(True)
    gradient = torch.autograd.grad(model(z, gamma, h)[0, :, 0, 0].sum(), z)[0]
    assert (gradient[0, :, -1, -1].abs() > 0).any()


@pytest.mark.parametrize("resolution", [4, 6, 10, 16])
@pytest.mark.parametrize("channels", [(8,), (8, 16)])
def test_any_resolution(resolution, channels):
    model = parts.model(tiny_config(data__resolution=resolution, model__channels=channels))
    z, gamma, h = inputs(resolution=resolution)
    assert model(z, gamma, h).shape == z.shape


def test_every_block_has_embeddings_of_its_own():
    network = parts.model(tiny_config(model__blocks=2)).network
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


def test_gelu_follows_both_layers_of_every_mlp():
    network = trained_like(parts.model(tiny_config()).network)
    lowest = F.gelu(torch.linspace(-2, 0, 10_001)).min().item()
    assert lowest == pytest.approx(-0.17, abs=0.001)
    _, gamma, h = inputs(500)
    shared = network.time(network.sinusoid(1000 * gamma))
    for e in (shared, *network.embed_condition(5 * h), *network.embed_time(gamma)):
        assert lowest - 1e-6 <= e.min() < 0
        assert e.max() > -lowest


def test_block_mlp_by_hand():
    network = trained_like(parts.model(tiny_config()).network)
    mlps, h = network.block_condition, torch.randn(3, 11)
    hidden = F.gelu(mlps.hidden(h)).split([w * len(b) for w, b in mlps.blocks.items()], dim=1)
    for part, (width, which) in zip(hidden, mlps.blocks.items(), strict=True):
        layer = mlps.out[str(width)]
        for i, block in enumerate(which):
            x = part[:, i * width : (i + 1) * width]
            expected = F.gelu(x @ layer.weight[i] + layer.bias[i])
            torch.testing.assert_close(network.embed_condition(h)[block], expected)


def test_downsampling_keeps_its_width(paper_network):
    """The first block of the next level widens."""
    trunk = paper_network.trunk
    widths = [(c.in_channels, c.out_channels, c.kernel_size, c.stride) for c in trunk.downsample]
    assert widths == [(64, 64, (2, 2), (2, 2)), (128, 128, (2, 2), (2, 2))]
    blocks = [[(b.conv1.in_channels, b.conv1.out_channels) for b in level] for level in trunk.down]
    assert blocks == [
        [(64, 64), (64, 64)],
        [(64, 128), (128, 128)],
        [(128, 256), (256, 256)],
    ]


def test_time_embedding_distinguishes_the_whole_range():
    embedding = SinusoidalEmbedding(64)(torch.linspace(0, 1000, 50))
    assert embedding.shape == (50, 64)
    assert torch.pdist(embedding).min() > 0.5
    torch.testing.assert_close(embedding.square().sum(1), torch.full((50,), 32.0))


def test_dropout_acts_in_training_only():
    model = trained_like(parts.model(tiny_config(model__dropout=0.5)))
    z, gamma, h = inputs()
    assert not torch.equal(model.train()(z, gamma, h), model(z, gamma, h))
    assert torch.equal(model.eval()(z, gamma, h), model(z, gamma, h))


def test_normalizations():
    x = torch.randn(2, 8, 4, 4) * 3 + 1
    layer = normalization("layer", 8, 4)(x)
    torch.testing.assert_close(layer.mean((1, 2, 3)), torch.zeros(2), atol=1e-5, rtol=0)
    group = normalization("group", 8, 4)(x).view(2, 4, 2, 4, 4)
    torch.testing.assert_close(group.mean((2, 3, 4)), torch.zeros(2, 4), atol=1e-5, rtol=0)


def test_weights_depend_on_the_seed_alone():
    torch.manual_seed(1)
    first = parts.model(tiny_config()).state_dict()
    before = torch.random.get_rng_state()
    again = parts.model(tiny_config()).state_dict()
    assert torch.equal(before, torch.random.get_rng_state())
    other = parts.model(tiny_config(seed=1)).state_dict()
    assert all(torch.equal(first[k], again[k]) for k in first)
    assert any(not torch.equal(first[k], other[k]) for k in first)
