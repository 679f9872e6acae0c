"""The conditional U-Net that predicts the noise (paper App. A.2)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TypeVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from conceptspace.models.denoiser import Accelerated, EmbeddingDenoiser
from conceptspace.models.embeddings import BlockEmbeddings as BlockEmbeddings
from conceptspace.models.embeddings import SinusoidalEmbedding
from conceptspace.models.layers import activate, convert, normable

Module = TypeVar("Module", bound=nn.Module)


def channels_last(module: Module, device: torch.device | None) -> Module:
    """Move a module to a device, its convolutions stored with the channels innermost."""
    module.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return module


def zero_initialize(layer: nn.Conv2d) -> None:
    """Let a convolution start as zero, so that its block starts as the identity."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)


def normalization(kind: str, channels: int, groups: int) -> nn.GroupNorm:
    """Group normalization, or layer normalization over channels and pixels ("layer")."""
    return nn.GroupNorm(groups if kind == "group" else 1, channels)


class ResidualBlock(nn.Module):
    """x + conv(drop(gelu(norm(conv(gelu(norm(x))) + e)))), the last convolution zero at first."""

    def __init__(self, inputs: int, outputs: int, norm: str, groups: int, dropout: float) -> None:
        super().__init__()
        self.norm1 = normalization(norm, inputs, groups)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.norm2 = normalization(norm, outputs, groups)
        self.dropout = dropout
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.skip = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()
        zero_initialize(self.conv2)

    def forward(
        self, x: Float[Tensor, "batch c h w"], embedding: Float[Tensor, "batch k"] | None
    ) -> Float[Tensor, "batch k h w"]:
        dropout = self.dropout if self.training else 0.0
        y = self.conv1(activate(self.norm1, x))
        y = activate(self.norm2, y, embedding, dropout)
        return self.skip(x) + self.conv2(y)


class Upsample(nn.ConvTranspose2d):
    """A transposed 2x2 convolution of stride 2: every pixel becomes four, by one matrix product."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 2, stride=2)

    def forward(  # type: ignore[override]
        self, x: Float[Tensor, "batch c h w"]
    ) -> Float[Tensor, "batch k 2*h 2*w"]:
        batch, _, height, width = x.shape
        outputs = self.out_channels
        assert self.bias is not None
        weight = self.weight.permute(2, 3, 1, 0).reshape(4 * outputs, -1)
        y = F.linear(x.permute(0, 2, 3, 1), weight, self.bias.repeat(4))
        y = y.view(batch, height, width, 2, 2, outputs).permute(0, 1, 3, 2, 4, 5)
        return y.reshape(batch, 2 * height, 2 * width, outputs).permute(0, 3, 1, 2)


class SelfAttention(nn.Module):
    """x + multi-head self-attention over all pixels.

    The two linear layers compute in the precision of their weights, norm and softmax in float32.
    """

    def __init__(self, channels: int, heads: int, norm: str, groups: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = normalization(norm, channels, groups)
        self.qkv = nn.Linear(channels, 3 * channels)
        self.out = nn.Linear(channels, channels)

    def forward(self, x: Float[Tensor, "batch c h w"]) -> Float[Tensor, "batch c h w"]:
        height, width = x.shape[2:]
        exact, fast = self.norm.weight.dtype, self.qkv.weight.dtype
        tokens = self.norm(normable(x.to(exact))).flatten(2).transpose(1, 2)
        qkv = self.qkv(tokens.to(fast)).to(exact)
        parts = qkv.unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(*parts).transpose(1, 2).flatten(2)
        return x + self.out(mixed.to(fast)).transpose(1, 2).unflatten(2, (height, width))


class UNetTrunk(nn.Module):
    """The U-Net without its embeddings: images in, feature maps of the same resolution out.

    Down and up, each level has ``blocks`` residual blocks; between levels strided 2x2
    convolutions halve the resolution and keep the width, which the next block changes, and
    transposed ones double the resolution; features are concatenated after
    each upsampling; self-attention stands between two residual blocks at the bottom.

    Args:
        inputs: channels of the images.
        outputs: channels of the result.
        channels: width of each level, finest first.
        blocks: residual blocks per level and direction.
        heads: attention heads in the bottleneck.
        dropout: rate before the last convolution of every residual block.
        norm: "group" or "layer".
        groups: groups of the group normalization.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        channels: Sequence[int],
        blocks: int,
        heads: int,
        dropout: float,
        norm: str,
        groups: int,
    ) -> None:
        super().__init__()

        def level(width: int, entering: int) -> nn.ModuleList:
            widths = [entering] + [width] * (blocks - 1)
            return nn.ModuleList(ResidualBlock(w, width, norm, groups, dropout) for w in widths)

        first, last = channels[0], channels[-1]
        steps = list(pairwise(channels))
        self.conv_in = nn.Conv2d(inputs, first, 3, padding=1)
        self.down = nn.ModuleList([level(first, first), *(level(b, a) for a, b in steps)])
        self.downsample = nn.ModuleList(nn.Conv2d(a, a, 2, stride=2) for a in channels[:-1])
        self.middle = nn.ModuleList(
            ResidualBlock(last, last, norm, groups, dropout) for _ in range(2)
        )
        self.attention = SelfAttention(last, heads, norm, groups)
        self.upsample = nn.ModuleList(Upsample(b, a) for a, b in reversed(steps))
        self.up = nn.ModuleList([level(last, last), *(level(a, 2 * a) for a, _ in reversed(steps))])
        self.norm_out = normalization(norm, first, groups)
        self.conv_out = nn.Conv2d(first, outputs, 3, padding=1)

    def wide_layers(self) -> list[nn.Module]:
        """The convolutions of all blocks and between levels and the linear layers of the attention.

        They are nearly all of the arithmetic.
        """
        levels = [*self.down, self.middle, *self.up]
        blocks = [block for level in levels for block in level]
        layers = [layer for b in blocks for layer in (b.conv1, b.conv2, b.skip)]
        return [*layers, *self.downsample, *self.upsample, self.attention.qkv, self.attention.out]

    @property
    def precision(self) -> torch.dtype:
        """In which feature maps are stored: that of the wide layers."""
        first = self.middle[0]
        assert isinstance(first, ResidualBlock)
        return first.conv1.weight.dtype

    def block_widths(self) -> list[int]:
        """Channels of every residual block, in the order in which they are evaluated."""
        levels = [*self.down, self.middle, *self.up]
        return [block.conv1.out_channels for level in levels for block in level]

    def forward(
        self, x: Float[Tensor, "batch c height width"], embeddings: Sequence[Tensor | None]
    ) -> Float[Tensor, "batch k height width"]:
        """Args: images, and what each residual block adds, (batch, channels) each or None."""
        embedding = iter(embeddings)
        x = convert(self.conv_in, x, self.precision)
        skips = []
        for i, level in enumerate(self.down):
            assert isinstance(level, nn.ModuleList)
            if i > 0:
                skips.append(x)
                x = self.downsample[i - 1](x)
            for block in level:
                x = block(x, next(embedding))
        x = self.middle[0](x, next(embedding))
        x = self.attention(x)
        x = self.middle[1](x, next(embedding))
        for i, level in enumerate(self.up):
            assert isinstance(level, nn.ModuleList)
            if i > 0:
                x = torch.cat([self.upsample[i - 1](x), skips.pop()], dim=1)
            for block in level:
                x = block(x, next(embedding))
        x = activate(self.norm_out, x)
        return convert(self.conv_out, x, self.conv_out.weight.dtype)


class UNet(Accelerated, EmbeddingDenoiser):
    """eps_hat(z_t, gamma_t, h): the predicted noise.

    Every residual block adds its own embedding of the time and its own embedding of the
    condition. The result is z_t plus a convolution that starts at zero.

    Args:
        condition_size: length of h.
        channels, blocks, heads, dropout, norm, groups: see :class:`UNetTrunk`.
        time_size: length of the sinusoid.
        embedding_size: width of the time MLP that all blocks read.
        gamma_range: gamma(0), gamma(1) at initialization; scales the time embedding.
        image_channels: 3 for RGB.
    """

    def __init__(
        self,
        condition_size: int,
        *,
        channels: Sequence[int] = (64, 128, 256),
        blocks: int = 2,
        heads: int = 4,
        dropout: float = 0.1,
        norm: str = "group",
        groups: int = 8,
        time_size: int = 64,
        embedding_size: int = 256,
        gamma_range: tuple[float, float] = (-5.0, 10.0),
        image_channels: int = 3,
    ) -> None:
        super().__init__()
        self.gamma_range = gamma_range
        self.trunk = UNetTrunk(
            image_channels,
            image_channels,
            channels=channels,
            blocks=blocks,
            heads=heads,
            dropout=dropout,
            norm=norm,
            groups=groups,
        )
        zero_initialize(self.trunk.conv_out)
        widths = self.trunk.block_widths()
        self.sinusoid = SinusoidalEmbedding(time_size)
        self.time = nn.Sequential(
            nn.Linear(time_size, embedding_size),
            nn.GELU(),
            nn.Linear(embedding_size, embedding_size),
            nn.GELU(),
        )
        self.block_time = BlockEmbeddings(embedding_size, widths)
        self.block_condition = BlockEmbeddings(condition_size, widths)

    def wide_layers(self) -> list[nn.Module]:
        """The wide layers of the trunk."""
        return self.trunk.wide_layers()

    def embed_time(self, gamma: Float[Tensor, " batch"]) -> list[Tensor]:
        """The time embedding of every residual block, (batch, channels) each."""
        low, high = self.gamma_range
        return self.block_time(self.time(self.sinusoid(1000 * (gamma - low) / (high - low))))

    def embed_condition(self, h: Float[Tensor, "batch k"]) -> list[Tensor]:
        """The condition embedding of every residual block, (batch, channels) each."""
        return self.block_condition(h)

    def denoise(
        self,
        z: Float[Tensor, "batch c height width"],
        gamma: Float[Tensor, " batch"],
        conditions: Sequence[Tensor],
    ) -> Float[Tensor, "batch c height width"]:
        """The predicted noise for given condition embeddings."""
        times = self.embed_time(gamma)
        return z + self.trunk(z, [t + c for t, c in zip(times, conditions, strict=True)])

    def forward(
        self,
        z: Float[Tensor, "batch c height width"],
        gamma: Float[Tensor, " batch"],
        h: Float[Tensor, "batch k"],
    ) -> Float[Tensor, "batch c height width"]:
        return self.denoise(z, gamma, self.embed_condition(h))
