"""The families of curves that are fitted to trajectories: Eq. 1, Eq. 2 and their nulls.

Their last two parameters are the start of the trajectory, at the first checkpoint; the others have
names in ``Family.parameters``, those on a logarithmic scale beginning with ``log``. A unit of time
is counted in gradient steps, a switch is a gradient step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from conceptspace.analysis.curve_fitting import CurveFamily
from conceptspace.analysis.theory import eq1, eq2, follow
from conceptspace.analysis.trajectories import Array

LARGEST_ASYMMETRY = 10.0
MOVING_TARGET, NO_SWITCH = "moving target", "no switch"
STRAIGHT_LINE, STRAIGHT_RELAXATION = "straight line", "straight relaxation"
LINEAR_SHIFT, NO_EFFECT, ANY_ENDS = "linear shift", "no effect", "any ends"


@dataclass(frozen=True)
class _Scale:
    """Bounds and first guesses of the time parameters of one trajectory."""

    first: float
    span: float
    shortest: float

    @classmethod
    def of(cls, steps: Array) -> _Scale:
        span = float(steps[-1] - steps[0])
        return cls(float(steps[0]), span, float(np.diff(steps).min()))

    @property
    def unit_bounds(self) -> tuple[float, float]:
        """Smallest and largest logarithm of a unit of time."""
        return float(np.log(self.shortest / 10)), float(np.log(self.span * 10))

    @property
    def units(self) -> list[float]:
        return [float(np.log(self.span / n)) for n in (4, 10, 25)]

    @property
    def switch_bounds(self) -> tuple[float, float]:
        return self.first - self.span, self.first + 2 * self.span

    @property
    def switches(self) -> list[float]:
        return [self.first + self.span * share for share in (0.05, 0.25, 0.5, 0.8)]


def _family(
    name: str,
    parameters: Sequence[str],
    curve: Callable[[Array], list[Array]],
    bounds: Sequence[tuple[float, float]],
    guesses: Sequence[Sequence[float]],
    start: Array,
    choices: int = 0,
) -> CurveFamily:
    """A family whose last two parameters are the start of the trajectory."""
    everywhere = [*bounds, (0.0, 1.0), (0.0, 1.0)]
    starts = [(*guess, *np.clip(start, 0.02, 0.98)) for guess in product(*guesses)]
    return CurveFamily(
        name,
        (*parameters, "start_1", "start_2"),
        curve,
        np.array([low for low, _ in everywhere]),
        np.array([high for _, high in everywhere]),
        np.array(starts),
        choices,
    )


def eq1_family(
    steps: Array, points: Array, target: str, corner: str, choices: int, coupled: bool = False
) -> CurveFamily:
    """Eq. 1: its unit of time, asymmetry and switch.

    Args:
        steps: checkpoints, shape (T,).
        points: the trajectory that will be fitted, shape (T, 2), for first guesses.
        target: the class that was asked for.
        corner: the class that it is first mistaken for.
        choices: 1 if the corner was chosen to fit.
        coupled: whether the concept that the corner has right must relax at least as fast.
    """
    scale, most = _Scale.of(steps), float(np.log(LARGEST_ASYMMETRY))
    biased, end = point(corner), point(target)
    first = coupled and corner[0] == target[0]
    second = coupled and corner[1] == target[1]
    side = (0.0 if second else -most, 0.0 if first else most)

    def curves(values: Array) -> list[Array]:
        unit = np.exp(values[0])
        return [
            eq1(
                steps / unit,
                values[3:],
                biased=biased,
                target=end,
                asymmetry=float(np.exp(values[1])),
                switch=values[2] / unit,
            )
        ]

    return _family(
        MOVING_TARGET,
        ("log time_unit", "log asymmetry", "switch"),
        curves,
        [scale.unit_bounds, side, scale.switch_bounds],
        [scale.units, (-0.7, 0.0, 0.7), scale.switches],
        points[:2].mean(0),
        choices,
    )


def eq1_nulls(steps: Array, points: Array, target: str) -> list[CurveFamily]:
    """No switch, straight line, straight relaxation; arguments as for :func:`eq1_family`."""
    scale, most = _Scale.of(steps), float(np.log(LARGEST_ASYMMETRY))
    end, start = point(target), points[:2].mean(0)

    def still(unit: float, asymmetry: float, begin: Array) -> list[Array]:
        times = steps / np.exp(unit)
        a = float(np.exp(asymmetry))
        return [eq1(times, begin, biased=end, target=end, asymmetry=a, switch=-np.inf)]

    def straight(values: Array) -> list[Array]:
        unit, rate = np.exp(values[0]), float(np.exp(values[1]))
        times, begin = steps / unit, values[3:]
        moved = follow(times - values[2] / unit, rate)
        moved = moved - np.exp(-rate * (times - times[0])) * moved[0]
        return [begin + (end - begin) * moved[:, None]]

    return [
        _family(
            NO_SWITCH,
            ("log time_unit", "log asymmetry"),
            lambda v: still(v[0], v[1], v[2:]),
            [scale.unit_bounds, (-most, most)],
            [scale.units, (-0.7, 0.0, 0.7)],
            start,
        ),
        _family(
            STRAIGHT_LINE,
            ("log time_unit", "log rate", "switch"),
            straight,
            [scale.unit_bounds, (-most, most), scale.switch_bounds],
            [scale.units, (-0.7, 0.0, 0.7), scale.switches],
            start,
        ),
        _family(
            STRAIGHT_RELAXATION,
            ("log time_unit",),
            lambda v: still(v[0], 0.0, v[1:]),
            [scale.unit_bounds],
            [scale.units],
            start,
        ),
    ]


def eq2_family(
    times: Sequence[Array], percents: Sequence[float], data: Sequence[Array], name: str
) -> CurveFamily:
    """Eq. 2 or one of its nulls.

    Args:
        times: checkpoints of each share.
        percents: alpha of each share.
        data: the trajectories that will be fitted, the masked concept first, for first guesses.
        name: :data:`LINEAR_SHIFT`, :data:`NO_EFFECT` or :data:`ANY_ENDS`.
    """
    scale = _Scale.of(times[0])
    begin = np.mean([part[:2].mean(0) for part in data], axis=0)
    last = [float(np.clip(part[-1, 0], 0.0, 1.0)) for part in data]

    def curves(values: Array) -> list[Array]:
        if name == LINEAR_SHIFT:
            shifts = [values[1] * percent for percent in percents]
        else:
            shifts = [0.0] * len(data) if name == NO_EFFECT else list(1 - values[1:-2])
        unit = np.exp(values[0])
        return [
            eq2(steps / unit, values[-2:], percent=1.0, slope=shift)
            for steps, shift in zip(times, shifts, strict=True)
        ]

    parameters, bounds, guesses = ["log time_unit"], [scale.unit_bounds], [scale.units]
    if name == LINEAR_SHIFT:
        parameters, bounds = [*parameters, "slope"], [*bounds, (-0.05, 0.05)]
        guesses = [*guesses, [0.0, 0.01]]
    elif name == ANY_ENDS:
        parameters += [f"end_{percent:g}" for percent in percents]
        bounds, guesses = bounds + [(-0.2, 1.2)] * len(last), guesses + [[end] for end in last]
    return _family(name, parameters, curves, bounds, guesses, begin)


def point(bits: str) -> Array:
    """The corner of a class: 01 is (0, 1)."""
    return np.array([float(bit) for bit in bits])
