"""A residual block by one kernel, on processors with matrix tiles."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

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
        None where the kernel does not apply (another processor, precision or memory format,
        channels that are no multiple of 32, sizes that do not go together, or something that wants
        to see the separate operations): then use these.
    """
    if not kernels_for(x).tiles:
        return None
    e = None if embedding is None else embedding.float().contiguous()
    given = (x, e, *parameters)
    call = kernels.RESIDUAL_BLOCK_FORWARD.fitting(given, groups=groups, rate=dropout)
    return None if call is None else _fused_block(call, eps, *given)


class _FusedBlock(torch.autograd.Function):
    """The C++ kernel and its gradient."""

    @staticmethod
    def forward(ctx: Any, call: Call, eps: float, *given: Tensor | None) -> Tensor | None:
        groups, dropout = call.found["groups"], call.found["rate"]
        seed = dropout_seed(dropout)
        middle, out, statistics = call(loaded(), eps=eps, seed=seed)
        ctx.save_for_backward(*given, middle, statistics)
        ctx.settings = groups, eps, dropout, seed
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, e, *parameters, middle, statistics = ctx.saved_tensors
        groups, eps, dropout, seed = ctx.settings
        if gradient_of_its_own(grads[0]):
            separate = partial(_separate_block, groups=groups, eps=eps, dropout=dropout, seed=seed)
            given = (x, e, *parameters)
            found = differentiated(separate, given, grads[0], ctx.needs_input_grad[2:])
        else:
            tensors = (dense(grads[0]), x, e, middle, statistics, *parameters)
            call = kernels.RESIDUAL_BLOCK_BACKWARD.checked(tensors, groups=groups, rate=dropout)
            found = call(loaded(), seed=seed)
        return None, None, *found


_fused_block: Callable[..., Tensor] = _FusedBlock.apply


def _separate_block(
    x: Tensor,
    embedding: Tensor | None,
    *parameters: Tensor | None,
    groups: int,
    eps: float,
    dropout: float,
    seed: int,
) -> Tensor:
    """What the kernel computes, by one operation after the other."""
    p = BlockParameters(*parameters)  # type: ignore[arg-type]
    norm = partial(F.group_norm, num_groups=groups, eps=eps)
    y = norm_gelu_dropout(x, partial(norm, weight=p.norm1_weight, bias=p.norm1_bias))
    y = F.conv2d(y, p.conv1_weight, p.conv1_bias, padding=1)
    norm2 = partial(norm, weight=p.norm2_weight, bias=p.norm2_bias)
    y = norm_gelu_dropout(y, norm2, embedding, drop_as_kernel(dropout, seed))
    y = F.conv2d(y, p.conv2_weight, p.conv2_bias, padding=1)
    return y + (x if p.skip_weight is None else F.conv2d(x, p.skip_weight, p.skip_bias))
