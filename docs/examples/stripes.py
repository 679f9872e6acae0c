"""A world of one's own: stripes of two colors that run in two ways."""

import torch
from pydantic import Field

import conceptspace as cs
from conceptspace.config import RunConfig
from conceptspace.experiment import parts

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
        train = [cs.ConceptClass(name) for name in ("00", "01", "10")]
        self.space = cs.ConceptSpace((HUE, WAY), tuple(train), (cs.ConceptClass("11"),))
        self.resolution = resolution
        self.stripes = (torch.arange(resolution) % period < period / 2).float()

    def render(self, z, generator=None):
        across, down = self.stripes[:, None], self.stripes[None, :]
        mask = z[:, 2, None, None] * across + z[:, 3, None, None] * down
        red, blue = z[:, 0, None, None] * mask, z[:, 1, None, None] * mask
        return torch.stack([red, 0 * red, blue], dim=1).clamp(0, 1)


if __name__ == "__main__":
    config = RunConfig(data=Stripes(resolution=16, period=2))
    assert parts.world(config.data).picture("11").shape == (3, 16, 16)
    assert config.settings()["data.period"] == 2
