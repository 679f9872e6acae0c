r"""Does a learning curve have a kink that smooth saturation does not explain? Paper Fig. 12.

The counterpart of :mod:`conceptspace.analysis.turning` for one number against the step: a loss, or
an in-distribution accuracy. A scalar curve has no direction apart from its speed, so here the null
is a smooth curve in x = log step, :math:`a + b / (1 + e^{-k(x - m)})`, whose tails are power laws;
the alternative adds a change of slope, :math:`c\,\max(0, x - x_\tau)`. Near the fitted null both
are linear, so testing is a projection; the kink is then located by fitting both together. The
calibration is the same: simulated wander of matching autocorrelation, and where there are several
seeds they must agree on the sign of the change.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import least_squares
from scipy.special import expit

from conceptspace.analysis.calibration import (
    agreement_of_sign,
    autocorrelation,
    nearest,
    p_value,
    wander,
)
from conceptspace.analysis.intervals import middle
from conceptspace.analysis.trajectories import Array
from conceptspace.errors import UserError

ALPHA = 0.05
LEG = 3
FEWEST = 8
SMALLEST_DEPTH = 0.1
SIMULATIONS = 500


@dataclass(frozen=True)
class Kink:
    """The strongest change of slope of a learning curve.

    Attributes:
        detected: p_value <= 0.05 and depth >= 0.1.
        p_value: of the smooth curve, corrected for the search over checkpoints.
        step: checkpoint of the change, in gradient steps.
        step_interval: 95 %: over resampled seeds, or over simulated noise for a single seed.
        change: slope after less slope before, in units of the curve per e-fold of steps.
        depth: by how much the kinked curve leaves the smooth one, peak to peak, as a share of the
            range of the curve.
        seeds: how many seeds the curve is a mean of.
    """

    detected: bool
    p_value: float
    step: float
    step_interval: tuple[float, float]
    change: float
    depth: float
    seeds: int


def detect_kink(
    steps: ArrayLike, values: ArrayLike, *, simulations: int = SIMULATIONS, seed: int = 0
) -> Kink:
    """Test a learning curve for a kink.

    Args:
        steps: checkpoints, shape (T,), T >= 8, positive and increasing.
        values: the curve of one seed (T,), or of several (S, T), whose mean is tested.
        simulations: smooth curves simulated.
        seed: of the simulations.

    Raises:
        UserError: shapes do not fit, too few checkpoints, or numbers that are not allowed.
    """
    times, curves = np.asarray(steps, dtype=np.float64), np.asarray(values, dtype=np.float64)
    curves = curves[None] if curves.ndim == 1 else curves
    _check(times, curves)
    rng = np.random.default_rng(seed)
    x, curve = np.log(times), curves.mean(0)
    corners = slice(LEG - 1, 1 - LEG)
    kinks = np.maximum(0, x - x[corners, None])
    null = _smoothest(x, curve, np.empty((0, len(x))))
    smooth, search = _fitted(x, curve, null), _search(x, null, kinks)

    rest = (curve - smooth)[None]
    statistic, where, after = search(rest)
    size = np.sqrt((after**2).sum() / max(1, len(times) - search.tangent.shape[1] - 2))
    noise = wander(simulations, np.full((len(times), 1), size), rng)[..., 0]
    statistics, _, residuals = search(noise)
    near = nearest(autocorrelation(after[0, :, None]), autocorrelation(residuals[..., None]))
    p = p_value(float(statistic[0]), statistics[near])
    if len(curves) > 1:
        p = max(p, agreement_of_sign((curves - smooth) @ search.directions[int(where[0])]))

    bent = _search(x, _smoothest(x, curve, kinks), kinks)
    best = int(bent(curve[None])[1][0])
    coefficient = float(bent.project(curve[None])[0] @ bent.directions[best])
    if len(curves) > 1:
        redrawn = curves[rng.integers(len(curves), size=(simulations, len(curves)))].mean(1)
    else:
        redrawn = coefficient * bent.directions[best] + noise[near]
    positions = times[corners]
    low, high = middle(positions[bent(redrawn)[1]])
    leaving = abs(coefficient) * float(np.ptp(bent.directions[best]))
    depth = leaving / max(float(np.ptp(curve)), 1e-12)
    return Kink(
        detected=bool(p <= ALPHA and depth >= SMALLEST_DEPTH),
        p_value=p,
        step=float(positions[best]),
        step_interval=(float(low), float(high)),
        change=coefficient / float(bent.norms[best]),
        depth=depth,
        seeds=len(curves),
    )


@dataclass(frozen=True)
class _Search:
    """Finds the best kink beside a smooth curve's tangent space.

    Attributes:
        tangent: orthonormal basis of the smooth curve's variations, shape (T, m).
        directions: unit vectors of the kinks, orthogonal to it, shape (corners, T).
        norms: lengths of the kinks before, shape (corners,).
    """

    tangent: Array
    directions: Array
    norms: Array

    def project(self, residuals: Array) -> Array:
        """Residuals (n, T) less what a change of the smooth curve explains."""
        return np.asarray(residuals - residuals @ self.tangent @ self.tangent.T)

    def __call__(self, residuals: Array) -> tuple[Array, np.ndarray, Array]:
        """Log ratio of squared residuals (n,), index of the kink (n,), what remains (n, T)."""
        before = self.project(residuals)
        coefficients = before @ self.directions.T
        where = np.abs(coefficients).argmax(1)
        best = np.take_along_axis(coefficients, where[:, None], 1)
        after = before - best * self.directions[where]
        squares = [(part**2).sum(1) + 1e-24 for part in (before, after)]
        return np.log(squares[0] / squares[1]), where, after


def _check(steps: Array, curves: Array) -> None:
    if curves.ndim != 2 or curves.shape[1] != len(steps) or len(steps) < FEWEST:
        raise UserError(
            f"a learning curve is an array (seeds, checkpoints) of at least {FEWEST} checkpoints, "
            f"not {curves.shape} at {len(steps)} steps"
        )
    if not (np.isfinite(curves).all() and steps[0] > 0 and (np.diff(steps) > 0).all()):
        raise UserError("a learning curve needs finite values at positive, increasing steps")


def _sigmoid(x: Array, parameters: Array) -> Array:
    """Constant and sigmoid columns, shape (..., T, 2), of (middle, logarithm of rate) (..., 2)."""
    half, rate = parameters[..., :1], np.exp(parameters[..., 1:])
    rise = expit(rate * (x - half))
    return np.asarray(np.stack([np.ones_like(rise), rise], axis=-1), dtype=np.float64)


def _fitted(x: Array, curve: Array, parameters: Array) -> Array:
    columns = _sigmoid(x, parameters)
    return np.asarray(columns @ np.linalg.lstsq(columns, curve)[0])


def _smoothest(x: Array, curve: Array, kinks: Array) -> Array:
    """Middle and log rate of the best saturating curve, beside none or any one of the kinks."""
    span = float(np.ptp(x))
    middles = np.linspace(x[0] - span, x[-1] + span / 2, 25)
    rates = np.log(np.geomspace(0.5, 40, 12) / span)
    grid = np.stack(np.meshgrid(middles, rates), axis=-1).reshape(-1, 2)
    columns = _sigmoid(x, grid)
    best: Array = grid[0]
    least = np.inf
    for kink in kinks if len(kinks) else [None]:
        extra = [] if kink is None else [np.broadcast_to(kink[:, None], (len(grid), len(x), 1))]
        basis = np.linalg.qr(np.concatenate([columns, *extra], axis=-1))[0]
        explained = (np.einsum("gtc,t->gc", basis, curve - curve.mean()) ** 2).sum(1)
        loss = ((curve - curve.mean()) ** 2).sum() - explained
        if loss.min() < least:
            best, least = grid[loss.argmin()], float(loss.min())
    if len(kinks):
        return best

    def misfit(parameters: Array) -> Array:
        return _fitted(x, curve, parameters) - curve

    bounds = ([middles[0], rates[0] - 1e-9], [middles[-1], rates[-1] + 1e-9])
    polished = least_squares(misfit, best, bounds=bounds, max_nfev=50)
    return np.asarray(polished.x, dtype=np.float64)


def _search(x: Array, parameters: Array, kinks: Array) -> _Search:
    """Kinks beside the variations of a saturating curve: in height, middle and rate."""
    columns = _sigmoid(x, parameters)
    slope = columns[:, 1] * (1 - columns[:, 1])
    variations = np.column_stack([columns, slope, (x - parameters[0]) * slope])
    left, values, _ = np.linalg.svd(variations / (np.linalg.norm(variations, axis=0) + 1e-12))
    tangent = left[:, : int((values > 1e-6).sum())]
    across = kinks - kinks @ tangent @ tangent.T
    norms = np.maximum(np.linalg.norm(across, axis=1), 1e-12)
    return _Search(tangent, across / norms[:, None], norms)
