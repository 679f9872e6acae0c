"""A model whose capability at each step is known."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from conceptspace.models.schedule import LinearSchedule
from conceptspace.models.unet import BlockEmbeddings
from conceptspace.models.vdm import VDM
from conceptspace.worlds.shapes.world import COLUMNS, ShapesWorld
from oracles import OracleNetwork

STRENGTHS = (1.5, 2.5, 3.5, 4.5)
CAPABLE, ALIGNED = 300, 600


class Gain(BlockEmbeddings):
    """Condition embeddings that pass h on, its colour made weaker."""

    def __init__(self, gain: float) -> None:
        nn.Module.__init__(self)
        self.gain = gain

    def forward(self, vector: Tensor) -> list[Tensor]:
        scale = torch.ones(vector.shape[1])
        scale[COLUMNS["color"]] = self.gain
        return [vector * scale]


def late_model(world: ShapesWorld, step: int) -> VDM:
    """An ideal denoiser that can make 11 from step CAPABLE on, but is aligned only at ALIGNED.

    It makes a small blue object if the embedding is blue enough; until it is aligned the
    embedding halves the colour, and a naive prompt is mistaken for 10.
    """
    images = {str(c): world.render(world.class_mean(c)[None])[0] for c in world.space.classes}
    embeddings = Gain(1.0 if step >= ALIGNED else 0.5)

    def wanted(condition: Tensor) -> str:
        contrast = float(condition[6] - condition[4])
        if float(condition[COLUMNS["size"]]) >= 0.45 or contrast <= 0:
            return f"{int(contrast > 0)}{int(float(condition[COLUMNS['size']]) < 0.45)}"
        return "11" if step >= CAPABLE and contrast > 0.3 else "10"

    def ideal(z: Tensor, gamma: Tensor, conditions: Tensor) -> Tensor:
        x = torch.stack([images[wanted(c)] for c in conditions])
        a, s = torch.sigmoid(-gamma).sqrt(), torch.sigmoid(gamma).sqrt()
        return (z - a[:, None, None, None] * x) / s[:, None, None, None]

    network = OracleNetwork(ideal)
    network.embed_condition = embeddings.forward  # type: ignore[method-assign]
    return VDM(network, LinearSchedule(-7.0, 7.0, learned=True))
