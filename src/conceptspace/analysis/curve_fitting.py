r"""Least squares for curves through autocorrelated points, with information criteria and intervals.

The residuals of a learning trajectory are not independent: a model that stands off the curve at one
checkpoint stands off it at the next. So every fit has AR(1) residuals, whose correlation
:math:`\rho` is fitted along with the parameters by exact Gaussian likelihood. With m series of n
points in all, the profile over the variance is

.. math:: -2 \log L = n \log(Q / n) - m \log(1 - \rho^2) + n (1 + \log 2 \pi),

Q the sum of squares of :math:`\sqrt{1 - \rho^2}\,e_0` and :math:`e_t - \rho e_{t-1}`, which is a
least-squares problem in parameters and :math:`\rho` together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import least_squares

from conceptspace.analysis.intervals import student_quantile
from conceptspace.analysis.trajectories import Array
from conceptspace.errors import UserError

HIGHEST_CORRELATION = 0.95
STARTS = 4
BISECTIONS = 5


@dataclass(frozen=True)
class CurveFamily:
    """A family of curves.

    Attributes:
        name: in words, e.g. ``"moving target"``.
        parameters: names of the p parameters.
        curves: maps p parameters to one curve for each series, (T, d) each.
        low: smallest parameters, shape (p,).
        high: largest parameters, shape (p,).
        starts: where to start fits from, shape (n, p); the best few are used.
        choices: numbers that were chosen beside the parameters, e.g. a corner; each counts as one.
    """

    name: str
    parameters: tuple[str, ...]
    curves: Callable[[Array], list[Array]]
    low: Array
    high: Array
    starts: Array
    choices: int = 0


@dataclass(frozen=True)
class Fitted:
    """The member of a family that fits best.

    Attributes:
        family: that was fitted.
        values: its parameters, shape (p,).
        correlation: of neighboring residuals.
        deviance: -2 log likelihood.
        aicc: Akaike's criterion with its correction for few points; smaller is better.
        bic: the Bayesian criterion; smaller is better.
        points: how many numbers were fitted.
    """

    family: CurveFamily
    values: Array
    correlation: float
    deviance: float
    aicc: float
    bic: float
    points: int

    @property
    def curves(self) -> list[Array]:
        """The fitted curves, one for each series."""
        return self.family.curves(self.values)

    def value(self, parameter: str) -> float:
        """One parameter by its name."""
        return float(self.values[self.family.parameters.index(parameter)])


def fit(family: CurveFamily, data: Sequence[Array]) -> Fitted:
    """Fit a family of curves by maximum likelihood, from its best few starts.

    Args:
        family: what is fitted.
        data: one array (T, d) for each curve.

    Raises:
        UserError: there are fewer numbers than the criteria need.
    """
    count = len(family.parameters) + 2 + family.choices
    points = sum(part.size for part in data)
    if points < count + 2:
        raise UserError(f"{points} numbers are too few to fit a {family.name} to")
    correlations = (0.0, 0.6)
    starts = [np.append(start, rho) for start in family.starts for rho in correlations]
    costs = [float((_residuals(start, family, data) ** 2).sum()) for start in starts]
    order = np.argsort(costs)[:STARTS]
    solutions = [_polish(family, data, starts[i]) for i in order]
    best = min(solutions, key=lambda found: found[1])
    return _described(family, data, best[0], best[1], count)


def profile_interval(fitted: Fitted, data: Sequence[Array], parameter: str) -> tuple[float, float]:
    """Profile-likelihood interval of a parameter of a single trajectory.

    All values at which the best fit is not significantly worse. The threshold is that of a t-test
    with the residual degrees of freedom, not of chi-squared, for there are few points. An end that
    the data do not determine within the family's bounds is infinite.

    Args:
        fitted: from :func:`fit`.
        data: what it was fitted to.
        parameter: its name.
    """
    index = fitted.family.parameters.index(parameter)
    freedom = max(1, fitted.points - len(fitted.values) - 2)
    quantile = student_quantile(freedom)
    allowed = fitted.points * np.log1p(quantile**2 / freedom)
    best = np.append(fitted.values, fitted.correlation)

    def search(bound: float, sign: int) -> float:
        state = best.copy()

        def excess(value: float) -> float:
            nonlocal state
            state, deviance = _polish(fitted.family, data, state, (index, value))
            return deviance - fitted.deviance - allowed

        inside, step = best[index], (bound - best[index]) / 64
        while abs(inside + step - best[index]) < abs(bound - best[index]):
            if excess(inside + step) > 0:
                outside = inside + step
                for _ in range(BISECTIONS):
                    middle = (inside + outside) / 2
                    inside, outside = (inside, middle) if excess(middle) > 0 else (middle, outside)
                return float((inside + outside) / 2)
            inside, step = inside + step, 2 * step
        return float(bound if bound != best[index] and excess(bound) > 0 else sign * np.inf)

    low, high = (float(side[index]) for side in (fitted.family.low, fitted.family.high))
    return search(low, -1), search(high, 1)


def jackknife_interval(value: float, without: Sequence[float]) -> tuple[float, float]:
    """Student's interval from fits that each leave one seed out.

    Seeds are the only independent units, and there are three to five of them. A percentile
    bootstrap of so few is too narrow (about 80 % coverage where it says 95 %); the jackknife's
    standard error with S - 1 degrees of freedom is not, and costs S fits.

    Args:
        value: with all seeds.
        without: with each seed left out, S of them.
    """
    part = np.asarray(without, dtype=np.float64)
    error = np.sqrt((len(part) - 1) / len(part) * ((part - part.mean()) ** 2).sum())
    reach = float(student_quantile(len(part) - 1) * error)
    return value - reach, value + reach


def refit(fitted: Fitted, data: Sequence[Array]) -> Fitted:
    """The same family fitted to other data, starting from a fit."""
    start = np.append(fitted.values, fitted.correlation)
    count = len(fitted.values) + 2 + fitted.family.choices
    return _described(fitted.family, data, *_polish(fitted.family, data, start), count)


def _described(
    family: CurveFamily, data: Sequence[Array], solution: Array, deviance: float, count: int
) -> Fitted:
    values, points = solution[:-1], sum(part.size for part in data)
    spare = points - count - 1
    return Fitted(
        family=family,
        values=values,
        correlation=float(solution[-1]),
        deviance=deviance,
        aicc=deviance + 2 * count + 2 * count * (count + 1) / spare,
        bic=deviance + count * np.log(points),
        points=points,
    )


def _polish(
    family: CurveFamily, data: Sequence[Array], start: Array, fixed: tuple[int, float] | None = None
) -> tuple[Array, float]:
    """Parameters and correlation of the nearest optimum, and its deviance."""
    low, high = np.append(family.low, 0.0), np.append(family.high, HIGHEST_CORRELATION)
    state = start.copy()
    free = np.ones(len(state), dtype=bool)
    if fixed is not None:
        free[fixed[0]], state[fixed[0]] = False, fixed[1]

    def misfit(values: Array) -> Array:
        state[free] = values
        return _residuals(state, family, data)

    inside = np.clip(state[free], low[free] + 1e-6, high[free] - 1e-6)
    found = least_squares(
        misfit, inside, bounds=(low[free], high[free]), x_scale="jac", max_nfev=100
    )
    state[free] = found.x
    points = sum(part.size for part in data)
    square = max(2 * float(found.cost) / points, 1e-18)
    return state.copy(), points * float(np.log(square) + 1 + np.log(2 * np.pi))


def _residuals(state: Array, family: CurveFamily, data: Sequence[Array]) -> Array:
    """Whitened residuals whose sum of squares grows with -2 log L of parameters and rho."""
    rho = state[-1]
    parts = []
    for points, curve in zip(data, family.curves(state[:-1]), strict=True):
        error = points - curve
        parts += [(np.sqrt(1 - rho**2) * error[0]).ravel(), (error[1:] - rho * error[:-1]).ravel()]
    whitened = np.concatenate(parts)
    series = sum(part.shape[1] for part in data)
    return np.asarray(whitened * (1 - rho**2) ** (-series / (2 * len(whitened))))
