r"""Does a learning curve have a kink that smooth saturation does not explain? Paper Fig. 12.

The counterpart of :mod:`conceptspace.analysis.turning` for one number against the step: a loss, or
an in-distribution accuracy. A scalar curve has no direction apart from its speed, so here the null
is a smooth curve in x = log step, :math:`a + b / (1 + e^{-k(x - m)})`, whose tails are power laws;
the alternative adds a change of slope, :math:`c\,\max(0, x - x_\tau)`. Near the fitted null both
are linear, so a fit is a projection. The calibration is the same: simulated wander of matching
autocorrelation, and where there are several seeds they must agree on the sign of the change.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import least_squares
from scipy.special import expit

from conceptspace.analysis.calibration import (
    Array,
    agreement,
    autocorrelation,
    nearest,
    p_value,
    wander,
)
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
    smooth, tangent = _smooth(x, curve)
    kinks = np.maximum(0, x - x[LEG - 1 : 1 - LEG, None])
    kinks = kinks - kinks @ tangent @ tangent.T
    norms = np.maximum(np.linalg.norm(kinks, axis=1), 1e-12)
    search = _Search(tangent, kinks / norms[:, None])

    rest = (curve - smooth)[None]
    statistic, where, after = search(rest)
    size = np.sqrt((after**2).sum() / max(1, len(times) - tangent.shape[1] - 2))
    noise = wander(simulations, np.full((len(times), 1), size), rng)[..., 0]
    statistics, _, residuals = search(noise)
    near = nearest(autocorrelation(after[0, :, None]), autocorrelation(residuals[..., None]))
    p = p_value(float(statistic[0]), statistics[near])
    best = int(where[0])
    coefficient = float((search.project(rest)[0] @ search.directions.T)[best])
    if len(curves) > 1:
        p = max(p, agreement((curves - smooth) @ search.directions[best]))
        redrawn = curves[rng.integers(len(curves), size=(simulations, len(curves)))].mean(1)
        redrawn = redrawn - smooth
    else:
        redrawn = coefficient * search.directions[best] + noise[near]
    positions = times[LEG - 1 : 1 - LEG]
    low, high = np.quantile(positions[search(redrawn)[1]], [0.025, 0.975])
    depth = abs(coefficient) * float(np.ptp(search.directions[best])) / max(np.ptp(curve), 1e-12)
    return Kink(
        detected=bool(p <= ALPHA and depth >= SMALLEST_DEPTH),
        p_value=p,
        step=float(positions[best]),
        step_interval=(float(low), float(high)),
        change=coefficient / float(norms[best]),
        depth=depth,
        seeds=len(curves),
    )


@dataclass(frozen=True)
class _Search:
    """Finds the best kink beside a smooth curve's tangent space.

    Attributes:
        tangent: orthonormal basis of the smooth curve's variations, shape (T, m).
        directions: unit vectors of the kinks, orthogonal to it, shape (corners, T).
    """

    tangent: Array
    directions: Array

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


def _smooth(x: Array, curve: Array) -> tuple[Array, Array]:
    """The best saturating curve (T,) and an orthonormal basis of its variations (T, m)."""

    def shape(parameters: Array) -> Array:
        middle, rate = parameters
        return np.stack([np.ones_like(x), expit(np.exp(rate) * (x - middle))], axis=1)

    def fit(parameters: Array) -> Array:
        columns = shape(parameters)
        return np.asarray(columns @ np.linalg.lstsq(columns, curve)[0])

    span = float(np.ptp(x))
    bounds = ([x[0] - 2 * span, np.log(0.2 / span)], [x[-1] + span, np.log(50 / span)])
    starts = [(x[0] + share * span, np.log(6 / span)) for share in (0.0, 0.25, 0.5, 0.75)]

    def misfit(parameters: Array) -> Array:
        return fit(parameters) - curve

    fits = [least_squares(misfit, start, bounds=bounds) for start in starts]
    best = min(fits, key=lambda result: float(result.cost))
    variations = np.concatenate([shape(best.x), best.jac], axis=1)
    left, values, _ = np.linalg.svd(variations / (np.linalg.norm(variations, axis=0) + 1e-12))
    rank = int((values > 1e-6).sum())
    return fit(best.x), np.asarray(left[:, :rank])
