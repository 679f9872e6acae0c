"""From a concept space of your own to a finding: python docs/tutorial.py [STEPS]."""

import copy
import sys
from pathlib import Path

import pandas as pd
import torch

from conceptspace.analysis.emergence import find_emergence, sentence, survival
from conceptspace.analysis.memorization import episodes, memorization
from conceptspace.experiment import parts
from conceptspace.models.sampling import gaussian, sample
from conceptspace.presentation.drawing import class_images
from conceptspace.presentation.figures import save, trajectory_figure
from conceptspace.presets import quick
from conceptspace.recording.scoring import trajectory
from conceptspace.seeding import generator
from conceptspace.space import Concept, ConceptSpace, paper_split
from conceptspace.training.loop import Trainer
from conceptspace.worlds.conditioning import Conditioning
from conceptspace.worlds.dataset import split_dataset
from conceptspace.worlds.shapes.readout import AnalyticReadout
from conceptspace.worlds.shapes.world import ShapesWorld, shape, size
from conceptspace.worlds.signal import class_distances

steps = int(sys.argv[1]) if len(sys.argv) > 1 else 3000

color = Concept("color", ("green", "violet"), ((0.2, 0.7, 0.3), (0.6, 0.2, 0.8)), spread=0.04)
space = ConceptSpace((color, size(0.4, spread=0.25), shape()), *paper_split(3))
world = ShapesWorld(space, resolution=16, position_range=0.15)
print(class_distances(world).groupby("concept")["distance"].mean().round(4).to_dict())
h = Conditioning(space.names)
examples, _ = split_dataset(world, h, images_per_class=1500, validation_share=0.0, seed=0)
model = parts.model(quick())
shown = copy.deepcopy(model).eval()
trainer = Trainer(model, examples, parts.optimization(quick()), seed=0)
readout, scores = AnalyticReadout(world), []
for record in trainer.run(steps):
    if record.step % max(1, steps // 12) > 0:
        continue
    shown.load_state_dict(trainer.sampling_weights())
    for name in space.classes:
        noise = gaussian((16, 3, 16, 16), generator(0, "noise", name))
        prompts = h(world.class_mean(name)).expand(16, -1)
        with torch.no_grad():
            images = shown.decode(sample(shown, shown.schedule, prompts, steps=20, noise=noise))
        for concept, bit, at in zip(space.names, name, readout.coordinates(images).T, strict=True):
            at = at.clamp(0, 1).double().numpy()
            part = pd.DataFrame({"sample": range(16), "concept": concept, "coordinate": at})
            part["accuracy"] = at if bit == "1" else 1 - at
            scores.append(part.assign(step=record.step, concept_class=str(name)))

table = trajectory(pd.concat(scores).assign(run="mine", seed=0, protocol="naive", setting=""))
save(trajectory_figure(table, space, class_images(world)), Path("tutorial"))
for name in space.ood_classes:
    first = episodes(memorization(table, space.train_classes, name))[0]
    told = sentence(survival(find_emergence(table, name)), name)
    print(f"{name} taken for {first.mistaken_for} at {first.checkpoints} checkpoints; {told}")
