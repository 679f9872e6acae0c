"""Embeddings of a scalar and of a vector for the residual blocks of the U-Net."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


class SinusoidalEmbedding(nn.Module):
    """Sines and cosines of a scalar at geometrically spaced frequencies, 1 to 1/10 000."""

    def __init__(self, dimensions: int) -> None:
        super().__init__()
        half = dimensions // 2
        frequencies = torch.exp(-math.log(10_000) * torch.arange(half) / max(half - 1, 1))
        self.register_buffer("frequencies", frequencies, persistent=False)
        self.frequencies: Tensor

    def forward(self, value: Float[Tensor, " batch"]) -> Float[Tensor, "batch dimensions"]:
        angles = value[:, None] * self.frequencies
        return torch.cat([angles.sin(), angles.cos()], dim=1).to(self.frequencies.dtype)


class BlockEmbeddings(nn.Module):
    """A two-layer MLP with GELU after both layers for every residual block, all reading one vector.

    The first layers are one matrix product, the second ones a batched product for each width.

    Args:
        inputs: length of the vector.
        channels: hidden units and output length of each MLP, one per block.
    """

    def __init__(self, inputs: int, channels: Sequence[int]) -> None:
        super().__init__()
        self.blocks: dict[int, list[int]] = {width: [] for width in sorted(channels)}
        for i, width in enumerate(channels):
            self.blocks[width].append(i)
        self.hidden = nn.Linear(inputs, sum(channels))
        self.out = nn.ModuleDict(
            {str(width): StackedLinear(len(which), width) for width, which in self.blocks.items()}
        )

    def forward(self, vector: Float[Tensor, "batch inputs"]) -> list[Tensor]:
        hidden = F.gelu(self.hidden(vector))
        parts = hidden.split([len(which) * width for width, which in self.blocks.items()], dim=1)
        found: dict[int, Tensor] = {}
        for part, (width, which) in zip(parts, self.blocks.items(), strict=True):
            each = self.out[str(width)](part.unflatten(1, (len(which), width)).transpose(0, 1))
            found |= dict(zip(which, F.gelu(each).unbind(), strict=True))
        return [found[i] for i in range(len(found))]


class StackedLinear(nn.Module):
    """Several linear layers of the same size, evaluated together.

    Args:
        layers: how many.
        width: inputs and outputs of each.
    """

    def __init__(self, layers: int, width: int) -> None:
        super().__init__()
        bound = width**-0.5
        self.weight = nn.Parameter(torch.empty(layers, width, width).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(layers, 1, width).uniform_(-bound, bound))

    def forward(self, x: Float[Tensor, "layers batch k"]) -> Float[Tensor, "layers batch k"]:
        return torch.baddbmm(self.bias, x, self.weight)
