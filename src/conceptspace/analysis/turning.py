r"""Does a trajectory in concept space turn, where, and how sharply? Paper sections 4.3, 4.4, C.1.

Null: all points lie on one straight line, at any speed. Alternative: on one line up to a corner
and on another one from it on. Statistic: :math:`\log(R_0 / \min_\tau R_1(\tau))`, R the summed
squared distances from the total-least-squares lines. Its null distribution is simulated along the
fitted line, see :mod:`conceptspace.analysis.calibration`; with several seeds their mean is tested
and, besides, the seeds must agree: the areas between their trajectories and chords, signed by the
sense of rotation, must differ from zero by a t-test, and the larger p-value counts. A turn counts
only if it leaves the chord from start to end by a material share of the chord's length.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from conceptspace.analysis.calibration import (
    agreement_of_sign,
    autocorrelation,
    nearest,
    p_value,
    wander,
)
from conceptspace.analysis.intervals import middle
from conceptspace.analysis.trajectories import Array, paths
from conceptspace.errors import UserError
from conceptspace.values import Axes

ALPHA = 0.05
LEG = 3
SMALLEST_DEPTH = 0.15
SIMULATIONS = 500

UNKNOWN_SAMPLES = 100
"""Stands in for unknown numbers of samples where only their ratios matter: in the noise of a
trajectory, whose size the test for a turn takes from the trajectory itself."""


@dataclass(frozen=True)
class Turn:
    """The turn of a trajectory, or the best candidate if there is none.

    Attributes:
        detected: p_value <= 0.05 and depth >= 0.15.
        p_value: of the straight line, corrected for the search over corners.
        step: checkpoint of the corner, in gradient steps.
        step_interval: 95 %: over resampled seeds, or over simulated noise for a single seed.
        angle: change of direction in degrees, 0 (straight on) to 180 (back).
        angle_interval: 95 %, in the same way.
        depth: distance of the corner from the chord between start and end, in chord lengths.
        corner: its coordinates, d of them.
        seeds: how many seeds the trajectory is a mean of.
    """

    detected: bool
    p_value: float
    step: float
    step_interval: tuple[float, float]
    angle: float
    angle_interval: tuple[float, float]
    depth: float
    corner: tuple[float, ...]
    seeds: int


def find_turn(
    table: pd.DataFrame,
    concept_class: str,
    protocol: str = "naive",
    *,
    setting: str | None = None,
    values: Axes | None = None,
    simulations: int = SIMULATIONS,
    seed: int = 0,
) -> Turn:
    """The turn of the mean trajectory of one class in a trajectory table.

    ``values``: see :func:`conceptspace.analysis.trajectories.paths`.

    Raises:
        UserError: see :func:`conceptspace.analysis.trajectories.paths` and :func:`detect_turn`.
    """
    found = paths(table, protocol, concept_class, setting=setting, values=values)
    return detect_turn(found.steps, found.values, found.samples, simulations=simulations, seed=seed)


def detect_turn(
    steps: ArrayLike,
    points: ArrayLike,
    samples: int | ArrayLike,
    *,
    simulations: int = SIMULATIONS,
    seed: int = 0,
) -> Turn:
    """Test a trajectory for a turn.

    Args:
        steps: checkpoints, shape (T,), T >= 6, increasing.
        points: mean coordinates in [0, 1], shape (T, d) of one seed or (S, T, d), d >= 2.
        samples: images behind each point, a number or an array that broadcasts to (S, T); 0 where
            it is unknown.
        simulations: trajectories simulated without a turn.
        seed: of the simulations.

    Raises:
        UserError: shapes do not fit, too few checkpoints, or values that are not finite.
    """
    times, curves = np.asarray(steps, dtype=np.float64), np.asarray(points, dtype=np.float64)
    curves = curves[None] if curves.ndim == 2 else curves
    _check(times, curves)
    rng = np.random.default_rng(seed)
    path, errors = curves.mean(0), standard_errors(curves, samples)
    statistic, corner = _search(path)
    fitted, angle = _bent(path, corner)
    residual = path - fitted
    freedom = max(1.0, (len(times) - 4) * (path.shape[-1] - 1))
    size = np.sqrt((residual**2).sum() / freedom / (errors**2).mean())

    straight, _ = _line(path, np.ones(len(path)))
    noise = wander(simulations, size * errors, rng)
    statistics, corners = _search(straight + noise)
    residuals = straight + noise - _bent(straight + noise, corners)[0]
    near = nearest(autocorrelation(residual), autocorrelation(residuals))
    p = p_value(float(statistic), statistics[near])
    if len(curves) > 1:
        p = max(p, agreement_of_sign(signed_areas(curves)))
        redrawn = curves[rng.integers(len(curves), size=(simulations, len(curves)))].mean(1)
    else:
        redrawn = fitted + noise[near]
    again = _search(redrawn)[1]
    depth = _depth(fitted, int(corner))
    return Turn(
        detected=bool(p <= ALPHA and depth >= SMALLEST_DEPTH),
        p_value=p,
        step=float(times[corner]),
        step_interval=middle(times[again]),
        angle=float(angle),
        angle_interval=middle(_bent(redrawn, again)[1]),
        depth=depth,
        corner=tuple(float(x) for x in fitted[int(corner)]),
        seeds=len(curves),
    )


def standard_errors(curves: Array, samples: int | ArrayLike) -> Array:
    r"""Standard errors of the mean over seeds from sampling and from the spread between seeds.

    A mean of n probabilities has at most the variance p(1-p)/n; p is shrunk by one success and one
    failure, lest a coordinate of 0 or 1 appear certain. What seeds differ by beyond sampling is
    averaged over checkpoints and concepts.

    Args:
        curves: shape (S, T, d).
        samples: broadcasts to (S, T); for those that are not positive :data:`UNKNOWN_SAMPLES`.

    Returns:
        Shape (T, d).
    """
    seeds, steps, _ = curves.shape
    n = np.broadcast_to(np.asarray(samples, dtype=np.float64), (seeds, steps))[..., None]
    n = np.where(n > 0, n, UNKNOWN_SAMPLES)
    p = (np.clip(curves, 0, 1) * n + 1) / (n + 2)
    sampling = (p * (1 - p) / n).mean(0)
    spread = curves.var(0, ddof=1) - sampling if seeds > 1 else np.zeros_like(sampling)
    variance = (sampling + max(0.0, float(spread.mean()))) / seeds
    return np.asarray(np.sqrt(variance), dtype=np.float64)


def signed_areas(curves: Array) -> Array:
    """Area between each seed's trajectory and its chord, positive if it turns clockwise.

    It does not depend on speed. More than two concepts are projected on the plane in which the mean
    trajectory extends most (where the sign has no meaning of its own).

    Args:
        curves: shape (S, T, d).

    Returns:
        Shape (S,), in squared units of the coordinates.
    """
    offset = curves - curves[:, :1]
    if curves.shape[-1] > 2:
        path = curves.mean(0)
        offset = offset @ np.linalg.svd(path - path.mean(0))[2][:2].T
    x, y = offset[..., 0], offset[..., 1]
    doubled = y[:, 1:] * x[:, :-1] - x[:, 1:] * y[:, :-1]
    return np.asarray(-doubled.sum(1) / 2, dtype=np.float64)


def _check(steps: Array, curves: Array) -> None:
    if curves.ndim != 3 or curves.shape[1] != len(steps) or curves.shape[2] < 2:
        raise UserError(
            f"a trajectory is an array (seeds, checkpoints, concepts) with at least two concepts "
            f"and {len(steps)} checkpoints, not {curves.shape}"
        )
    if len(steps) < 2 * LEG:
        raise UserError(f"a turn needs at least {2 * LEG} checkpoints, got {len(steps)}")
    if not (np.isfinite(curves).all() and (np.diff(steps) > 0).all()):
        raise UserError("a trajectory needs finite coordinates at increasing steps")


def _losses(points: Array) -> tuple[Array, Array]:
    """Squared distances (...,) from one line, and (..., T) from two that meet at each checkpoint.

    The checkpoint of the corner belongs to both.
    """
    centered = points - points.mean(-2, keepdims=True)
    before = _off_line(_scatter(centered))
    after = _off_line(_scatter(centered[..., ::-1, :]))[..., ::-1]
    return before[..., -1], before + after


def _scatter(points: Array) -> Array:
    """Scatter matrices of the first 1, 2, ... T points, shape (..., T, d, d)."""
    count = np.arange(1, points.shape[-2] + 1)[:, None]
    total = points.cumsum(-2)
    products = (points[..., :, None] * points[..., None, :]).cumsum(-3)
    return np.asarray(
        products - total[..., :, None] * total[..., None, :] / count[..., None], dtype=np.float64
    )


def _off_line(scatter: Array) -> Array:
    """Sum of all eigenvalues but the largest: squared distances from the best line."""
    if scatter.shape[-1] > 2:
        smaller = np.linalg.eigvalsh(scatter)[..., :-1].sum(-1)
    else:
        a, b, c = scatter[..., 0, 0], scatter[..., 0, 1], scatter[..., 1, 1]
        smaller = (a + c - np.sqrt((a - c) ** 2 + 4 * b**2)) / 2
    return np.asarray(np.maximum(0, smaller), dtype=np.float64)


def _search(points: Array) -> tuple[Array, NDArray[np.intp]]:
    """Statistic and corner index, shapes (...), of trajectories (..., T, d)."""
    straight, bent = _losses(points)
    corner = bent[..., LEG - 1 : 1 - LEG].argmin(-1) + LEG - 1
    least = np.take_along_axis(bent, np.expand_dims(corner, -1), -1)[..., 0]
    tiny = 1e-12
    return np.asarray(np.log((straight + tiny) / (least + tiny))), np.asarray(corner)


def _bent(points: Array, corner: NDArray[np.intp]) -> tuple[Array, Array]:
    """Points projected on their two lines, shape (..., T, d), and the angle in degrees, (...)."""
    index = np.arange(points.shape[-2])
    where = np.expand_dims(corner, -1)
    first, before = _line(points, (index <= where).astype(np.float64))
    second, after = _line(points, (index >= where).astype(np.float64))
    cosine = np.clip((before * after).sum(-1), -1, 1)
    fitted = np.where((index <= where)[..., None], first, second)
    return fitted, np.asarray(np.degrees(np.arccos(cosine)), dtype=np.float64)


def _line(points: Array, weights: Array) -> tuple[Array, Array]:
    """Projections on the best line (..., T, d) and its direction (..., d), forward in time."""
    mass = weights.sum(-1, keepdims=True)
    center = np.einsum("...t,...ti->...i", weights / mass, points)
    offset = points - center[..., None, :]
    scatter = np.einsum("...t,...ti,...tj->...ij", weights, offset, offset)
    direction = np.linalg.eigh(scatter)[1][..., -1]
    progress = np.einsum("...ti,...i->...t", offset, direction)
    index = np.arange(points.shape[-2])
    late = weights * (index - (weights * index).sum(-1, keepdims=True) / mass)
    forward = np.where((late * progress).sum(-1, keepdims=True) < 0, -1.0, 1.0)
    fitted = center[..., None, :] + progress[..., None] * direction[..., None, :]
    return fitted, direction * forward


def _depth(fitted: Array, corner: int) -> float:
    chord = fitted[-1] - fitted[0]
    length = float(np.linalg.norm(chord))
    leg = fitted[corner] - fitted[0]
    if length == 0:
        return float("inf") if np.any(leg) else 0.0
    across = leg - chord * (leg @ chord) / length**2
    return float(np.linalg.norm(across)) / length
