"""The U-Net's pointwise work as one operation: plain PyTorch, or a fused kernel that equals it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from conceptspace.native.library import native

SEEDS = 2**32


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


def _pointer(tensor: Tensor | None) -> int | None:
    return None if tensor is None else tensor.data_ptr()
