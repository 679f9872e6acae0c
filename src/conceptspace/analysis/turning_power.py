"""False alarms and power of the turn detector, on trajectories planted with and without a turn.

``python -m conceptspace.analysis.turning_power --trials 100`` prints the table as Markdown, and
with ``--kinks`` that of learning curves with and without a kink.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from conceptspace.analysis.kinks import Kink, detect_kink
from conceptspace.analysis.trajectories import Array
from conceptspace.analysis.turning import Turn, detect_turn


@dataclass(frozen=True)
class PlantedNoise:
    """How a planted trajectory differs from its path.

    Attributes:
        name: shown in the table.
        wander: standard deviation of an AR(1) process added to each coordinate.
        correlation: its autocorrelation from one checkpoint to the next.
        bow: standard deviation of a smooth sideways bow that each seed has of its own.
        pace: standard deviation of the logarithm of each seed's speed.
        logit: the wander is added to the logit, so that it fades near 0 and 1.
    """

    name: str
    wander: float = 0.0
    correlation: float = 0.0
    bow: float = 0.0
    pace: float = 0.0
    logit: bool = False


SINGLE = (
    PlantedNoise("sampling only"),
    PlantedNoise("wander 0.05, correlation 0.8", 0.05, 0.8),
    PlantedNoise("wander 0.05, correlation 0.93", 0.05, 0.93),
    PlantedNoise("wander 0.3 in logits, 0.9", 0.3, 0.9, logit=True),
)
SEVERAL = (
    PlantedNoise("wander 0.05, 0.8; pace 0.2", 0.05, 0.8, pace=0.2),
    PlantedNoise("wander 0.08, 0.95; pace 0.2", 0.08, 0.95, pace=0.2),
    PlantedNoise("wander 0.03, 0.5; bow 0.1; pace 0.2", 0.03, 0.5, bow=0.1, pace=0.2),
)
STRAIGHT = ("even speed", "slowing down", "sudden")
CORNERS = {
    "45° turn": ((0.1, 0.4), (0.5, 0.4), (0.85, 0.75)),
    "90° turn": ((0.5, 0.3), (0.2, 0.6), (0.6, 1.0)),
    "120° turn": ((0.45, 0.4), (0.12, 0.85), (0.95, 0.95)),
}


def path(kind: str, steps: int) -> Array:
    """A noiseless planted path, shape (steps, 2), whose corner is at 30 % of the checkpoints."""
    time = np.linspace(0, 1, steps)
    if kind in CORNERS:
        start, corner, end = np.array(CORNERS[kind])
        before = np.clip(time / 0.3, 0, 1)[:, None]
        after = np.clip((time - 0.3) / 0.4, 0, 1)[:, None]
        return np.asarray(start + (corner - start) * before + (end - corner) * after)
    speed = {
        "even speed": time,
        "slowing down": 1 - np.exp(-6 * time),
        "sudden": 1 / (1 + np.exp(-14 * (time - 0.4))),
    }[kind]
    return np.asarray(np.array([0.2, 0.35]) + speed[:, None] * np.array([0.75, 0.6]))


def plant(
    kind: str, steps: int, seeds: int, noise: PlantedNoise, samples: int, rng: np.random.Generator
) -> Array:
    """Trajectories as measured, shape (seeds, steps, 2), from binomially drawn samples."""
    return np.stack([_one(path(kind, steps), noise, samples, rng) for _ in range(seeds)])


def trials(
    kind: str, steps: int, seeds: int, noise: PlantedNoise, count: int, seed: int, samples: int = 48
) -> list[Turn]:
    """What the detector says about ``count`` planted trajectories."""
    rng = np.random.default_rng(seed)
    planted = (plant(kind, steps, seeds, noise, samples, rng) for _ in range(count))
    return [detect_turn(np.arange(steps), p, samples, seed=i) for i, p in enumerate(planted)]


def table(count: int, seed: int = 0) -> Iterator[str]:
    """Markdown lines: how often a turn is reported, for straight and for turning paths."""
    kinds = (*STRAIGHT, *CORNERS)
    yield f"| seeds | checkpoints | noise | {' | '.join(kinds)} |"
    yield f"|---|---|---|{'---|' * len(kinds)}"
    sizes = [(1, 12), (1, 24), (1, 60), (3, 12), (5, 12), (3, 60), (5, 60)]
    for seeds, steps in sizes:
        for noise in SINGLE if seeds == 1 else SEVERAL:
            rates = [_rate(trials(kind, steps, seeds, noise, count, seed)) for kind in kinds]
            yield f"| {seeds} | {steps} | {noise.name} | {' | '.join(rates)} |"


def planted_curves(steps: Array) -> dict[str, Array]:
    """Noiseless curves of a range of about 1: three smooth ones, then three with a kink."""
    x = np.log(steps / steps[0]) / np.log(steps[-1] / steps[0])
    rise = 0.5 + 0.5 / (1 + np.exp(-10 * (x - 0.5)))
    loss = (steps / steps[0]) ** -0.6
    return {
        "power law": loss,
        "exponential": 1 - 0.8 * np.exp(-steps / 3000),
        "sigmoid": rise,
        "loss drops": loss - 1.2 * np.maximum(0, x - 0.7),
        "accuracy falls": rise - 1.2 * np.maximum(0, x - 0.7),
        "plateau, then rise": 0.6 - 0.4 * loss + 1.2 * np.maximum(0, x - 0.7),
    }


def kink_table(count: int, seed: int = 0) -> Iterator[str]:
    """Markdown lines: how often a kink is reported, at steps from 500 to 20 000."""
    names = list(planted_curves(np.arange(1.0, 3.0)))
    yield f"| seeds | checkpoints | noise | {' | '.join(names)} |"
    yield f"|---|---|---|{'---|' * len(names)}"
    for seeds, length in ((1, 12), (4, 12), (1, 40), (4, 40)):
        steps = np.linspace(500**0.5, 20000**0.5, length) ** 2
        for size, correlation in ((0.02, 0.0), (0.02, 0.9)):
            rng = np.random.default_rng(seed)
            rates = []
            for curve in planted_curves(steps).values():
                white = rng.standard_normal((count, seeds, length))
                noise = size * np.moveaxis(_drift(np.moveaxis(white, -1, 0), correlation), 0, -1)
                rates.append(_rate([detect_kink(steps, curve + part) for part in noise]))
            label = f"{size:g}, correlation {correlation:g}"
            yield f"| {seeds} | {length} | {label} | {' | '.join(rates)} |"


def _rate(turns: Sequence[Turn | Kink]) -> str:
    detected = np.mean([turn.detected for turn in turns])
    rejected = np.mean([turn.p_value <= 0.05 for turn in turns])
    return f"{detected:.2f} ({rejected:.2f})"


def _one(clean: Array, noise: PlantedNoise, samples: int, rng: np.random.Generator) -> Array:
    time = np.linspace(0, 1, len(clean))
    when = time ** np.exp(noise.pace * rng.standard_normal())
    points = np.stack([np.interp(when, time, column) for column in clean.T], axis=1)
    bow = noise.bow * rng.standard_normal() * np.sin(np.pi * time)
    points = np.clip(points + bow[:, None] * np.array([-0.62, 0.78]), 0.001, 0.999)
    drift = _drift(rng.standard_normal(clean.shape), noise.correlation)
    if noise.logit:
        mean = 1 / (1 + np.exp(-np.log(points / (1 - points)) - noise.wander * drift))
    else:
        mean = np.clip(points + noise.wander * drift, 0.001, 0.999)
    return np.asarray(rng.binomial(samples, mean) / samples, dtype=np.float64)


def _drift(white: Array, correlation: float) -> Array:
    """Turn white noise into a stationary AR(1) process of unit variance along the first axis."""
    drift = white.copy()
    for step in range(1, len(drift)):
        fresh = np.sqrt(1 - correlation**2) * white[step]
        drift[step] = correlation * drift[step - 1] + fresh
    return drift


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=200, help="trajectories per cell")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kinks", action="store_true", help="learning curves, not trajectories")
    arguments = parser.parse_args()
    lines = kink_table if arguments.kinks else table
    for line in lines(arguments.trials, arguments.seed):
        print(line, flush=True)


if __name__ == "__main__":
    main()
