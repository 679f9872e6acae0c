"""What tests compare: a small trunk with the kernels and by separate operations."""

from __future__ import annotations

from contextlib import contextmanager

import pytest
import torch

from conceptspace.engine import fusible
from conceptspace.engine.native.compiling import Native
from conceptspace.engine.replacing import fuse
from conceptspace.models.unet import UNetTrunk
from emulated import kernels_with_tiles

KERNELS = kernels_with_tiles()
NONE = Native(None, "plain")
PRECISIONS = [
    torch.float32,
    pytest.param(
        torch.bfloat16,
        marks=pytest.mark.skipif(not KERNELS.tiles, reason="this processor has no AVX512-BF16"),
    ),
]


@contextmanager
def plain():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fusible, "native", lambda: NONE)
        yield


def trunk(precision=torch.float32, dropout=0.0, channels=(32,)):
    torch.manual_seed(0)
    made = UNetTrunk(
        3, 3, channels=channels, blocks=1, heads=1, dropout=dropout, norm="group", groups=4
    )
    for parameter in made.parameters():
        parameter.data += 0.05 * torch.randn_like(parameter)
    for layer in made.wide_layers():
        layer.to(precision)
    return fuse(made)


def image(channels=3, size=6, dtype=torch.float32):
    source = torch.Generator().manual_seed(1)
    x = torch.randn(2, channels, size, size, generator=source, dtype=torch.float32)
    return x.to(dtype).contiguous(memory_format=torch.channels_last)


def embeddings(made):
    source = torch.Generator().manual_seed(2)
    widths = made.block_widths()
    return [torch.randn(2, width, generator=source, dtype=torch.float32) for width in widths]


def outcome(made, x=None, added=None):
    """Result and gradients."""
    x = image() if x is None else x
    y = made(x, embeddings(made) if added is None else added)
    made.zero_grad()
    y.square().sum().backward()
    return [y, *(p.grad for p in made.parameters())]


def assert_near(found, expected, error):
    assert len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        assert a.shape == b.shape
        assert (a.double() - b.double()).norm() <= error * b.double().norm() + 1e-7


def nodes(y):
    """Names of the operations that made y."""
    names, left = set(), [y.grad_fn]
    while left:
        node = left.pop()
        if node is not None:
            names.add(node.name())
            left.extend(parent for parent, _ in node.next_functions)
    return names


OPERATIONS = {
    torch.float32: {"_FusedBackward", "_ConvolutionBackward"},
    torch.bfloat16: {"_FusedBackward", "_FusedBlockBackward"},
}
FUSED = set.union(*OPERATIONS.values())
ERRORS = {torch.float32: 2e-5, torch.bfloat16: 2e-2}
