"""Parts of the U-Net as one operation: plain PyTorch, or a fused kernel that equals it."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from conceptspace.native.library import native

SEEDS = 2**32
BLOCK = 32
"""Channels that the residual block's kernel takes together."""
THIN, LANES = 4, 8
"""The thin convolution's kernel takes at most so many channels, and a multiple of so many."""


def norm_gelu(
    x: Float[Tensor, "batch c h w"],
    weight: Float[Tensor, " c"],
    bias: Float[Tensor, " c"],
    *,
    groups: int,
    eps: float = 1e-5,
    embedding: Float[Tensor, "batch c"] | None = None,
    dropout: float = 0.0,
) -> Float[Tensor, "batch c h w"]:
    """dropout(gelu(group_norm(x + embedding))), in the precision and memory format of x.

    Inside, everything is float32. On a CPU whose kernels could be compiled, images with the
    channels innermost take one pass forward and two backward; the rest is plain PyTorch. Both
    drop each element independently, but not the same ones.

    Args:
        x: float32 or bfloat16.
        weight: of the norm, float32.
        bias: of the norm, float32.
        groups: of channels, normalized together with all pixels.
        eps: added to the variance.
        embedding: added to every pixel before the norm.
        dropout: rate; 0 outside training.
    """
    if _fusible(x, weight):
        return _fused(x, weight, bias, embedding, groups, eps, dropout)
    y = x.float() if x.dtype == torch.bfloat16 else x
    if embedding is not None:
        y = y + embedding[:, :, None, None]
    y = F.gelu(F.group_norm(y, groups, weight, bias, eps))
    return (F.dropout(y, dropout) if dropout > 0 else y).to(x.dtype)


def _fusible(x: Tensor, weight: Tensor) -> bool:
    return (
        x.device.type == "cpu"
        and x.dtype in (torch.float32, torch.bfloat16)
        and weight.dtype == torch.float32
        and x.numel() > 0
        and x.is_contiguous(memory_format=torch.channels_last)
        and native().library is not None
    )


class _Fused(torch.autograd.Function):
    """The C++ kernel and its gradient."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor,
        embedding: Tensor | None,
        groups: int,
        eps: float,
        dropout: float,
    ) -> Tensor:
        library = native().library
        assert library is not None
        images, channels, height, width = x.shape
        weight, bias = weight.contiguous(), bias.contiguous()
        embedding = None if embedding is None else embedding.float().contiguous()
        out = torch.empty_like(x, memory_format=torch.channels_last)
        mean, rstd = torch.empty(2, images, groups)
        seed = int(torch.randint(SEEDS, ())) if dropout > 0 else 0
        library.norm_gelu_forward(
            x.dtype == torch.bfloat16, x.data_ptr(), _pointer(embedding), weight.data_ptr(),
            bias.data_ptr(), out.data_ptr(), mean.data_ptr(), rstd.data_ptr(),
            images, height * width, channels, groups, eps, dropout, seed,
        )  # fmt: skip
        ctx.save_for_backward(x, weight, bias, embedding, mean, rstd)
        ctx.settings = groups, dropout, seed
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        library = native().library
        assert library is not None
        x, weight, bias, embedding, mean, rstd = ctx.saved_tensors
        groups, dropout, seed = ctx.settings
        grad = grads[0].contiguous(memory_format=torch.channels_last)
        images, channels, height, width = x.shape
        grad_x = torch.empty_like(x, memory_format=torch.channels_last)
        parts = torch.empty(3, images, channels)
        grad_embedding = None if embedding is None else parts[2]
        library.norm_gelu_backward(
            x.dtype == torch.bfloat16, grad.data_ptr(), x.data_ptr(), _pointer(embedding),
            weight.data_ptr(), bias.data_ptr(), mean.data_ptr(), rstd.data_ptr(),
            grad_x.data_ptr(), parts[0].data_ptr(), parts[1].data_ptr(), _pointer(grad_embedding),
            images, height * width, channels, groups, dropout, seed,
        )  # fmt: skip
        grad_weight, grad_bias = parts[:2].sum(1)
        return grad_x, grad_weight, grad_bias, grad_embedding, None, None, None


_fused: Callable[..., Tensor] = _Fused.apply


class BlockParameters(NamedTuple):
    """Of a residual block with 3x3 convolutions: norms in float32, convolutions in bfloat16.

    Attributes:
        norm1_weight, norm1_bias: (inputs,).
        norm2_weight, norm2_bias: (outputs,).
        conv1_weight, conv1_bias: (outputs, inputs, 3, 3), (outputs,).
        conv2_weight, conv2_bias: (outputs, outputs, 3, 3), (outputs,).
        skip_weight, skip_bias: (outputs, inputs, 1, 1), (outputs,); None for the identity.
    """

    norm1_weight: Tensor
    norm1_bias: Tensor
    norm2_weight: Tensor
    norm2_bias: Tensor
    conv1_weight: Tensor
    conv1_bias: Tensor
    conv2_weight: Tensor
    conv2_bias: Tensor
    skip_weight: Tensor | None
    skip_bias: Tensor | None


def fused_residual_block(
    x: Float[Tensor, "batch c h w"],
    embedding: Float[Tensor, "batch k"] | None,
    parameters: BlockParameters,
    *,
    groups: int,
    eps: float = 1e-5,
    dropout: float = 0.0,
) -> Float[Tensor, "batch k h w"] | None:
    """skip(x) + conv2(drop(gelu(norm2(conv1(gelu(norm1(x))) + embedding)))) by one kernel.

    The kernel works in bfloat16 with the matrix tiles of AMX, every image through the whole block
    while it is in cache; sums, norms and the gradients' sums are float32.

    Args:
        x: bfloat16, the channels innermost.
        embedding: added to every pixel before the second norm.
        parameters: of the block.
        groups: of both norms.
        eps: of both norms.
        dropout: rate; 0 outside training.

    Returns:
        None where the kernel does not apply (another processor, precision or memory format, or
        channels that are no multiple of 32): then use the separate operations.
    """
    if not _block_fusible(x, parameters):
        return None
    return _fused_block(x, embedding, groups, eps, dropout, *parameters)


def _block_fusible(x: Tensor, parameters: BlockParameters) -> bool:
    weights = (parameters.conv1_weight, parameters.conv2_weight)
    return (
        x.device.type == "cpu"
        and x.dtype == weights[0].dtype == torch.bfloat16
        and parameters.norm1_weight.dtype == torch.float32
        and x.numel() > 0
        and all(c % BLOCK == 0 for c in weights[0].shape[:2])
        and all(t.is_contiguous(memory_format=torch.channels_last) for t in (x, *weights))
        and native().tiles
    )


class _FusedBlock(torch.autograd.Function):
    """The C++ kernel and its gradient."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        embedding: Tensor | None,
        groups: int,
        eps: float,
        dropout: float,
        *parameters: Tensor | None,
    ) -> Tensor:
        library = native().library
        assert library is not None
        images, inputs, height, width = x.shape
        outputs = len(BlockParameters(*parameters).conv1_weight)  # type: ignore[arg-type]
        embedding = None if embedding is None else embedding.float().contiguous()
        middle, out = (
            torch.empty(
                (images, outputs, height, width),
                dtype=x.dtype,
                memory_format=torch.channels_last,
            )
            for _ in range(2)
        )
        statistics = torch.empty(4, images, groups)
        shape = (images, height, width, inputs, outputs, groups)
        seed = int(torch.randint(SEEDS, ())) if dropout > 0 else 0
        library.residual_block_forward(
            (ctypes.c_int64 * 6)(*shape), _pointers(parameters), eps, dropout, seed,
            x.data_ptr(), _pointer(embedding), middle.data_ptr(), out.data_ptr(),
            statistics.data_ptr(),
        )  # fmt: skip
        ctx.save_for_backward(x, embedding, middle, statistics, *parameters)
        ctx.settings = shape, eps, dropout, seed
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        library = native().library
        assert library is not None
        x, embedding, middle, statistics, *parameters = ctx.saved_tensors
        shape, eps, dropout, seed = ctx.settings
        grad = grads[0].contiguous(memory_format=torch.channels_last)
        found = [None if t is None else torch.empty_like(t) for t in (x, embedding, *parameters)]
        library.residual_block_backward(
            (ctypes.c_int64 * 6)(*shape), _pointers(parameters), eps, dropout, seed,
            grad.data_ptr(), x.data_ptr(), _pointer(embedding), middle.data_ptr(),
            statistics.data_ptr(), _pointers(found),
        )  # fmt: skip
        return *found[:2], None, None, None, *found[2:]


_fused_block: Callable[..., Tensor] = _FusedBlock.apply


def thin_convolution(
    x: Float[Tensor, "batch c h w"],
    weight: Float[Tensor, "k c 3 3"],
    bias: Float[Tensor, " k"],
    dtype: torch.dtype,
) -> Float[Tensor, "batch k h w"]:
    """A 3x3 convolution with padding 1 from or to few channels, in the precision of its weights.

    On a CPU whose kernels could be compiled, an image or a weight with the channels innermost goes
    through a kernel that reads and writes bfloat16 itself; the rest is plain PyTorch.

    Args:
        x: float32 or bfloat16.
        weight: float32 for the kernel.
        bias: in the precision of the weight.
        dtype: of the result.
    """
    if not _thin(x, weight, dtype):
        return F.conv2d(x.to(weight.dtype), weight, bias, padding=1).to(dtype)
    if weight.shape[0] > weight.shape[1]:
        return _thin_convolution(x.float(), weight, bias, dtype)
    return _thin_convolution(x, weight, bias, torch.float32).to(dtype)


def _thin(x: Tensor, weight: Tensor, dtype: torch.dtype) -> bool:
    few, many = sorted(weight.shape[:2])
    return (
        x.device.type == "cpu"
        and x.dtype in (torch.float32, torch.bfloat16)
        and dtype in (torch.float32, torch.bfloat16)
        and weight.dtype == torch.float32
        and weight.shape[2:] == (3, 3)
        and few <= THIN
        and many % LANES == 0
        and x.numel() > 0
        and any(t.is_contiguous(memory_format=torch.channels_last) for t in (x, weight))
        and native().library is not None
    )


class _ThinConvolution(torch.autograd.Function):
    """The C++ kernel and its gradient. Thin images are float32."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, dtype: torch.dtype) -> Tensor:
        x = x.contiguous(memory_format=torch.channels_last)
        ctx.save_for_backward(x, weight)
        widening = weight.shape[0] > weight.shape[1]
        return _convolved(x, _taps(weight, widening), bias.contiguous(), widening, dtype)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        library = native().library
        assert library is not None
        x, weight = ctx.saved_tensors
        grad = grads[0].contiguous(memory_format=torch.channels_last)
        widening = weight.shape[0] > weight.shape[1]
        grad_x = grad_weight = grad_bias = None
        if ctx.needs_input_grad[0]:
            turned = _taps(weight, widening).flip(0, 1)
            grad_x = _convolved(grad, turned, None, not widening, x.dtype)
        if ctx.needs_input_grad[1] or ctx.needs_input_grad[2]:
            thin, wide = (x, grad) if widening else (grad, x)
            few, many = thin.shape[1], wide.shape[1]
            sums = torch.empty(len(x), 3, 3, few, many)
            pixels = torch.empty(len(x), many) if widening else None
            library.thin_convolution_weights(
                wide.dtype == torch.bfloat16, thin.data_ptr(), wide.data_ptr(), sums.data_ptr(),
                _pointer(pixels), len(x), *x.shape[2:], few, many,
            )  # fmt: skip
            taps = sums.sum(0)
            grad_weight = (
                taps.permute(3, 2, 0, 1) if widening else taps.flip(0, 1).permute(2, 3, 0, 1)
            )
            grad_bias = grad.sum((0, 2, 3)) if pixels is None else pixels.sum(0)
        return grad_x, grad_weight, grad_bias, None


_thin_convolution: Callable[..., Tensor] = _ThinConvolution.apply


def _taps(weight: Tensor, widening: bool) -> Tensor:
    """Weights of a convolution as its kernel reads them: (3, 3, thin, wide)."""
    return weight.permute((2, 3, 1, 0) if widening else (2, 3, 0, 1)).contiguous()


def _convolved(
    x: Tensor, taps: Tensor, bias: Tensor | None, widening: bool, dtype: torch.dtype
) -> Tensor:
    library = native().library
    assert library is not None
    images, _, height, width = x.shape
    few, many = taps.shape[2:]
    out = torch.empty(
        (images, many if widening else few, height, width),
        dtype=dtype,
        memory_format=torch.channels_last,
    )
    convolve = library.thin_convolution_spread if widening else library.thin_convolution_gather
    convolve(
        (dtype if widening else x.dtype) == torch.bfloat16, x.data_ptr(), taps.data_ptr(),
        _pointer(bias), out.data_ptr(), images, height, width, few, many,
    )  # fmt: skip
    return out


def _pointer(tensor: Tensor | None) -> int | None:
    return None if tensor is None else tensor.data_ptr()


def _pointers(tensors: Sequence[Tensor | None]) -> ctypes.Array[ctypes.c_void_p]:
    return (ctypes.c_void_p * len(tensors))(*map(_pointer, tensors))
