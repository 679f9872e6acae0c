"""Runs of a plan without any training: trajectories that do what a test wants."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from conceptspace.analysis.elicitation import best_settings
from conceptspace.config import RunConfig
from conceptspace.experiment import parts
from conceptspace.files import write_json, write_table
from conceptspace.recording.sheets import encoded
from conceptspace.run_folder import RunFolder
from conceptspace.sweeps.plan import Plan
from conceptspace.tables import JOINT, NAIVE, PROBE, TRAJECTORY_COLUMNS, VALID
from conceptspace.worlds.rendered import RenderedWorld

SAMPLES = 12


@dataclass(frozen=True)
class Behavior:
    """What the OOD classes of a run do.

    Attributes:
        turn: step at which they leave the class that they are taken for, under naive prompting.
        corner: that class; None for going straight to the own class.
        end: where they end, one coordinate per concept; None for their own class.
        protocols: the turn under other protocols, or under one setting ("guidance 5").
        train_turn: step at which training classes turn; None for straight.
        rise: steps within which every class gets to where it heads at first.
        drop: step at which the loss falls to a third at once; None for smoothly all the way.
    """

    turn: float = 1000.0
    corner: str | None = "01"
    end: tuple[float, ...] | None = None
    protocols: Mapping[str, float] = field(default_factory=dict)
    train_turn: float | None = None
    rise: float = 150.0
    drop: float | None = None


def settings(protocol: str, config: RunConfig) -> list[str]:
    """Names of the settings of a protocol."""
    sweep = config.evaluate
    match protocol.partition("-")[0]:
        case "overprompting":
            return [f"{s:g}" for s in sweep.strengths]
        case "latent":
            return [f"alpha={a:g},beta={b:g}" for a in sweep.alphas for b in sweep.betas]
        case "guidance":
            return [f"{w:g}" for w in sweep.guidance]
        case _:
            return [""]


def curve(name: str, ood: bool, steps: np.ndarray, turn: float, does: Behavior) -> np.ndarray:
    """Expected coordinates, shape (T, d)."""
    bits = np.array([float(bit) for bit in name])
    away = 1 - np.exp(-steps / does.rise)[:, None]
    if not ood and does.train_turn is None:
        return 0.5 + (bits - 0.5) * away
    corner = bits if does.corner is None else np.array([float(bit) for bit in does.corner])
    if not ood:
        corner, turn = 1 - bits, does.train_turn or turn
    end = bits if does.end is None or not ood else np.array(does.end)
    arrived = 1 / (1 + np.exp(-np.clip((steps - turn) / 40, -50, 50)))[:, None]
    return 0.5 + (corner - 0.5) * away * (1 - arrived) + (end - 0.5) * arrived


def plant(
    plan: Plan, out: Path, does: Behavior, *, scores: bool = False, kept: bool = False
) -> Path:
    """Write the folder of a finished run.

    Args:
        plan: what it is.
        out: output folder.
        does: what its OOD classes do.
        scores: whether it has scores of single images, a training log and contact sheets, too.
        kept: whether it is as small as a run that was kept: instead of the scores of single
            images, which are a file for each protocol and checkpoint, what is found in them.
    """
    config, folder = plan.config, plan.folder(out)
    steps = np.array(parts.checkpoints(config))
    space = parts.world(config.data).space
    rng = np.random.default_rng([config.seed, 7])
    rows, single = [], []
    for protocol in (NAIVE, *config.evaluate.protocols):
        classes = space.classes if protocol in (NAIVE, "guidance") else space.ood_classes
        for setting in settings(protocol, config):
            turn = does.protocols.get(protocol, does.turn)
            turn = does.protocols.get(f"{protocol} {setting}", turn)
            for name in map(str, classes):
                path = curve(name, name in space.ood_classes, steps.astype(float), turn, does)
                path = np.clip(path + rng.normal(0, 0.01, path.shape), 0.005, 0.995)
                bits = np.array([float(bit) for bit in name])
                hit = np.where(bits == 1, path, 1 - path)
                for step, at, right in zip(steps, path, hit, strict=True):
                    key = (plan.config.seed, int(step), protocol, setting, name)
                    for concept, a, c in zip(space.names, right, at, strict=True):
                        rows.append((*key, concept, a, c))
                        single += [(*key, i, concept, a, c) for i in range(4)] if scores else []
                    rows.append((*key, JOINT, float(right.prod()), float("nan")))
    keys = ["seed", "step", "protocol", "setting", "concept_class"]
    table = pd.DataFrame(rows, columns=[*keys, "concept", "accuracy", "coordinate"])
    table = table.assign(run=folder.name, samples=SAMPLES)[list(TRAJECTORY_COLUMNS)]
    table[VALID], table[PROBE] = 1.0, table["accuracy"]
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text(config.to_toml())
    write_json(folder / "run.json", {"seconds": 60.0, "device": "cpu (x86_64)", "threads": 1})
    write_table(folder / "trajectory.parquet", table)
    if scores:
        columns = [*keys, "sample", "concept", "accuracy", "coordinate"]
        each = pd.DataFrame(single, columns=columns).assign(run=folder.name)
        each[VALID], each[PROBE] = 1.0, each["accuracy"]
        if kept:
            write_table(RunFolder(folder).best, best_settings(table, each))
        for (protocol, step), part in each.groupby(["protocol", "step"]) if not kept else ():
            write_table(folder / "scores" / protocol / f"step-{step:08d}.parquet", part)
        write_table(folder / "training.parquet", log(config.train.steps, config.seed, does.drop))
        sheet(folder, config, int(steps[-1]), does)
    return folder


def log(steps: int, seed: int = 0, drop: float | None = None) -> pd.DataFrame:
    """A loss that falls smoothly, but for a drop at one step."""
    step = np.arange(1, steps + 1)
    loss = 0.2 + 3 * step**-0.5
    if drop is not None:
        loss = np.where(step < drop, loss, loss / 3)
    noise = np.random.default_rng(seed).normal(0, 0.002, steps)
    columns = {"step": step, "loss": loss + noise + 1, "diffusion": loss + noise}
    return pd.DataFrame(columns | {"reconstruction": 1.0, "grad_norm": 0.1})


def sheet(folder: Path, config: RunConfig, step: int, does: Behavior) -> None:
    """The contact sheet of the last checkpoint: discs whose color is where the class ends."""
    world = parts.world(config.data)
    rows, strips = [], []
    for name in map(str, world.space.classes):
        z = world.class_mean(name)
        if does.end is not None and name in world.space.ood_classes:
            for concept, at in zip(world.space.concepts, does.end, strict=True):
                if concept.name == "color":
                    z[4:7] = concept.mean(0) + at * (concept.mean(1) - concept.mean(0))
        shown = world.render(z[None])[0] if isinstance(world, RenderedWorld) else None
        image = (world.picture(name) if shown is None else shown).permute(1, 2, 0).numpy()
        strips.append(np.concatenate([image] * 4, axis=1))
        rows.append({"setting": "", "concept_class": name})
    place = folder / "samples" / NAIVE / f"step-{step:08d}.png"
    place.parent.mkdir(parents=True)
    pixels = (np.concatenate(strips) * 255).round().astype(np.uint8)
    marks = {"step": step, "tile": world.resolution, "rows": rows, "columns": 4}
    place.write_bytes(encoded(pixels, marks))


def plant_all(
    plans: list[Plan],
    out: Path,
    does: Callable[[Plan], Behavior],
    *,
    scores: bool = False,
    kept: bool = False,
) -> None:
    """Write the folders of many runs."""
    for plan in plans:
        plant(plan, out, does(plan), scores=scores, kept=kept)
