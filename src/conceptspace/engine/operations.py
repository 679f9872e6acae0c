"""Parts of the U-Net as one operation: plain PyTorch, or a fused kernel that equals it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from conceptspace.engine.fusible import (
    dense,
    differentiated,
    drop_as_kernel,
    dropout_seed,
    gradient_of_its_own,
    kernels_for,
    loaded,
)
from conceptspace.engine.native import kernels
from conceptspace.engine.native.interface import Call, Kernel
from conceptspace.models.layers import norm_gelu_dropout


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

    Raises:
        RuntimeError: sizes or types do not go together, as PyTorch's own operations tell it.
    """
    if kernels_for(x).library is not None:
        e = None if embedding is None else embedding.float().contiguous()
        given = (x, e, weight.contiguous(), bias.contiguous())
        call = kernels.NORM_GELU_FORWARD.fitting(given, x.dtype, groups=groups, rate=dropout)
        if call is not None:
            return _fused(call, eps, *given)
    norm = partial(F.group_norm, num_groups=groups, weight=weight, bias=bias, eps=eps)
    return norm_gelu_dropout(x, norm, embedding, partial(F.dropout, p=dropout))


class _Fused(torch.autograd.Function):
    """The C++ kernel and its gradient."""

    @staticmethod
    def forward(ctx: Any, call: Call, eps: float, *given: Tensor | None) -> Tensor | None:
        groups, dropout = call.found["groups"], call.found["rate"]
        seed = dropout_seed(dropout)
        out, *statistics = call(loaded(), eps=eps, seed=seed)
        ctx.save_for_backward(*given, *statistics)
        ctx.settings = groups, eps, dropout, seed
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        *given, mean, rstd = ctx.saved_tensors
        groups, eps, dropout, seed = ctx.settings
        x = given[0]
        if gradient_of_its_own(grads[0]):

            def separate(x: Tensor, e: Tensor | None, weight: Tensor, bias: Tensor) -> Tensor:
                norm = partial(F.group_norm, num_groups=groups, weight=weight, bias=bias, eps=eps)
                return norm_gelu_dropout(x, norm, e, drop_as_kernel(dropout, seed))

            found = differentiated(separate, given, grads[0], ctx.needs_input_grad[2:])
            return None, None, *found
        tensors = (dense(grads[0]), *given, mean, rstd)
        call = kernels.NORM_GELU_BACKWARD.checked(tensors, x.dtype, groups=groups, rate=dropout)
        grad_x, grad_norm, grad_e = call(loaded(), seed=seed)
        assert grad_norm is not None
        return None, None, grad_x, grad_e, *grad_norm.sum(1)


_fused: Callable[..., Tensor] = _Fused.apply


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

    Raises:
        RuntimeError: sizes or types do not go together, as PyTorch's own operations tell it.
    """
    if kernels_for(x).library is not None and _innermost(x, weight):
        widening = weight.shape[0] > weight.shape[1]
        image = (x.float() if widening else x).contiguous(memory_format=torch.channels_last)
        given = (image, _taps(weight.detach(), widening), bias.contiguous())
        call = _kernel(widening).fitting(given, dtype if widening else x.dtype)
        if call is not None:
            return _thin_convolution(call, image, weight, given[2]).to(dtype)
    return _separate_convolution(x, weight, bias, dtype)


def _innermost(x: Tensor, weight: Tensor) -> bool:
    return x.dim() == weight.dim() == 4 and any(
        t.is_contiguous(memory_format=torch.channels_last) for t in (x, weight)
    )


def _separate_convolution(x: Tensor, weight: Tensor, bias: Tensor, dtype: torch.dtype) -> Tensor:
    return F.conv2d(x.to(weight.dtype), weight, bias, padding=1).to(dtype)


class _ThinConvolution(torch.autograd.Function):
    """The C++ kernel and its gradient. Thin images are float32."""

    @staticmethod
    def forward(ctx: Any, call: Call, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor | None:
        ctx.save_for_backward(x, weight, bias)
        return call(loaded())[0]

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, bias = ctx.saved_tensors
        wanted = ctx.needs_input_grad[1:]
        if gradient_of_its_own(grads[0]):
            separate = partial(_separate_convolution, dtype=grads[0].dtype)
            return None, *differentiated(separate, (x, weight, bias), grads[0], wanted)
        grad = dense(grads[0])
        widening = weight.shape[0] > weight.shape[1]
        grad_x = grad_weight = grad_bias = None
        if wanted[0]:
            turned = _taps(weight, widening).flip(0, 1)
            wide = grad.dtype if widening else x.dtype
            (grad_x,) = _kernel(not widening).checked((grad, turned, None), wide)(loaded())
        if wanted[1] or wanted[2]:
            thin, wide_image = (x, grad) if widening else (grad, x)
            call = kernels.THIN_CONVOLUTION_WEIGHTS.checked((thin, wide_image), wide_image.dtype)
            sums, pixels = call(loaded(), unwanted=() if widening else ("bias",))
            assert sums is not None
            taps = sums.sum(0)
            grad_weight = (
                taps.permute(3, 2, 0, 1) if widening else taps.flip(0, 1).permute(2, 3, 0, 1)
            )
            grad_bias = grad.sum((0, 2, 3)) if pixels is None else pixels.sum(0)
        return None, grad_x, grad_weight, grad_bias


_thin_convolution: Callable[..., Tensor] = _ThinConvolution.apply


def _kernel(widening: bool) -> Kernel:
    return kernels.THIN_CONVOLUTION_SPREAD if widening else kernels.THIN_CONVOLUTION_GATHER


def _taps(weight: Tensor, widening: bool) -> Tensor:
    """Weights of a convolution as its kernel reads them: (3, 3, thin, wide)."""
    return weight.permute((2, 3, 1, 0) if widening else (2, 3, 0, 1)).contiguous()
