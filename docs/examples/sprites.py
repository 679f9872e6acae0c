"""From an .npz in the format of dSprites to a finding."""

from pathlib import Path

import numpy as np
import torch

from conceptspace.config import merged, nested
from conceptspace.events import Evaluated
from conceptspace.experiment.session import Session
from conceptspace.presentation.page import write_page
from conceptspace.presets import quick
from conceptspace.store import open_or_create

rng = np.random.default_rng(0)
rows, columns = np.mgrid[:16, :16]


def sprite(shape, radius):
    """A square, an ellipse or a cross somewhere near the middle: bytes 0 and 1."""
    u, v = (np.abs(axis - rng.uniform(6.5, 8.5)) for axis in (columns, rows))
    square, cross = np.maximum(u, v) < radius, np.minimum(u, v) < 0.3 * radius
    ellipse = (u / radius) ** 2 + (v / (0.5 * radius)) ** 2 < 1
    return (square, ellipse, square & cross)[shape].astype(np.uint8)


latents = np.array([(0, shape, scale) for shape in range(3) for scale in range(2)] * 64)
np.savez(
    "sprites.npz",
    imgs=np.stack([sprite(shape, 6 - 3 * scale) for _, shape, scale in latents]),
    latents_classes=latents,
    latents_names=np.array(["color", "shape", "scale"]),
)
changes = {
    "data.kind": "arrays", "data.path": "sprites.npz", "data.factors": ["shape", "scale"],
    "data.values": ["shape=square|ellipse|cross", "scale=large|small"],
    "data.train_classes": ["00", "01", "10", "11", "20"], "data.ood_classes": ["21"],
    "data.resolution": 8, "data.images_per_class": 64, "data.validation_share": 0.0,
    "model.channels": [16, 32], "model.blocks": 1, "train.steps": 400, "train.batch_size": 16,
    "train.learning_rate": 3e-3, "train.first_checkpoint": 50, "train.checkpoints": 8,
    "probe.channels": [16], "probe.features": 16, "probe.images_per_class": 48,
    "probe.held_out_per_class": 16, "probe.steps": 150, "probe.batch_size": 32,
    "evaluate.samples": 12, "evaluate.sampling_steps": 10, "evaluate.protocols": [],
}  # fmt: skip
run, _ = open_or_create(Path("runs/sprites"), merged(quick(), nested(changes), "this page"))
for event in Session(run, torch.device("cpu"), Path("probes")).execute():
    if isinstance(event, Evaluated):
        print(event.step, event.accuracies)
found = write_page([run], run.path / "report.html")
for finding in found:
    print("-", finding.text)
