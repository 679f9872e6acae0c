r"""Simulated null distributions under autocorrelated noise of unknown strength.

A trajectory wanders, so neighboring residuals resemble each other, and a slow wander looks like a
turn. Its autocorrelation cannot simply be plugged in: estimated from the residuals of a flexible
fit it is biased towards zero, and a short trajectory hardly determines it. So the simulations draw
the share and the duration of the wander, and the p-value counts only those whose residuals are as
autocorrelated as the observed ones (approximate Bayesian computation by nearest neighbors). The
prior leans towards slow wander, the worst case, because that is what residuals cannot exclude.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr

from conceptspace.analysis.trajectories import Array

DURATIONS = (0.1, 0.5)
NEAREST = 0.2
LAGS = (2, 3, 4)


def wander(count: int, scale: Array, rng: np.random.Generator) -> Array:
    r"""Noise :math:`\sqrt{1-q}\,s_t w_t + \sqrt{q}\,\bar s z_t`: white w plus an AR(1) wander z.

    Each realization has its own share q ~ U(0, 1) of wander and its own correlation time, drawn
    log-uniformly between a tenth and a half of the trajectory.

    Args:
        count: number of realizations.
        scale: standard deviations s, shape (steps, dimensions); the wander has their mean.
        rng: source of randomness.

    Returns:
        Shape (count, steps, dimensions).
    """
    steps, dimensions = scale.shape
    white, slow = rng.standard_normal((2, steps, count, dimensions))
    low, high = np.log(DURATIONS)
    duration = steps * np.exp(rng.uniform(float(low), float(high), (count, 1)))
    share = rng.uniform(0, 1, (count, 1))
    rho = np.exp(-1 / duration)
    for step in range(1, steps):
        slow[step] = rho * slow[step - 1] + np.sqrt(1 - rho**2) * slow[step]
    flat = np.sqrt((scale**2).mean())
    noise = np.sqrt(1 - share) * white * scale[:, None] + np.sqrt(share) * slow * flat
    return np.asarray(noise.swapaxes(0, 1), dtype=np.float64)


def agreement_of_sign(effects: Array) -> float:
    """Two-sided t-test p-value that seeds have no common effect: whether they agree on its sign.

    Args:
        effects: one number for each of at least two seeds, shape (S,).
    """
    error = effects.std(ddof=1) / np.sqrt(len(effects))
    ratio = abs(effects.mean()) / max(error, np.finfo(np.float64).tiny)
    return float(2 * stdtr(len(effects) - 1, -min(ratio, 1e150)))


def autocorrelation(residuals: Array) -> Array:
    """Summaries of the autocorrelation of residuals: lag one, and lags two to four.

    Args:
        residuals: shape (..., steps, dimensions).

    Returns:
        Shape (..., 2); 0 if all residuals are 0.
    """
    square = np.maximum((residuals**2).sum((-2, -1)), np.finfo(np.float64).tiny)

    def lag(k: int) -> Array:
        product = (residuals[..., k:, :] * residuals[..., :-k, :]).sum((-2, -1))
        return np.asarray(product / square, dtype=np.float64)

    longer = np.sum([lag(k) for k in LAGS], axis=0) / np.sqrt(len(LAGS))
    return np.stack([lag(1), longer], axis=-1)


def nearest(summary: Array, summaries: Array) -> NDArray[np.intp]:
    """Indices of the fifth of the simulations whose summaries are nearest to the observed one."""
    keep = max(1, round(NEAREST * len(summaries)))
    distance = ((summaries - summary) ** 2).sum(-1)
    return np.argsort(distance, kind="stable")[:keep]


def p_value(observed: float, simulated: Array) -> float:
    """(1 + exceedances) / (1 + simulations): never 0, ties count as exceedances."""
    return float((1 + np.sum(simulated >= observed)) / (1 + len(simulated)))
