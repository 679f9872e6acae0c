"""Layers of the U-Net by fewer operations: a kernel where one fits, the separate ones elsewhere."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from conceptspace.engine.convolution import convolution
from conceptspace.engine.fusible import same_size, untouched
from conceptspace.engine.native.kernels import BLOCK
from conceptspace.engine.operations import norm_gelu
from conceptspace.engine.residual_block import BlockParameters, fused_residual_block
from conceptspace.models.layers import Activating, norm_gelu_dropout
from conceptspace.models.unet import ResidualBlock


class FusedNorm(nn.GroupNorm, Activating):
    """A group norm with what is before and behind it, see :func:`norm_gelu`."""

    def activated(self, x: Tensor, embedding: Tensor | None, dropout: float) -> Tensor:
        """dropout(gelu(norm(x + embedding)))."""
        if not untouched(self, FusedNorm):
            return norm_gelu_dropout(x, self, embedding, partial(F.dropout, p=dropout))
        return norm_gelu(
            x,
            self.weight,
            self.bias,
            groups=self.num_groups,
            eps=self.eps,
            embedding=embedding,
            dropout=dropout,
        )


class FusedConvolution(nn.Conv2d):
    """A 3x3 convolution that keeps the resolution, see :func:`convolution`."""

    def forward(self, x: Float[Tensor, "batch c h w"]) -> Float[Tensor, "batch k h w"]:
        if not same_size(self, FusedConvolution):
            return super().forward(x)
        assert self.bias is not None
        return convolution(x, self.weight, self.bias)


class FusedBlock(ResidualBlock):
    """A residual block in bfloat16 by one operation, see :func:`fused_residual_block`."""

    def forward(
        self, x: Float[Tensor, "batch c h w"], embedding: Float[Tensor, "batch k"] | None
    ) -> Float[Tensor, "batch k h w"]:
        if self._untouched():
            fused = fused_residual_block(
                x,
                embedding,
                parameters_in_order(self),
                groups=self.norm1.num_groups,
                eps=self.norm1.eps,
                dropout=self.dropout if self.training else 0.0,
            )
            if fused is not None:
                return fused
        return super().forward(x, embedding)

    def _untouched(self) -> bool:
        """Whether one operation on the parameters may take the place of the layers."""
        norms = (self.norm1, self.norm2)
        return (
            all(untouched(n, FusedNorm) or untouched(n, nn.GroupNorm) for n in norms)
            and (self.norm1.num_groups, self.norm1.eps) == (self.norm2.num_groups, self.norm2.eps)
            and all(
                same_size(layer) or same_size(layer, FusedConvolution)
                for layer in (self.conv1, self.conv2)
            )
            and (untouched(self.skip, nn.Identity) or same_size(self.skip))
        )


def parameters_in_order(block: ResidualBlock) -> BlockParameters:
    """The parameters of a residual block as its kernel takes them."""
    layers: list[Any] = [block.norm1, block.norm2, block.conv1, block.conv2]
    if not isinstance(block.skip, nn.Identity):
        layers.append(block.skip)
    given = [getattr(layer, name) for layer in layers for name in ("weight", "bias")]
    return BlockParameters(*given, *[None] * (10 - len(given)))


def can_be_one(block: ResidualBlock) -> bool:
    """Whether a block has the widths that the kernel takes."""
    widths = block.conv1.in_channels, block.conv1.out_channels
    return all(width % BLOCK == 0 and width % block.norm1.num_groups == 0 for width in widths)
