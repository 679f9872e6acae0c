r"""The paper's two toy models of learning in concept space (section 4.3 Eq. 1, section 5 Eq. 2).

Both are gradient flows, :math:`\dot z = -\nabla_z L(z)`, of a point z toward a target.

Eq. 1, the **moving target**. The model first heads to a biased corner :math:`\tilde z`, the
training class that shares the stronger concept, and then to the class :math:`\hat z` asked for:

.. math::

    d(t) = \tilde z + (\hat z - \tilde z)\,\mathrm{sigmoid}(t - \hat t), \qquad
    L = \tfrac{1}{2a}(d_1 - z_1)^2 + \tfrac{a}{2}(d_2 - z_2)^2 .

So concept 1 relaxes at the rate 1/a and concept 2 at the rate a: with a < 1 concept 1 is the
stronger, with a > 1 concept 2, with a = 1 they are equal. The paper writes d for one concept and
its final value 1 for the other, which is the same: where :math:`\tilde z_i = \hat z_i` the target
of concept i stands still. (As printed, the moving target stands in the line of the *stronger*
concept, where by the paper's own choice of corners it would not move; see docs/theory.md.)

Eq. 2, **underspecification**. A masked share of :math:`\alpha` percent moves the target of the
masked concept toward the value that it has in the masked class:

.. math:: L = ((1 - s\alpha) - z_1)^2 + (1 - z_2)^2 .

Each model comes twice: ``simulate_*`` integrates the differential equation numerically,
:func:`eq1` and :func:`eq2` are its solution in closed form, which fits use. Time is in the unit
of the equations, one width of the sigmoid. Concept 1 points right, concept 2 upwards.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import solve_ivp
from scipy.special import expit, hyp2f1

from conceptspace.analysis.trajectories import Array
from conceptspace.errors import UserError

Numbers = Sequence[float] | Sequence[int] | NDArray[Any]
"""Coordinates of a point, or of a curve as an array."""

SLOPE = 0.01
"""The paper's s: at 100 % masking the target has moved all the way (Fig. 9b)."""

SLOW = 0.75
"""Under this rate :func:`follow` uses its second form."""

NEAR_WHOLE = 1e-9
"""So near to a whole number a rate is taken as whole, for beside it the series cancels."""

TOLERANCE = 1e-10


def moving_target(times: Numbers, biased: Numbers, target: Numbers, switch: float) -> Array:
    r"""The target :math:`d(t) = \tilde z + (\hat z - \tilde z)\,\mathrm{sigmoid}(t - \hat t)`.

    Args:
        times: shape (T,).
        biased: where the model heads at first, shape (d,).
        target: where it heads in the end, shape (d,).
        switch: :math:`\hat t`; minus infinity for a target that has already arrived.

    Returns:
        Shape (T, d).
    """
    moved = expit(np.asarray(times, dtype=np.float64) - switch)[:, None]
    first, last = np.asarray(biased, dtype=np.float64), np.asarray(target, dtype=np.float64)
    return np.asarray(first + (last - first) * moved, dtype=np.float64)


def rates(asymmetry: float) -> Array:
    """Rates of concept 1 and concept 2 in Eq. 1, (1/a, a).

    Raises:
        UserError: a is not between 0.02 and 50.
    """
    if not 0.02 <= asymmetry <= 50:
        raise UserError(f"Eq. 1 needs an asymmetry a between 0.02 and 50, not {asymmetry:g}")
    return np.array([1 / asymmetry, asymmetry])


def simulate_eq1(
    times: Numbers,
    start: Numbers,
    *,
    biased: Numbers,
    target: Numbers = (1.0, 1.0),
    asymmetry: float = 1.0,
    switch: float = 0.0,
) -> Array:
    """Integrate Eq. 1 numerically.

    Args:
        times: increasing, shape (T,); the trajectory starts at the first.
        start: z at the first time, shape (2,).
        biased: the corner that the model heads to at first.
        target: the corner of the class that is asked for.
        asymmetry: a.
        switch: the time of the switch.

    Returns:
        z at the times, shape (T, 2).

    Raises:
        UserError: times that do not increase, a start of another shape, or a forbidden a.
    """
    k = rates(asymmetry)

    def flow(t: float, z: Array) -> Array:
        return np.asarray(k * (moving_target([t], biased, target, switch)[0] - z))

    return _integrate(flow, times, start, float(k.max()))


def simulate_eq2(times: Numbers, start: Numbers, *, percent: float, slope: float = SLOPE) -> Array:
    """Integrate Eq. 2 numerically.

    Args:
        times: increasing, shape (T,); the trajectory starts at the first.
        start: z at the first time, shape (2,); the masked concept is the first.
        percent: alpha, from 0 to 100.
        slope: s.

    Returns:
        z at the times, shape (T, 2).

    Raises:
        UserError: times that do not increase, or a start of another shape.
    """
    end = end_eq2(percent, slope)
    return _integrate(lambda t, z: np.asarray(-2 * (z - end)), times, start, 2.0)


def end_eq2(percent: float, slope: float = SLOPE) -> Array:
    """Where Eq. 2 ends: (1 - s alpha, 1)."""
    return np.array([1 - slope * percent, 1.0])


def eq1(
    times: Numbers,
    start: Numbers,
    *,
    biased: Numbers,
    target: Numbers = (1.0, 1.0),
    asymmetry: float = 1.0,
    switch: float = 0.0,
) -> Array:
    """The solution of Eq. 1 in closed form; arguments and result as for :func:`simulate_eq1`.

    A switch at minus infinity is allowed: then the target never moves.
    """
    t = np.asarray(times, dtype=np.float64)
    first, last = np.asarray(biased, dtype=np.float64), np.asarray(target, dtype=np.float64)
    z, k = np.asarray(start, dtype=np.float64), rates(asymmetry)
    decay = np.exp(-k * (t - t[0])[:, None])
    moved = np.zeros_like(decay)
    for i in np.flatnonzero(first != last):
        moved[:, i] = follow(t - switch, float(k[i]))
    moved = moved - decay * moved[:1]
    return np.asarray(z * decay + first * (1 - decay) + (last - first) * moved)


def eq2(times: Numbers, start: Numbers, *, percent: float, slope: float = SLOPE) -> Array:
    """The solution of Eq. 2 in closed form: a straight line, as for :func:`simulate_eq2`."""
    t = np.asarray(times, dtype=np.float64)
    end = end_eq2(percent, slope)
    return np.asarray(end + (np.asarray(start) - end) * np.exp(-2 * (t - t[0]))[:, None])


def follow(times: Numbers, rate: float) -> Array:
    r"""How far a point that relaxes at a rate k has followed a sigmoid, from minus infinity on.

    .. math::

        S_k(t) = \int_{-\infty}^t k\,e^{-k(t - u)}\,\mathrm{sigmoid}(u)\,du
               = \frac{k}{k+1}\,\sigma\,{}_2F_1(1, 1; k+2; \sigma),
               \quad \sigma = \mathrm{sigmoid}(t)

    For k = 1 that is :math:`1 - e^{-t}\ln(1 + e^t)`; for large k it is the sigmoid itself. A slow
    point (k < 3/4) late (t > 0) is computed from its distance to 1 instead, which does not cancel:

    .. math::

        1 - S_k(t) = \frac{\pi k}{\sin \pi k} e^{-kt}
                     - \frac{k}{1-k}\,\bar\sigma\,{}_2F_1(1, 1; 2-k; \bar\sigma),
                     \quad \bar\sigma = \mathrm{sigmoid}(-t)

    Args:
        times: t, shape (T,).
        rate: k, over 0 and up to 50.

    Returns:
        Shape (T,), from 0 to 1.
    """
    t = np.asarray(times, dtype=np.float64)
    if rate > SLOW and abs(rate - round(rate)) < NEAR_WHOLE:
        rate = float(round(rate))
    followed = np.empty_like(t)
    late = (t > 0) & (rate < SLOW)
    passed, ahead = expit(t[~late]), expit(-t[late])
    followed[~late] = rate / (rate + 1) * passed * hyp2f1(1.0, 1.0, rate + 2.0, passed)
    if late.any():
        slow = np.pi * rate / np.sin(np.pi * rate) * np.exp(-rate * t[late])
        tail = rate / (1 - rate) * ahead * hyp2f1(1.0, 1.0, 2.0 - rate, ahead)
        followed[late] = 1 - slow + tail
    return followed


def _integrate(
    flow: Callable[[float, Array], Array], times: Numbers, start: Numbers, fastest: float
) -> Array:
    """Integrate with steps that are short beside the fastest rate and the sigmoid."""
    t, z = np.asarray(times, dtype=np.float64), np.asarray(start, dtype=np.float64)
    if t.ndim != 1 or len(t) < 2 or not (np.isfinite(t).all() and (np.diff(t) > 0).all()):
        raise UserError("a simulation needs at least two finite times that increase")
    if z.shape != (2,) or not np.isfinite(z).all():
        raise UserError(f"a simulation starts at two finite coordinates, not {z.tolist()}")
    solved = solve_ivp(
        flow,
        (t[0], t[-1]),
        z,
        t_eval=t,
        method="DOP853",
        max_step=min(0.5, 0.5 / fastest),
        rtol=TOLERANCE,
        atol=TOLERANCE,
    )
    return np.asarray(solved.y.T, dtype=np.float64)
