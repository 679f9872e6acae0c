"""The concept signal of a data-generating process, as tables and a figure."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd
import torch

from conceptspace.files import write_table
from conceptspace.presentation.drawing import class_images
from conceptspace.presentation.figures import signal_figure
from conceptspace.presentation.style import save
from conceptspace.seeding import generator
from conceptspace.worlds.rendered import RenderedWorld
from conceptspace.worlds.signal import class_distances, local_signal


def write_signal(
    settings: Mapping[str, RenderedWorld], folder: Path, seed: int = 0
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Measure, draw and store the signal of every concept, in one setting or several.

    Writes ``signal.parquet``, ``local.parquet``, ``signal.png`` and ``signal.svg``; two settings
    with opposite signals give the paper's Figs. 2 and 11.

    Args:
        settings: data-generating processes with the same concepts, under their titles.
        folder: created if missing.
        seed: of the samples.

    Returns:
        Mean squared pixel distances between classes, see :func:`class_distances`; and the local
        signal |dG/dz_i| of every continuous variable, columns setting, variable and signal (root
        of the summed squares over pixels and over the variable's numbers, mean over images).
    """
    distances = {name: class_distances(world, seed=seed) for name, world in settings.items()}
    table = pd.concat([t.assign(setting=name) for name, t in distances.items()])
    local = pd.concat(
        [_local(world, seed).assign(setting=name) for name, world in settings.items()]
    )
    write_table(folder / "signal.parquet", table)
    write_table(folder / "local.parquet", local)
    drawn = {name: (distances[name], class_images(world)) for name, world in settings.items()}
    save(signal_figure(next(iter(settings.values())).space, drawn), folder / "signal")
    return table, local


def _local(world: RenderedWorld, seed: int) -> pd.DataFrame:
    z = [world.sample(c, 64, generator(seed, "local", c)) for c in world.space.classes]
    signal = local_signal(world.render, torch.cat(z)).square().mean(0)
    sums = {name: float(signal[columns].sum().sqrt()) for name, columns in world.columns.items()}
    rows = [(name, value) for name, value in sums.items() if name != "shape"]
    return pd.DataFrame(rows, columns=["variable", "signal"])
