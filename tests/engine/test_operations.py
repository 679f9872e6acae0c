from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from conceptspace.engine import fusible
from conceptspace.engine.native.compiling import Native, native
from conceptspace.engine.operations import norm_gelu

needs_kernels = pytest.mark.skipif(native().library is None, reason=native().reason)


def arguments(channels=32, dtype=torch.float32, mean=3.0, size=6):
    source = torch.Generator().manual_seed(0)
    x = torch.randn(5, channels, size, size, generator=source) * 2 + mean
    x = x.to(dtype).contiguous(memory_format=torch.channels_last).requires_grad_()
    weight, bias = torch.randn(2, channels, generator=source)
    e = torch.randn(5, channels, generator=source)
    grad = torch.randn(x.shape, generator=source).to(dtype)
    return x, weight.requires_grad_(), bias.requires_grad_(), e.requires_grad_(), grad


def both(x, weight, bias, e, grad, **settings):
    """Result and gradients of the fused operation, and of the plain one in float64."""
    inputs = [t for t in (x, weight, bias, e) if t is not None]
    y = norm_gelu(x, weight, bias, embedding=e, **settings)
    exact = [t.detach().double().requires_grad_() for t in inputs]
    z = exact[0] if e is None else exact[0] + exact[3][:, :, None, None]
    z = F.gelu(F.group_norm(z, settings["groups"], exact[1], exact[2], 1e-5))
    fused = [y, *torch.autograd.grad(y, inputs, grad)]
    plain = [z, *torch.autograd.grad(z, exact, grad.double())]
    return fused, plain


@needs_kernels
@pytest.mark.parametrize("groups", [1, 4, 8])
@pytest.mark.parametrize("channels", [8, 24, 32, 64])
@pytest.mark.parametrize("embedded", [False, True])
@pytest.mark.parametrize(("dtype", "error"), [(torch.float32, 3e-6), (torch.bfloat16, 5e-3)])
def test_fused_equals_plain(channels, groups, embedded, dtype, error):
    x, weight, bias, e, grad = arguments(channels, dtype)
    fused, plain = both(x, weight, bias, e if embedded else None, grad, groups=groups)
    assert fused[0].grad_fn.name() == "_FusedBackward"
    assert fused[0].dtype == dtype
    for a, b in zip(fused, plain, strict=True):
        assert a.shape == b.shape
        assert (a - b).abs().max() <= error * max(1.0, b.abs().max().item())


@needs_kernels
def test_fused_keeps_its_digits_where_the_mean_is_large():
    x, weight, bias, e, grad = arguments(mean=1000.0)
    fused, plain = both(x, weight, bias, e, grad, groups=8)
    for a, b in zip(fused, plain, strict=True):
        assert (a - b).abs().max() <= 2e-3 * b.abs().max()


@needs_kernels
def test_channels_that_fill_no_vector():
    x, weight, bias, e, grad = arguments(channels=6)
    fused, plain = both(x, weight, bias, e, grad, groups=3)
    for a, b in zip(fused, plain, strict=True):
        torch.testing.assert_close(a.double(), b, atol=1e-5, rtol=1e-5)


@needs_kernels
def test_large_arguments_of_gelu():
    x = torch.zeros(1, 8, 4, 4).contiguous(memory_format=torch.channels_last)
    bias = torch.tensor([-50.0, -20.0, -5.0, -1.0, 1.0, 5.0, 20.0, 50.0])
    y = norm_gelu(x, torch.ones(8), bias, groups=1)
    torch.testing.assert_close(y[0, :, 0, 0], F.gelu(bias), atol=1e-6, rtol=1e-5)


@needs_kernels
class TestDropout:
    def outputs(self, rate, seed):
        x, weight, bias, _, grad = arguments(64, size=16)
        torch.manual_seed(seed)
        y = norm_gelu(x, weight, bias, groups=8, dropout=rate)
        return x, y, norm_gelu(x, weight, bias, groups=8), grad, weight, bias

    def test_share_and_scale(self):
        _, y, whole, *_ = self.outputs(0.3, 0)
        dropped = y == 0
        count = y.numel()
        assert dropped.float().mean().item() == pytest.approx(0.3, abs=4 * (0.21 / count) ** 0.5)
        torch.testing.assert_close(y[~dropped], whole[~dropped] / 0.7)

    def test_neighbours_are_independent(self):
        _, y, *_ = self.outputs(0.5, 0)
        dropped = (y == 0).permute(0, 2, 3, 1).flatten().float() - 0.5
        for lag in (1, 8, 64, 1024):
            together = (dropped[lag:] * dropped[:-lag]).mean() / 0.25
            assert abs(together.item()) < 4 / len(dropped) ** 0.5

    def test_the_seed_decides(self):
        first, again, other = (self.outputs(0.3, seed)[1] for seed in (1, 1, 2))
        assert torch.equal(first, again)
        assert not torch.equal(first == 0, other == 0)

    def test_gradient_is_dropped_with_the_value(self):
        """A gradient that falls on dropped elements alone reaches nothing."""
        x, y, _, _, weight, bias = self.outputs(0.3, 0)
        gradients = torch.autograd.grad(y, (x, weight, bias), (y == 0).float())
        assert all(g.abs().max() == 0 for g in gradients)
        x, y, *_, bias = self.outputs(0.3, 0)
        (kept,) = torch.autograd.grad(y, bias, (y != 0).float())
        assert kept.abs().max() > 0


def test_contiguous_images_take_the_plain_way():
    x, weight, bias, e, grad = arguments()
    x = x.detach().contiguous().requires_grad_()
    fused, plain = both(x, weight, bias, e, grad, groups=8)
    assert fused[0].grad_fn.name() != "_FusedBackward"
    for a, b in zip(fused, plain, strict=True):
        torch.testing.assert_close(a.double(), b, atol=1e-5, rtol=1e-5)


def test_plain_way_drops_too(monkeypatch):
    monkeypatch.setattr(fusible, "native", lambda: Native(None, ""))
    x, weight, bias, *_ = arguments(64, size=16)
    y = norm_gelu(x, weight, bias, groups=8, dropout=0.3)
    assert (y == 0).float().mean().item() == pytest.approx(0.3, abs=0.02)
