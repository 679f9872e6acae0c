from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

import emulated
from conceptspace.engine import fusible
from conceptspace.engine.fused_layers import parameters_in_order
from conceptspace.engine.native import compiling
from conceptspace.engine.native.compiling import Native, native
from conceptspace.engine.operations import norm_gelu
from conceptspace.engine.replacing import fuse
from conceptspace.engine.residual_block import fused_residual_block
from conceptspace.models.unet import ResidualBlock
from emulated import kernels_with_tiles

TILES = kernels_with_tiles()
pytestmark = pytest.mark.skipif(not TILES.tiles, reason="this processor has no AVX512-BF16")


@pytest.fixture(autouse=True)
def tiles(monkeypatch):
    monkeypatch.setattr(fusible, "native", lambda: TILES)


SHAPES = [
    (3, 16, 16, 32, 32),
    (4, 4, 4, 64, 64),
    (5, 8, 8, 64, 32),
    (2, 7, 5, 32, 64),
    (2, 32, 32, 128, 64),
    (1, 8, 8, 64, 64),
    (3, 1, 1, 32, 32),
    (17, 8, 8, 160, 160),
]
"""Images, height, width, inputs, outputs."""


def arguments(images, height, width, inputs, outputs, groups=8):
    torch.manual_seed(0)
    block = fuse(ResidualBlock(inputs, outputs, "group", groups, 0.0))
    for parameter in block.parameters():
        parameter.data += 0.05 * torch.randn_like(parameter)
    for layer in (block.conv1, block.conv2, block.skip):
        layer.to(torch.bfloat16)
    shape = (images, inputs, height, width)
    x = torch.randn(shape).bfloat16().contiguous(memory_format=torch.channels_last)
    e = torch.randn(images, outputs)
    grad = torch.randn(images, outputs, height, width).bfloat16()
    return block, x.requires_grad_(), e.requires_grad_(), grad


def plain(block, x, e, dropout=0.0, like=torch.float64):
    """The block by separate operations; with dropout those whose masks the kernel shares."""

    def activated(norm, y, added, rate):
        if like == torch.float64:
            y = y if added is None else y + added[:, :, None, None]
            p = [t.double() for t in (norm.weight, norm.bias)]
            return F.gelu(F.group_norm(y, norm.num_groups, *p, norm.eps))
        settings = {"groups": norm.num_groups, "eps": norm.eps, "dropout": rate}
        return norm_gelu(y, norm.weight, norm.bias, embedding=added, **settings)

    def convolved(layer, y):
        return F.conv2d(y, layer.weight.to(like), layer.bias.to(like), padding=layer.padding)

    x, e = x.to(like), e if e is None or like != torch.float64 else e.double()
    y = convolved(block.conv1, activated(block.norm1, x, None, 0.0))
    y = convolved(block.conv2, activated(block.norm2, y, e, dropout))
    return y + (x if isinstance(block.skip, torch.nn.Identity) else convolved(block.skip, x))


def with_gradients(result, block, x, e, grad):
    inputs = [x, *([] if e is None else [e]), *block.parameters()]
    return [result, *torch.autograd.grad(result, inputs, grad.to(result.dtype))]


def assert_near(fused, exact, error):
    for a, b in zip(fused, exact, strict=True):
        assert a.shape == b.shape
        assert (a.double() - b).norm() <= error * b.double().norm()


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("embedded", [False, True])
def test_equals_the_separate_operations(shape, embedded):
    block, x, e, grad = arguments(*shape)
    e = e if embedded else None
    fused = block(x, e)
    assert fused.dtype == torch.bfloat16
    assert fused.grad_fn.name() == "_FusedBlockBackward"
    exact = plain(block, x, e)
    assert_near(
        with_gradients(fused, block, x, e, grad), with_gradients(exact, block, x, e, grad), 8e-3
    )


def test_layer_norm():
    block, x, e, grad = arguments(2, 8, 8, 32, 64, groups=1)
    assert_near(
        with_gradients(block(x, e), block, x, e, grad),
        with_gradients(plain(block, x, e), block, x, e, grad),
        8e-3,
    )


def test_dropout_drops_what_the_separate_operation_drops():
    block, x, e, grad = arguments(3, 8, 8, 32, 64)
    block.dropout = 0.3
    torch.manual_seed(7)
    fused = with_gradients(block.train()(x, e), block, x, e, grad)
    torch.manual_seed(7)
    separate = with_gradients(plain(block, x, e, 0.3, torch.bfloat16), block, x, e, grad)
    assert_near(fused, separate, 2e-2)
    torch.manual_seed(8)
    other = block(x, e)
    assert (other - fused[0]).norm() > 0.05 * fused[0].norm(), "another seed, another mask"
    without = block.eval()(x, e)
    assert_near([without], [plain(block, x, e)], 8e-3)


def test_any_number_of_threads():
    """More threads than images, too; the same number gives the same bits."""
    shape = (2, 8, 8, 64, 64)
    before = torch.get_num_threads()
    found = {}
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            block, x, e, grad = arguments(*shape)
            found[threads] = with_gradients(block(x, e), block, x, e, grad)
            again = with_gradients(block(x, e), block, x, e, grad)
            assert all(torch.equal(a, b) for a, b in zip(found[threads], again, strict=True))
    finally:
        torch.set_num_threads(before)
    for threads in (2, 3):
        assert_near(found[threads], found[1], 2e-3)


@pytest.mark.slow
def test_no_memory_is_read_before_it_is_written(monkeypatch, tmp_path):
    monkeypatch.setenv("CONCEPTSPACE_CACHE", str(tmp_path))
    monkeypatch.setattr(
        compiling, "FLAGS", [*compiling.FLAGS, *emulated.FLAGS, "-DCONCEPTSPACE_POISON"]
    )
    poisoned = native.__wrapped__()
    monkeypatch.setattr(fusible, "native", lambda: poisoned)
    for shape in SHAPES:
        block, x, e, grad = arguments(*shape)
        found = with_gradients(block(x, e), block, x, e, grad)
        assert all(t.isfinite().all() for t in found)


def test_oneDNN_computes_rightly_afterwards():  # noqa: N802
    """Both configure the same tile registers."""
    block, x, e, _ = arguments(4, 8, 8, 64, 64)
    a, b = torch.randn(2, 256, 256).bfloat16()
    expected = a @ b
    for _ in range(3):
        block(x, e)
        assert torch.equal(a @ b, expected)


@pytest.mark.parametrize(
    "change",
    [
        lambda x, b: (x.float(), b.float()),
        lambda x, b: (x.detach().contiguous(), b),
        lambda x, b: (x[:, :24].contiguous(memory_format=torch.channels_last), block_of(24)),
    ],
    ids=["float32", "channels outermost", "24 channels"],
)
def test_elsewhere_the_separate_operations_are_used(change):
    block, x, e, _ = arguments(2, 8, 8, 32, 32)
    x, block = change(x.detach(), block)
    e = e[:, : x.shape[1]]
    parameters = parameters_in_order(block)
    assert fused_residual_block(x, e, parameters, groups=8) is None
    assert_near([block(x, e)], [plain(block, x, e)], 2e-2)


def block_of(channels):
    block = ResidualBlock(channels, channels, "group", 8, 0.0)
    for layer in (block.conv1, block.conv2):
        layer.to(torch.bfloat16)
    return fuse(block)


def test_without_tiles_the_separate_operations_are_used(monkeypatch):
    block, x, e, grad = arguments(2, 8, 8, 32, 64)
    fused = with_gradients(block(x, e), block, x, e, grad)
    monkeypatch.setattr(fusible, "native", lambda: Native(TILES.library, "", tiles=False))
    separate = block(x, e)
    assert separate.grad_fn.name() != "_FusedBlockBackward"
    assert_near(fused, with_gradients(separate, block, x, e, grad), 2e-2)
