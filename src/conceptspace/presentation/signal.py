"""The concept signal of a data-generating process, as tables and a figure."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import torch

from conceptspace.data.seeding import generator
from conceptspace.data.shapes import COLUMNS, ShapesWorld
from conceptspace.files import write_table
from conceptspace.measurement.signal import class_distances, local_signal
from conceptspace.presentation.drawing import class_images
from conceptspace.presentation.figures import signal_figure
from conceptspace.presentation.style import save


def write_signal(world: ShapesWorld, folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Measure, draw and store the signal of every concept.

    Writes ``signal.parquet``, ``local.parquet``, ``signal.png`` and ``signal.svg``.

    Returns:
        Mean squared pixel distances between classes, see :func:`class_distances`; and the local
        signal |dG/dz_i| of every continuous variable, columns variable and signal (norm over
        pixels, averaged over images of all classes; root of the sum of squares over channels).
    """
    distances = class_distances(world)
    z = [world.sample(c, 64, generator(0, "local", c)) for c in world.space.classes]
    signal = local_signal(world.render, torch.cat(z)).square().mean(0)
    local = pd.DataFrame(
        [
            (name, float(signal[columns].sum().sqrt()))
            for name, columns in COLUMNS.items()
            if name != "shape"
        ],
        columns=["variable", "signal"],
    )
    write_table(folder / "signal.parquet", distances)
    write_table(folder / "local.parquet", local)
    figure = signal_figure(world.space, {"": (distances, class_images(world))})
    save(figure, folder / "signal")
    return distances, local
