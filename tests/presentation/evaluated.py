"""Run folders with scores and trajectories but no model, for whole pages."""

from __future__ import annotations

import functools
import itertools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from conceptspace.config import RunConfig, merged, nested
from conceptspace.experiment.parts import world
from conceptspace.presets import quick
from conceptspace.recording.scoring import trajectory
from conceptspace.store import Run
from conceptspace.tables import NAIVE

STEPS = range(250, 3001, 250)
SAMPLES = 16


def coordinates(name: str, ood: bool, step: int, turn: float) -> np.ndarray:
    """Probability of bit 1 of each concept: OOD classes get their first concept late."""
    bits = np.array([int(b) for b in name], dtype=float)
    sure = 1 / (1 + np.exp(-(step - 300) / 120))
    target = bits.copy()
    if ood:
        target[0] *= 1 / (1 + np.exp(-(step - turn) / 120))
    return np.clip(0.5 + (target - 0.5) * sure, 0.02, 0.98)


def write_evaluated(
    folder: Path,
    seed: int = 0,
    settings: Mapping[str, Any] | None = None,
    turns: Mapping[str, Mapping[str, float]] | None = None,
    *,
    by_step: bool = False,
) -> Run:
    """A run of the quick preset; ``turns`` has of each protocol and setting the OOD step.

    Its scores are in one file a protocol, or in one a step as a real run's are.
    """
    files = _files(
        folder.name, seed, json.dumps([settings or {}, turns or {NAIVE: {"": 1500}}]), by_step
    )
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return Run(folder)


@functools.cache
def _files(name: str, seed: int, given: str, by_step: bool) -> Mapping[str, bytes]:
    """What is in such a folder, made once for all tests."""
    settings, turns = json.loads(given)
    config: RunConfig = merged(quick(), nested({"seed": seed, **settings}), "test")
    space = world(config.data).space
    known = {"probe": {"accuracy": {"color": 0.999, "size": 1.0}}}
    known["probe_agreement"] = {"color": 0.95, "size": 0.9}
    files = {"config.toml": config.to_toml().encode(), "run.json": json.dumps(known).encode()}
    rng = np.random.default_rng(seed)
    rows = []
    for (protocol, each), step in itertools.product(turns.items(), STEPS):
        for (setting, turn), of in itertools.product(each.items(), space.classes):
            ood = of in space.ood_classes
            if not ood and protocol not in (NAIVE, "guidance"):
                continue
            mean = coordinates(of, ood, step, turn)
            for sample, image in enumerate(rng.binomial(1, mean, (SAMPLES, len(mean)))):
                for concept, bit, wanted in zip(space.names, image, of, strict=True):
                    p = 0.98 if bit else 0.02
                    right = p if wanted == "1" else 1 - p
                    key = (name, seed, step, protocol, setting, str(of), sample, concept)
                    rows.append((*key, right, p, 1.0, right))
    columns = "run seed step protocol setting concept_class sample concept accuracy coordinate"
    scores = pd.DataFrame(rows, columns=[*columns.split(), "valid", "probe"])
    for (protocol, at), part in scores.groupby(["protocol", scores["step"] * by_step]):
        files[f"scores/{protocol}/step-{at:08d}.parquet"] = part.to_parquet()
    files["trajectory.parquet"] = trajectory(scores).to_parquet()
    step = np.arange(1, max(STEPS) + 1, 40)
    diffusion = 3 + 5 * (step / 10.0) ** -0.6 + 0.02 * rng.standard_normal(len(step))
    log = pd.DataFrame({"step": step, "loss": diffusion + 600.0, "diffusion": diffusion})
    files["training.parquet"] = log.assign(reconstruction=600.0).to_parquet()
    return files
