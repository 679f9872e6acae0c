"""Two protocols of one's own, asked of an untrained model, and a hook on a module."""

from typing import ClassVar

from conceptspace import Section


class Louder(Section):
    """h' = factor * h, for every class."""

    name: ClassVar[str] = "louder"
    factors: tuple[float, ...] = (1.5, 2.0)
    """By how much."""

    def settings(self, concept_class):
        return {f"{k:g}": lambda model, h, k=k: (model, k * h) for k in self.factors}


# One that a function makes by its name.
from dataclasses import dataclass

import torch

from conceptspace.protocols.edits import Edited
from conceptspace.protocols.registry import Context, family


@dataclass(frozen=True)
class WithoutFirstBlock:
    """The first residual block is told nothing; as a control, all are told as always."""

    name: str = "without-first-block"

    def settings(self, concept_class):
        def edit(blocks):
            kept = blocks[0] if "control" in self.name else torch.zeros_like(blocks[0])
            return [kept, *blocks[1:]]

        return {"": lambda model, h: (Edited(model, edit), h)}


@family(
    "without-first-block",
    names=lambda run: ["without-first-block", "without-first-block-control"],
)
def without_first_block(name: str, run: Context):
    return WithoutFirstBlock(name)


# Asking and scoring.
import pandas as pd

from conceptspace.analysis.selection import best_of_sweep
from conceptspace.experiment import parts
from conceptspace.judges.judge import ShapesJudge
from conceptspace.judges.probe import Probe, ProbeSettings
from conceptspace.models.schedule import LinearSchedule
from conceptspace.models.unet import UNet
from conceptspace.models.vdm import VDM
from conceptspace.recording.evaluate import Evaluator, Sampling
from conceptspace.recording.scoring import Scorer, trajectory
from conceptspace.worlds.shapes.config import ShapesData

world = parts.world(ShapesData(resolution=8))
network = UNet(11, channels=(8,), blocks=1, heads=2, groups=4)
model = VDM(network, LinearSchedule(-7.0, 7.0, learned=False), (-1.0, 1.0))
probe = Probe(world.space.names, ProbeSettings(channels=(8,), features=8))  # use a trained one
evaluator = Evaluator(
    world,
    parts.conditioning(ShapesData()),
    Scorer(probe, ShapesJudge(world)),
    Sampling(samples=4, steps=3),
    seed=0,
)

scores = pd.concat(
    [
        generated.scores.assign(
            run="mine", seed=0, step=100, protocol=protocol.name,
            setting=generated.setting, concept_class=generated.concept_class,
        )
        for protocol in (Louder(factors=(1.5, 2.0)), WithoutFirstBlock())
        for generated in evaluator(model, protocol, ["11"])
    ],
    ignore_index=True,
)  # fmt: skip
table = trajectory(scores)  # rows for trajectory tables
best = best_of_sweep(scores)  # best, best_setting, honest


# A module of one's own that steering can hook.
import conceptspace as cs
from conceptspace.models.noise import Noise


class Painter(torch.nn.Module, cs.Hookable):
    def __init__(self):
        super().__init__()
        self.layers = torch.nn.Sequential(torch.nn.Linear(4, 12), torch.nn.Linear(12, 12))

    def forward(self, prompts, noise):
        return self.layers(prompts + noise(4)).view(-1, 3, 2, 2).sigmoid()


space = cs.named_space(
    {"hue": ("red", "blue"), "side": ("left", "right")}, held_out=[("blue", "right")]
)
steering = cs.Steering(cs.SpacePrompts(space), "hue", module="layers.0", strengths=(1.0, 2.0))
painter, h = Painter(), torch.eye(4)[[1, 3]]
moved, h = steering.settings("11")["module=layers.0,strength=2"](painter, h)
images = moved(h, Noise(0, "11", range(2)))  # a hook is on layers.0 during this call only
assert not painter.layers[0]._forward_hooks
