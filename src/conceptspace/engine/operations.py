"""Norm, GELU and dropout as one operation: plain PyTorch, or a fused kernel that equals it."""

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
from conceptspace.engine.native.interface import Call
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
