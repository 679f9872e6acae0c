"""The computations of the U-Net between its layers, one operation after the other.

A layer may do several of them at once; it says so by its type, and the model calls it with all that
it needs. Nothing here knows of such layers: :mod:`conceptspace.engine` puts them in.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd import forward_ad


class Activating(nn.Module):
    """A norm that can compute dropout(gelu(norm(x + embedding))) at once."""

    @abstractmethod
    def activated(self, x: Tensor, embedding: Tensor | None, dropout: float) -> Tensor:
        """As :func:`activate`."""


def activate(
    norm: nn.Module, x: Tensor, embedding: Tensor | None = None, dropout: float = 0.0
) -> Tensor:
    """dropout(gelu(norm(x + embedding))), in the precision of x.

    A norm with hooks, or one that was put in its place, is called as the module that it is.

    Args:
        norm: of an image.
        x: (batch, c, h, w), float32 or bfloat16.
        embedding: (batch, c), added to every pixel before the norm.
        dropout: rate; 0 outside training.
    """
    if isinstance(norm, Activating):
        return norm.activated(x, embedding, dropout)
    return norm_gelu_dropout(x, norm, embedding, partial(F.dropout, p=dropout))


def convert(layer: nn.Module, x: Tensor, dtype: torch.dtype) -> Tensor:
    """A layer's result in a precision, from an image in any."""
    return layer(x.to(getattr(layer, "weight", x).dtype)).to(dtype)


def norm_gelu_dropout(
    x: Float[Tensor, "batch c h w"],
    norm: Callable[[Tensor], Tensor],
    embedding: Float[Tensor, "batch c"] | None = None,
    drop: Callable[[Tensor], Tensor] = lambda y: y,
) -> Float[Tensor, "batch c h w"]:
    """drop(gelu(norm(x + embedding))) by one operation after the other, in the precision of x."""
    y = x.float() if x.dtype == torch.bfloat16 else x
    if embedding is not None:
        y = y + embedding[:, :, None, None].to(y.dtype)
    return drop(F.gelu(norm(normable(y)))).to(x.dtype)


def transformed() -> bool:
    """Whether tensors are more than their values: torch.func, vmap, forward-mode gradients."""
    return torch._C._are_functorch_transforms_active() or forward_ad._current_level >= 0


def normable(x: Tensor) -> Tensor:
    """An image as a norm takes it: PyTorch's vmap has no norm of channels that are innermost."""
    return x.contiguous() if transformed() else x
