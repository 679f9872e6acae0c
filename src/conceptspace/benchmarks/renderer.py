"""Images per second of the renderer. Run: python benchmarks/renderer.py"""

from __future__ import annotations

import argparse
import time

import torch

from conceptspace.build import world
from conceptspace.config import DataConfig
from conceptspace.data.seeding import generator

BATCH = 2048


def images_per_second(resolution: int, seconds: float) -> float:
    """Median over batches that fill about the given time."""
    shapes = world(DataConfig(resolution=resolution))
    source = generator(0, "benchmark")
    z = torch.cat([shapes.sample(c, BATCH // 4, source) for c in shapes.space.classes])
    shapes.render(z, source)
    speeds: list[float] = []
    end = time.perf_counter() + seconds
    while not speeds or time.perf_counter() < end:
        started = time.perf_counter()
        shapes.render(z, source)
        speeds.append(BATCH / (time.perf_counter() - started))
    return sorted(speeds)[len(speeds) // 2]


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0, help="per resolution")
    options = parser.parse_args()
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, with pixel noise")
    for resolution in (16, 32, 64):
        speed = images_per_second(resolution, options.seconds)
        print(f"{resolution:3} px  {speed:10,.0f} images/s")


if __name__ == "__main__":
    main()
