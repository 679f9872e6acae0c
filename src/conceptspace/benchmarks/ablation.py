"""What each part of the engine gains: the same training step with and without it, in turns.

All variants are in one process and take a step each in every round, so that they see the same
noise; what counts is the ratio of two of them within a round.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from conceptspace.benchmarks.works import examples_of
from conceptspace.config import RunConfig
from conceptspace.engine.device import seconds
from conceptspace.engine.precision import Precision
from conceptspace.engine.replacing import BLOCKS, CONVOLUTIONS, KINDS, NORMS, fuse
from conceptspace.experiment import parts
from conceptspace.training.loop import Trainer

WARM_UP = 5
"""Steps of each variant before the first round."""


@dataclass(frozen=True)
class Variant:
    """A way to compute a training step.

    Attributes:
        name: as it is printed.
        precision: of the wide layers.
        kinds: of layers that are the engine's, see :mod:`conceptspace.engine.replacing`.
        beside: name of the variant that lacks, or has, just what this one is about.
    """

    name: str
    precision: Precision
    kinds: tuple[str, ...]
    beside: str


PLAIN, LOWERED, WHOLE = "plain float32", "bfloat16 alone", "with residual blocks"
NORMED, CONVOLVED = "with norms and GELU", "with 3x3 convolutions"


def variants(precision: Precision) -> list[Variant]:
    """More and more of the engine, and then all of it less one part; channels always innermost.

    Args:
        precision: in which the engine computes wide layers on this machine: there is a variant for
            bfloat16 alone, or one for the convolutions, whose kernel is of float32.
    """
    plain = Variant(PLAIN, "float32", (), PLAIN)
    if precision == "float32":
        return [
            plain,
            Variant(NORMED, precision, (NORMS,), PLAIN),
            Variant(CONVOLVED, precision, (NORMS, CONVOLUTIONS), NORMED),
            Variant(WHOLE, precision, tuple(KINDS), CONVOLVED),
            Variant("all but norms and GELU", precision, (CONVOLUTIONS, BLOCKS), WHOLE),
        ]
    return [
        plain,
        Variant(LOWERED, precision, (), PLAIN),
        Variant(NORMED, precision, (NORMS,), LOWERED),
        Variant(WHOLE, precision, (NORMS, BLOCKS), NORMED),
        Variant("all but norms and GELU", precision, (BLOCKS,), WHOLE),
    ]


@dataclass(frozen=True)
class Ratio:
    """How many times sooner: the median over rounds, and the middle half of them."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.median:.3f} ({self.low:.3f} to {self.high:.3f})"


@dataclass(frozen=True)
class Timing:
    """What a variant takes.

    Attributes:
        name: of the variant.
        milliseconds: of a step, median.
        plain: time of plain float32 / time of this.
        beside: the variant that it is compared with.
        gain: time of that variant / time of this.
    """

    name: str
    milliseconds: float
    plain: Ratio
    beside: str
    gain: Ratio

    def row(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


def ablation(config: RunConfig, rounds: int, precision: Precision) -> list[Timing]:
    """Time a training step on the CPU in all variants.

    Args:
        config: e.g. a preset.
        rounds: in each of which every variant takes one step.
        precision: of the wide layers, see :func:`variants`.
    """
    examples = examples_of(config)
    cpu = torch.device("cpu")

    def steps(variant: Variant) -> Callable[[], object]:
        model = fuse(parts.model(config, cpu), cpu, variant.kinds)
        optimization = parts.optimization(config)
        trainer = Trainer(model, examples, optimization, config.seed, variant.precision)
        running = trainer.run(10**9)
        return lambda: next(running)

    compared = variants(precision)
    return comparison(compared, _measured([steps(variant) for variant in compared], rounds))


def _measured(steps: Sequence[Callable[[], object]], rounds: int) -> np.ndarray:
    cpu = torch.device("cpu")
    for step in steps:
        for _ in range(WARM_UP):
            step()
    took = np.empty((rounds, len(steps)))
    for turn in range(rounds):
        for place in range(len(steps)):  # each round begins with another variant
            which = (turn + place) % len(steps)
            took[turn, which] = seconds(steps[which], cpu)
    return took


def comparison(compared: Sequence[Variant], took: np.ndarray) -> list[Timing]:
    """The table of all variants.

    Args:
        compared: the variants.
        took: seconds, shape (rounds, variants), in their order.
    """
    times = {variant.name: took[:, i] for i, variant in enumerate(compared)}
    return [
        Timing(
            variant.name,
            1e3 * float(np.median(times[variant.name])),
            _ratio(times[PLAIN] / times[variant.name]),
            variant.beside,
            _ratio(times[variant.beside] / times[variant.name]),
        )
        for variant in compared
    ]


def _ratio(ratios: np.ndarray) -> Ratio:
    low, middle, high = np.quantile(ratios, [0.25, 0.5, 0.75])
    return Ratio(float(middle), float(low), float(high))
