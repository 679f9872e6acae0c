"""A network of one's own: two layers for all pixels at once."""

import torch
from pydantic import Field
from torch import nn

import conceptspace as cs
from conceptspace.config import RunConfig
from conceptspace.experiment import parts
from conceptspace.worlds.shapes.config import ShapesData


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
        flat = torch.cat([z.flatten(1), gamma[:, None] / 10, h], dim=1)
        return z + self.layers(flat).view(z.shape)


if __name__ == "__main__":
    mlp = parts.model(RunConfig(data=ShapesData(resolution=8), model=Mlp(width=8)))
    made = mlp(torch.rand(2, 3, 8, 8), torch.zeros(2), torch.zeros(2, 11))
    assert made.shape == (2, 3, 8, 8)
