"""The yardstick: model, training and sampling as a careful researcher would write them at once.

Eager PyTorch, float32, contiguous tensors, a DataLoader, nothing clever; written from the paper
(App. A.2, A.3) without the modules that it measures. :func:`weights_from` gives it the weights of
the library's model, so that tests can hold both equal.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from conceptspace.config import RunConfig
from conceptspace.models.config import UNetConfig
from conceptspace.worlds.dataset import Examples
from conceptspace.worlds.shapes.world import VARIABLES


def mlp(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(inputs, hidden), nn.GELU(), nn.Linear(hidden, outputs), nn.GELU()
    )


class Block(nn.Module):
    """norm, GELU, conv, + time + condition, norm, GELU, dropout, conv; plus the input."""

    def __init__(self, inputs: int, outputs: int, config: RunConfig) -> None:
        super().__init__()
        m = UNetConfig.of(config.model)
        groups = m.groups if m.norm == "group" else 1
        self.norm1, self.norm2 = nn.GroupNorm(groups, inputs), nn.GroupNorm(groups, outputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.time = mlp(m.embedding_size, outputs, outputs)
        self.condition = mlp(VARIABLES, outputs, outputs)
        self.dropout = nn.Dropout(m.dropout)
        self.skip = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()
        nn.init.zeros_(self.conv2.weight)
        nn.init.zeros_(self.conv2.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor, time: Tensor, h: Tensor) -> Tensor:
        y = self.conv1(F.gelu(self.norm1(x)))
        y = y + (self.time(time) + self.condition(h))[:, :, None, None]
        return self.skip(x) + self.conv2(self.dropout(F.gelu(self.norm2(y))))


class Attention(nn.Module):
    def __init__(self, channels: int, config: RunConfig) -> None:
        super().__init__()
        m = UNetConfig.of(config.model)
        groups = m.groups if m.norm == "group" else 1
        self.norm = nn.GroupNorm(groups, channels)
        self.qkv = nn.Linear(channels, 3 * channels)
        self.out = nn.Linear(channels, channels)
        self.heads = m.heads

    def forward(self, x: Tensor) -> Tensor:
        b, c, height, width = x.shape
        tokens = self.norm(x).reshape(b, c, -1).transpose(1, 2)
        q, k, v = (
            part.reshape(b, height * width, self.heads, -1).transpose(1, 2)
            for part in self.qkv(tokens).chunk(3, dim=2)
        )
        mixed = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(b, -1, c)
        return x + self.out(mixed).transpose(1, 2).reshape(b, c, height, width)


class Network(nn.Module):
    """The U-Net of App. A.2."""

    def __init__(self, config: RunConfig) -> None:
        super().__init__()
        m = UNetConfig.of(config.model)
        widths, last = m.channels, m.channels[-1]
        self.gamma_range = (m.gamma_start, m.gamma_end)
        self.time_size = m.time_size
        self.time = mlp(m.time_size, m.embedding_size, m.embedding_size)
        self.conv_in = nn.Conv2d(3, widths[0], 3, padding=1)
        self.down = nn.ModuleList(
            nn.ModuleList(Block(a if j == 0 else b, b, config) for j in range(m.blocks))
            for a, b in pairwise((widths[0], *widths))
        )
        self.downsample = nn.ModuleList(nn.Conv2d(a, a, 2, stride=2) for a in widths[:-1])
        self.middle1, self.middle2 = Block(last, last, config), Block(last, last, config)
        self.attention = Attention(last, config)
        rising = widths[::-1]
        self.upsample = nn.ModuleList(
            nn.ConvTranspose2d(b, a, 2, stride=2) for b, a in pairwise(rising)
        )
        self.up = nn.ModuleList(
            nn.ModuleList(
                Block(2 * w if i > 0 and j == 0 else w, w, config) for j in range(m.blocks)
            )
            for i, w in enumerate(rising)
        )
        self.norm_out = nn.GroupNorm(m.groups if m.norm == "group" else 1, widths[0])
        self.conv_out = nn.Conv2d(widths[0], 3, 3, padding=1)
        nn.init.zeros_(self.conv_out.weight)
        nn.init.zeros_(self.conv_out.bias)  # type: ignore[arg-type]

    def forward(self, z: Tensor, gamma: Tensor, h: Tensor) -> Tensor:
        low, high = self.gamma_range
        half = self.time_size // 2
        steps = torch.arange(half, device=z.device) / (half - 1)
        angles = 1000 * (gamma - low)[:, None] / (high - low) * torch.exp(-math.log(1e4) * steps)
        time = self.time(torch.cat([angles.sin(), angles.cos()], dim=1))
        x, skips = self.conv_in(z), []
        for i, blocks in enumerate(self.down):
            if i > 0:
                skips.append(x)
                x = self.downsample[i - 1](x)
            for block in blocks:  # type: ignore[attr-defined]
                x = block(x, time, h)
        x = self.middle2(self.attention(self.middle1(x, time, h)), time, h)
        for i, blocks in enumerate(self.up):
            if i > 0:
                x = torch.cat([self.upsample[i - 1](x), skips.pop()], dim=1)
            for block in blocks:  # type: ignore[attr-defined]
                x = block(x, time, h)
        return z + self.conv_out(F.gelu(self.norm_out(x)))


class Diffusion(nn.Module):
    """The variational diffusion model with linear gamma(t), and its loss in bits per dimension."""

    def __init__(self, config: RunConfig) -> None:
        super().__init__()
        m = UNetConfig.of(config.model)
        learned = m.schedule == "learned_linear"
        self.network = Network(config)
        self.b = nn.Parameter(torch.tensor(m.gamma_start), requires_grad=learned)
        self.w = nn.Parameter(torch.tensor(m.gamma_end - m.gamma_start), requires_grad=learned)
        self.symmetric = m.pixel_range == "symmetric"

    def gamma(self, t: Tensor) -> Tensor:
        return self.b + self.w.abs() * t

    def loss(self, images: Tensor, h: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        x = 2 * images - 1 if self.symmetric else images
        dimensions = x[0].numel()
        gamma = self.gamma(t)
        start, end = self.gamma(torch.zeros_like(t[0])), self.gamma(torch.ones_like(t[0]))
        g = gamma[:, None, None, None]
        z = torch.sigmoid(-g).sqrt() * x + torch.sigmoid(g).sqrt() * noise
        error = (noise - self.network(z, gamma, h)).square().sum((1, 2, 3)).mean()
        diffusion = 0.5 * self.w.abs() * error
        variance = torch.sigmoid(end)
        mean = torch.sigmoid(-end) * x.square().mean()
        prior = 0.5 * dimensions * (variance + mean - 1 - variance.log())
        scale = 1e-6
        per_pixel = 0.5 * start.exp() / scale + 0.5 * math.log(2 * math.pi * scale)
        return (diffusion + prior + dimensions * per_pixel) / (dimensions * math.log(2))

    @torch.no_grad()
    def sample(self, h: Tensor, resolution: int, steps: int) -> Tensor:
        """Ancestral sampling."""
        z = torch.randn(len(h), 3, resolution, resolution, device=h.device)
        times = torch.linspace(1, 0, steps + 1, device=h.device)
        for i in range(steps):
            gamma_t, gamma_s = self.gamma(times[i]), self.gamma(times[i + 1])
            eps = self.network(z, gamma_t.expand(len(h)), h)
            c = -torch.expm1(gamma_s - gamma_t)
            alphas = torch.sigmoid(-gamma_s).sqrt() / torch.sigmoid(-gamma_t).sqrt()
            z = alphas * (z - c * torch.sigmoid(gamma_t).sqrt() * eps)
            if i < steps - 1:
                z = z + torch.sigmoid(gamma_s).sqrt() * c.sqrt() * torch.randn_like(z)
        return z / torch.sigmoid(-self.gamma(times[-1])).sqrt()


def training(
    config: RunConfig, model: Diffusion, examples: Examples, average: Diffusion | None = None
) -> Iterator[float]:
    """Train for ever, yielding the loss of every step; data moves from the CPU batch by batch.

    Args:
        config: of the run.
        model: trained in place.
        examples: training set.
        average: becomes the exponential average of the weights, if there is one to be.
    """
    settings = config.train
    device = next(model.parameters()).device
    data = TensorDataset(examples.images.cpu().contiguous(), examples.h.cpu())
    loader = DataLoader(data, settings.batch_size, shuffle=True, drop_last=True)
    optimizer = torch.optim.AdamW(
        model.parameters(),
        lr=settings.learning_rate,
        betas=(settings.beta1, settings.beta2),
        weight_decay=settings.weight_decay,
    )
    average = Diffusion(config).to(device) if average is None else average
    average.load_state_dict(model.state_dict())
    step = 0
    model.train()
    while True:
        for batch in loader:
            images, h = (part.to(device) for part in batch)
            t = (torch.rand(()) + torch.arange(len(images)) / len(images)).to(device) % 1
            loss = model.loss(images, h, torch.randn_like(images), t)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), settings.clip_norm)
            optimizer.step()
            decay = min(settings.weight_average, (step + 1) / (step + 10))
            with torch.no_grad():
                for a, p in zip(average.parameters(), model.parameters(), strict=True):
                    a.lerp_(p, 1 - decay)
            step += 1
            yield loss.item()


def weights_from(weights: dict[str, Tensor], model: Diffusion) -> None:
    """Load the library's weights (``VDM.state_dict()``) into the reference."""
    model.load_state_dict(_translated(weights, model))


def weights_to(model: Diffusion, template: dict[str, Tensor]) -> dict[str, Tensor]:
    """The reference's weights as the library names them.

    Args:
        model: the reference.
        template: a ``VDM.state_dict()`` of the same config, for names and shapes.
    """
    sizes = [value.numel() for value in template.values()]
    numbers = torch.arange(sum(sizes)).split(sizes)
    shaped = {
        key: part.view(value.shape)
        for (key, value), part in zip(template.items(), numbers, strict=True)
    }
    places = _translated(shaped, model)  # where each number comes from
    flat = torch.empty(sum(sizes))
    for key, value in model.state_dict().items():
        flat[places[key].flatten()] = value.flatten().cpu()
    return {
        key: part.view(value.shape)
        for (key, value), part in zip(template.items(), flat.split(sizes), strict=True)
    }


def _translated(weights: dict[str, Tensor], model: Diffusion) -> dict[str, Tensor]:
    """The library's weights under the reference's names."""
    blocks = {
        name.removeprefix("network."): module.conv1.out_channels
        for name, module in model.named_modules()
        if isinstance(module, Block)
    }
    stacked = sorted(blocks, key=lambda name: blocks[name])  # as BlockEmbeddings groups them
    state: dict[str, Tensor] = {}
    for key, value in weights.items():
        inner = key.removeprefix("network.")
        if inner.startswith(("trunk.", "time.")):
            new = inner.removeprefix("trunk.").replace("middle.0.", "middle1.")
            state[f"network.{new.replace('middle.1.', 'middle2.')}"] = value
        elif inner.startswith("block_"):
            kind, layer, *width, suffix = inner.removeprefix("block_").split(".")
            if layer == "hidden":
                parts = dict(zip(stacked, value.split([blocks[b] for b in stacked]), strict=True))
            else:
                which = [block for block in stacked if str(blocks[block]) == width[0]]
                turned = value.transpose(1, 2) if suffix == "weight" else value[:, 0]
                parts = dict(zip(which, turned, strict=True))
            for block, part in parts.items():
                place = f"{block}.{kind}.{0 if layer == 'hidden' else 2}"
                state[f"network.{place}.{suffix}"] = part
        else:
            state[key.removeprefix("schedule.")] = value
    return state
