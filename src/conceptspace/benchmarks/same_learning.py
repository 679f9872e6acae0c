"""Does the engine learn what the plain reference learns? Trajectories of both, over seeds.

Run: ``python -m conceptspace.benchmarks.same_learning --out DIR``. Both start from the same weights
and data of each seed; data order, noise and precision differ. What is made is kept in DIR, one
table for each seed and trainer, so that the command goes on where it was.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from conceptspace.analysis.intervals import mean
from conceptspace.benchmarks.reference import Diffusion, training, weights_from, weights_to
from conceptspace.cache import probe_cache
from conceptspace.config import RunConfig
from conceptspace.engine.precision import fastest_precision
from conceptspace.experiment import parts
from conceptspace.files import write_table
from conceptspace.judges.probe import load_or_train
from conceptspace.presets import PRESETS
from conceptspace.protocols.naive import Naive
from conceptspace.recording.evaluate import Evaluator
from conceptspace.recording.scoring import Scorer
from conceptspace.tables import NAIVE
from conceptspace.training.loop import Trainer
from conceptspace.worlds.dataset import split_dataset

Kind = Literal["reference", "engine"]
KINDS: tuple[Kind, ...] = ("reference", "engine")


def learn(config: RunConfig, kind: Kind, device: torch.device) -> pd.DataFrame:
    """Joint accuracy under naive prompting at every checkpoint: step, concept_class, accuracy.

    Both are sampled by the library in float32, so that only the training differs.
    """
    world = parts.world(config.data)
    probe = load_or_train(world, parts.probe(config), device, probe_cache()).probe
    evaluator = Evaluator(
        world,
        parts.conditioning(config.data),
        Scorer(probe),
        parts.sampling(config, NAIVE),
        config.seed,
    )
    model = parts.model(config, device)
    rows = []
    for step, weights in _checkpoints(config, kind, device):
        model.load_state_dict(weights)
        for made in evaluator(model, Naive(), world.space.classes):
            joint = made.scores.groupby("sample")["accuracy"].prod().mean()
            rows.append({"step": step, "concept_class": made.concept_class, "accuracy": joint})
    return pd.DataFrame(rows)


def _checkpoints(
    config: RunConfig, kind: Kind, device: torch.device
) -> Iterator[tuple[int, dict[str, Tensor]]]:
    examples, _ = split_dataset(
        parts.world(config.data),
        parts.conditioning(config.data),
        images_per_class=config.data.images_per_class,
        validation_share=config.data.validation_share,
        seed=config.seed,
        masking=parts.masking(config.data),
    )
    planned = set(parts.checkpoints(config))
    model = parts.model(config, device)
    if kind == "engine":
        trainer = Trainer(
            model,
            examples.to(device),
            parts.optimization(config),
            config.seed,
            fastest_precision(device),
        )
        for record in trainer.run(max(planned)):
            if record.step in planned:
                yield record.step, trainer.sampling_weights()
        return
    reference = Diffusion(config).to(device)
    weights_from(model.state_dict(), reference)
    torch.manual_seed(config.seed)
    average = Diffusion(config).to(device)
    steps = training(config, reference, examples, average)
    for step in range(1, max(planned) + 1):
        next(steps)
        if step in planned:
            yield step, weights_to(average, model.state_dict())


def compare(tables: pd.DataFrame) -> pd.DataFrame:
    """Mean difference engine - reference of the joint accuracy over the run, and a p-value.

    One row for each class: difference, its 95 % interval over seeds (Student's), and the p-value of
    "no difference in the curve": the mean over checkpoints of the absolute mean difference, against
    every way to exchange the two trainers within seeds.

    Args:
        tables: columns kind, seed, step, concept_class, accuracy; every seed with both kinds.
    """
    wide = tables.pivot_table(
        index=["concept_class", "seed"], columns=["kind", "step"], values="accuracy"
    )
    difference = wide["engine"] - wide["reference"]
    rows = []
    for concept_class, of in difference.groupby(level="concept_class"):
        curves = of.to_numpy()
        signs = np.array(list(itertools.product([1, -1], repeat=len(curves))))
        sizes = np.abs(np.einsum("ks,st->kt", signs, curves) / len(curves)).mean(axis=1)
        found = mean(curves.mean(axis=1))
        rows.append(
            {
                "concept_class": concept_class,
                "seeds": len(curves),
                "difference": found.value,
                "low": found.low,
                "high": found.high,
                "p": float((sizes >= sizes[0] - 1e-12).mean()),
            }
        )
    return pd.DataFrame(rows)


def main(arguments: list[str] | None = None) -> None:
    """Train what is missing, then print the comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--preset", choices=list(PRESETS), default="quick")
    parser.add_argument("--seeds", default="0,1,2,3,4")
    options = parser.parse_args(arguments)
    device = parts.device("auto")
    tables = []
    for seed, kind in itertools.product(map(int, options.seeds.split(",")), KINDS):
        path = options.out / f"{kind}-seed-{seed}.parquet"
        if not path.exists():
            config = PRESETS[options.preset]().model_copy(update={"seed": seed})
            write_table(path, learn(config, kind, device), {"config": config.digest()})
            print(f"{path} written", flush=True)
        tables.append(pd.read_parquet(path).assign(kind=kind, seed=seed))
    print(compare(pd.concat(tables)).to_string(index=False, float_format="%.3f"))


if __name__ == "__main__":
    main()
