"""A world of one's own in one file, that of the docs, and a network and a protocol in others."""

from pathlib import Path

WORLD = (Path(__file__).parents[1] / "docs" / "examples" / "stripes.py").read_text()

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
