from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from conceptspace.engine import fusible, operations
from conceptspace.engine.native.compiling import Native, native
from conceptspace.engine.operations import norm_gelu, thin_convolution
from conceptspace.engine.replacing import fuse
from conceptspace.models.unet import UNetTrunk

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


# Convolutions between few and many channels.


def thin_arguments(inputs, outputs, *, batch=3, size=(5, 7), narrow=torch.float32):
    """An input and a gradient, the wide one of them in a type, and a float32 layer."""
    source = torch.Generator().manual_seed(0)

    def image(channels):
        t = torch.randn(batch, channels, *size, generator=source)
        t = t.to(narrow) if channels == max(inputs, outputs) else t
        return t.contiguous(memory_format=torch.channels_last)

    weight = torch.randn(outputs, inputs, 3, 3, generator=source)
    bias = torch.randn(outputs, generator=source)
    x, grad = image(inputs), image(outputs)
    return x.requires_grad_(), weight.requires_grad_(), bias.requires_grad_(), grad


def thin_both(x, weight, bias, grad):
    """Result and gradients of the operation, and of the plain one in float64."""
    inputs = (x, weight, bias)
    y = thin_convolution(*inputs, grad.dtype)
    exact = [t.detach().double().requires_grad_() for t in inputs]
    z = F.conv2d(*exact, padding=1)
    found = [y, *torch.autograd.grad(y, inputs, grad)]
    expected = [z, *torch.autograd.grad(z, exact, grad.double())]
    for t, of in zip(found, [grad, *inputs], strict=True):
        assert t.dtype == of.dtype
        assert t.shape == of.shape
    return found, expected


def assert_close(found, expected):
    """To the last digits of float32 for float32 results, and of bfloat16 for bfloat16 ones."""
    for a, b in zip(found, expected, strict=True):
        if a.dtype == torch.bfloat16:
            assert ((a - b).abs() <= 2**-8 * b.abs() + 1e-5).all(), "once rounded"
        else:
            assert (a - b).abs().max() <= 2e-6 * max(1.0, b.abs().max().item())


@pytest.fixture
def calls(monkeypatch):
    """How the kernel was called: (inputs, outputs, type of the result) each."""
    kernel, found = operations._thin_convolution, []

    def called(call, x, weight, bias):
        y = kernel(call, x, weight, bias)
        found.append((weight.shape[1], weight.shape[0], y.dtype))
        return y

    monkeypatch.setattr(operations, "_thin_convolution", called)
    return found


DIRECTIONS = [
    *((few, many) for few in (1, 2, 3, 4) for many in (8, 64)),
    *((many, few) for few in (1, 2, 3, 4) for many in (8, 64)),
]


@needs_kernels
@pytest.mark.parametrize("narrow", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("inputs", "outputs"), DIRECTIONS)
def test_thin_convolution_of_any_channels(inputs, outputs, narrow, calls):
    assert_close(*thin_both(*thin_arguments(inputs, outputs, narrow=narrow)))
    assert len(calls) == 1


@needs_kernels
@pytest.mark.parametrize("narrow", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("inputs", "outputs"), [(3, 32), (32, 3), (3, 24), (24, 3)])
@pytest.mark.parametrize("batch", [1, 2, 9])
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (2, 2), (5, 7), (16, 16), (3, 33)])
def test_thin_convolution_of_any_size(inputs, outputs, narrow, batch, size, calls):
    arguments = thin_arguments(inputs, outputs, batch=batch, size=size, narrow=narrow)
    assert_close(*thin_both(*arguments))
    assert len(calls) == 1


@needs_kernels
@pytest.mark.parametrize(("inputs", "outputs"), [(3, 32), (32, 3)])
def test_thin_convolution_of_other_layouts_and_types(inputs, outputs, calls):
    """Weights stored otherwise, a gradient that is no block of memory, a narrow thin image."""
    x, weight, bias, grad = thin_arguments(inputs, outputs)
    weight = weight.detach().contiguous(memory_format=torch.channels_last).requires_grad_()
    grad = torch.stack((grad, grad), 1)[:, 0].flip(3)
    assert_close(*thin_both(x, weight, bias, grad))
    assert_close(*thin_both(x.detach().contiguous().requires_grad_(), weight, bias, grad))
    low = torch.bfloat16
    assert_close(*thin_both(x.detach().to(low).requires_grad_(), weight, bias, grad.to(low)))
    assert len(calls) == 3


@needs_kernels
@pytest.mark.parametrize(("inputs", "outputs"), [(3, 32), (32, 3)])
def test_thin_convolution_gives_only_the_gradients_that_are_wanted(inputs, outputs):
    arguments = thin_arguments(inputs, outputs)
    *parameters, grad = arguments
    whole = torch.autograd.grad(thin_convolution(*parameters, grad.dtype), parameters, grad)
    for i, parameter in enumerate(parameters):
        alone = [p.detach().requires_grad_(p is parameter) for p in parameters]
        thin_convolution(*alone, grad.dtype).backward(grad)
        assert [p.grad is not None for p in alone] == [p is parameter for p in parameters]
        assert torch.equal(alone[i].grad, whole[i])


@needs_kernels
@pytest.mark.parametrize(("inputs", "outputs"), [(3, 32), (32, 3)])
def test_thin_convolution_does_not_depend_on_the_threads(inputs, outputs):
    arguments = thin_arguments(inputs, outputs, batch=7)
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            found.append(thin_both(*arguments)[0])
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


@pytest.mark.parametrize("narrow", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("inputs", "outputs"), [(3, 32), (32, 3)])
def test_thin_convolution_without_the_kernel(inputs, outputs, narrow, calls, monkeypatch):
    monkeypatch.setattr(fusible, "native", lambda: Native(None, ""))
    assert_close(*thin_both(*thin_arguments(inputs, outputs, narrow=narrow)))
    assert not calls


def test_where_the_thin_kernel_does_not_apply(calls):
    for inputs, outputs in ((5, 32), (32, 5), (3, 12), (12, 3)):
        assert_close(*thin_both(*thin_arguments(inputs, outputs)))
    x, weight, bias, grad = thin_arguments(3, 32)
    assert_close(*thin_both(x.detach().contiguous().requires_grad_(), weight, bias, grad))
    double = [t.detach().double() for t in (x, weight, bias)]
    expected = F.conv2d(*double, padding=1)
    assert torch.equal(thin_convolution(*double, torch.float64), expected)
    assert not calls


@needs_kernels
@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_unet_begins_and_ends_with_the_thin_kernel(precision, calls, monkeypatch):
    sizes = {"channels": (8, 16), "blocks": 1, "heads": 2, "dropout": 0.0}
    trunk = fuse(UNetTrunk(3, 3, **sizes, norm="group", groups=4))
    for layer in trunk.wide_layers():
        layer.to(precision)
    x = torch.randn(2, 3, 8, 8).contiguous(memory_format=torch.channels_last)

    def outcome():
        trunk.zero_grad()
        y = trunk(x, [None] * len(trunk.block_widths()))
        y.square().mean().backward()
        layers = (trunk.conv_in, trunk.conv_out)
        return [y.detach(), *(p.grad.clone() for layer in layers for p in layer.parameters())]

    fused = outcome()
    assert calls == [(3, 8, precision), (8, 3, torch.float32)]
    monkeypatch.setattr(fusible, "native", lambda: Native(None, ""))
    error = 1e-4 if precision == torch.float32 else 3e-2
    for a, b in zip(fused, outcome(), strict=True):
        assert (a - b).norm() <= error * b.norm()
    assert len(calls) == 2
