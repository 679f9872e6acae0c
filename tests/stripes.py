"""A world of one's own in one file, as a user would write it, and a network in another."""

WORLD = '''
import torch
from pydantic import Field

import conceptspace as cs

HUE = cs.Concept("hue", ("red", "blue"), ((0.9, 0.1), (0.1, 0.9)), 0.05)
WAY = cs.Concept("way", ("across", "down"), ((1.0, 0.0), (0.0, 1.0)))


class Stripes(cs.DataConfig):
    """Stripes of two colors that run in two ways."""

    period: int = Field(4, ge=2, le=16)
    """Pixels from one stripe to the next."""

    def world(self):
        return StripesWorld(self.resolution, self.period)


class StripesWorld(cs.RenderedWorld):
    def __init__(self, resolution, period):
        train = tuple(cs.ConceptClass(name) for name in ("00", "01", "10"))
        self.space = cs.ConceptSpace((HUE, WAY), train, (cs.ConceptClass("11"),))
        self.resolution = resolution
        self.stripes = (torch.arange(resolution) % period < period / 2).float()

    def render(self, z, generator=None):
        across, down = self.stripes[:, None], self.stripes[None, :]
        mask = z[:, 2, None, None] * across + z[:, 3, None, None] * down
        red, blue = z[:, 0, None, None] * mask, z[:, 1, None, None] * mask
        return torch.stack([red, 0 * red, blue], dim=1).clamp(0, 1)
'''

NETWORK = '''
import torch
from pydantic import Field
from torch import nn

import conceptspace as cs


class Mlp(cs.ModelConfig):
    """Two layers for all pixels at once."""

    width: int = Field(16, ge=1, le=4096)
    """Hidden numbers."""

    def network(self, prompt, resolution):
        return Layers(3 * resolution**2, prompt, self.width)


class Layers(nn.Module):
    def __init__(self, pixels, prompt, width):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(pixels + prompt + 1, width), nn.GELU(), nn.Linear(width, pixels)
        )

    def forward(self, z, gamma, h):
        flat = torch.cat([z.view(len(z), -1), gamma[:, None] / 10, h], dim=1)
        return z + self.layers(flat).view(z.shape)
'''

PROTOCOL = '''
from typing import ClassVar

import conceptspace as cs


class Louder(cs.Section):
    """h' = factor * h, for every class."""

    name: ClassVar[str] = "louder"
    factors: tuple[float, ...] = (1.5, 2.0)
    """By how much."""

    def settings(self, concept_class):
        return {f"{k:g}": lambda model, h, k=k: (model, k * h) for k in self.factors}
'''
