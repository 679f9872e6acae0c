"""Eq. 1 and Eq. 2 fitted to measured trajectories, against simpler curves. Paper Figs. 5 and 9b.

Eq. 1 is fitted to the mean trajectory over seeds of one class, once for each training class that it
may be mistaken for, and compared with three nulls:

- **no switch**: the same flow with a target that stands still, curved by the asymmetry a alone;
- **straight line**: from the start to the target at the pace of Eq. 1, with three numbers for it;
- **straight relaxation**: the same at an exponentially slowing pace, which all others contain.

Eq. 2 is fitted to the mean trajectories of several masking shares together, against **no effect**
(s = 0) and **any ends** (each share ends where it will, which tests that the shift is linear).

Criteria are AICc and BIC under autocorrelated residuals (:mod:`curve_fitting`). Intervals come from
leaving out one seed at a time; for a single seed, from the profile likelihood. Checkpoints count
equally, though early ones scatter more; and there is one scatter for both concepts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from conceptspace.analysis.curve_fitting import (
    Fitted,
    fit,
    jackknife_interval,
    profile_interval,
    refit,
)
from conceptspace.analysis.intervals import Estimate
from conceptspace.analysis.rotation import Rotation, sense_of_rotation
from conceptspace.analysis.theory_families import (
    ANY_ENDS,
    LINEAR_SHIFT,
    NO_EFFECT,
    eq1_family,
    eq1_nulls,
    eq2_family,
    point,
)
from conceptspace.analysis.trajectories import Array, Paths
from conceptspace.analysis.turning import signed_areas
from conceptspace.errors import UserError

MARGIN = 2.0
"""A model is preferred if its AICc is smaller than every null's by at least this much."""

FEWEST = 8


@dataclass(frozen=True)
class TheoryFit:
    """A theory beside its nulls.

    Attributes:
        theory: the fitted equation.
        nulls: what it is compared with.
        fitted_to: the trajectories of every seed.
        steps: checkpoints of each fitted trajectory, in gradient steps.
        observed: the fitted trajectories, means over seeds, (T, 2) each.
        seeds: how many seeds they are means of; the fewest, if trajectories differ in it.
    """

    theory: Fitted
    nulls: tuple[Fitted, ...]
    fitted_to: tuple[Paths, ...]
    steps: tuple[Array, ...]
    observed: tuple[Array, ...]
    seeds: int

    @cached_property
    def estimates(self) -> dict[str, Estimate]:
        """The theory's parameters with 95 % intervals, most of the work and done when asked for.

        Ends that the data do not determine are infinite.
        """
        return _estimates(self.theory, self.fitted_to)

    @property
    def margin(self) -> float:
        """AICc of the best null less that of the theory: positive if the theory is better."""
        return min(null.aicc for null in self.nulls) - self.theory.aicc

    @property
    def supported(self) -> bool:
        """Whether the theory is better than every null by at least :data:`MARGIN`."""
        return self.margin >= MARGIN

    def null(self, name: str) -> Fitted:
        """One of the nulls by its name."""
        return next(null for null in self.nulls if null.family.name == name)


@dataclass(frozen=True)
class Eq1Fit(TheoryFit):
    """Eq. 1 fitted to one class.

    The estimates are ``time_unit`` (gradient steps in one unit of time), ``asymmetry`` (a) and
    ``switch`` (t-hat, a gradient step).

    Attributes:
        target: the class that was asked for.
        corner: the class that it is first mistaken for according to the fit, e.g. ``"10"``.
        measured: sense of rotation of the seeds.
        fitted_area: signed area of the fitted curve, clockwise positive.
    """

    target: str
    corner: str
    measured: Rotation
    fitted_area: float

    @property
    def consistent(self) -> bool:
        """Whether the concept that the corner has right is also the one that relaxes faster.

        The paper derives both from the difference of signals; the fit leaves them free.
        """
        ahead = [bit == wanted for bit, wanted in zip(self.corner, self.target, strict=True)]
        a = self.estimates["asymmetry"].value
        return ahead == [a < 1, a > 1]

    @property
    def same_sense(self) -> bool:
        """Whether the fitted curve bends to the side to which the mean trajectory bends."""
        return self.fitted_area * self.measured.area > 0


def fit_eq1(
    found: Paths, target: str = "11", corner: str | None = None, *, coupled: bool = False
) -> Eq1Fit:
    """Fit Eq. 1 to the trajectories of one class.

    Args:
        found: coordinates of two concepts, see :func:`trajectories.paths`.
        target: the class that was asked for.
        corner: the class that it is first mistaken for; if left out the better one of the two that
            differ from the target in one concept, which counts as one more fitted number.
        coupled: hold a to the side of the stronger concept, the one that the corner has right, as
            the paper's derivation from one difference of signals implies.

    Raises:
        UserError: not two concepts, too few checkpoints, or a class or corner of another length.
    """
    _check(found, target, corner)
    corners = [corner] if corner else [_flip(target, i) for i in range(2)]
    data = [found.values.mean(0)]
    families = [
        eq1_family(found.steps, data[0], target, name, len(corners) - 1, coupled)
        for name in corners
    ]
    fits = {name: fit(family, data) for name, family in zip(corners, families, strict=True)}
    chosen = min(fits, key=lambda c: fits[c].deviance)
    theory = fits[chosen]
    curve = theory.curves[0]
    return Eq1Fit(
        theory=theory,
        nulls=tuple(fit(f, data) for f in eq1_nulls(found.steps, data[0], target)),
        fitted_to=(found,),
        steps=(found.steps,),
        observed=(data[0],),
        seeds=len(found.seeds),
        target=target,
        corner=chosen,
        measured=sense_of_rotation(found.values),
        fitted_area=float(signed_areas(curve[None])[0]),
    )


def fit_eq2(found: Mapping[float, Paths], masked: int = 0, target: str = "11") -> TheoryFit:
    """Fit Eq. 2 to the trajectories of several masking shares.

    The estimates are ``time_unit`` (gradient steps in one unit of time) and ``slope`` (s, per
    percent).

    Args:
        found: for each alpha in percent the coordinates of two concepts.
        masked: which of the two concepts is masked.
        target: the class that was asked for.

    Raises:
        UserError: fewer than two shares, not two concepts, or too few checkpoints.
    """
    if len(found) < 2:
        raise UserError("Eq. 2 needs trajectories of at least two masking shares")
    percents = sorted(found)
    parts = [_upright(found[p], masked, target) for p in percents]
    for part in parts:
        _check(part, "11", None)
    data = [part.values.mean(0) for part in parts]
    times = [part.steps for part in parts]
    theory = fit(eq2_family(times, percents, data, LINEAR_SHIFT), data)
    nulls = (NO_EFFECT, ANY_ENDS)
    return TheoryFit(
        theory=theory,
        nulls=tuple(fit(eq2_family(times, percents, data, name), data) for name in nulls),
        fitted_to=tuple(parts),
        steps=tuple(times),
        observed=tuple(data),
        seeds=min(len(part.seeds) for part in parts),
    )


def _check(found: Paths, target: str, corner: str | None) -> None:
    if len(found.concepts) != 2 or found.values.shape[-1] != 2:
        raise UserError(f"the theory is about two concepts, not {', '.join(found.concepts)}")
    if len(found.steps) < FEWEST:
        raise UserError(f"a fit needs at least {FEWEST} checkpoints, not {len(found.steps)}")
    for name in (target, corner or target):
        if len(name) != 2 or set(name) - {"0", "1"}:
            raise UserError(f"a class of two concepts is two bits such as '01', not {name!r}")


def _flip(target: str, index: int) -> str:
    return target[:index] + str(1 - int(target[index])) + target[index + 1 :]


def _upright(found: Paths, masked: int, target: str) -> Paths:
    """The masked concept first, and every coordinate toward the target's value."""
    wanted = point(target)
    values = np.where(wanted > 0, found.values, 1 - found.values)
    order = [masked, 1 - masked]
    names = tuple(found.concepts[i] for i in order)
    return Paths(found.seeds, found.steps, names, values[..., order], found.samples)


def _estimates(theory: Fitted, found: Sequence[Paths]) -> dict[str, Estimate]:
    """Parameters other than the start, with intervals, out of the logarithm."""
    names = [name for name in theory.family.parameters if not name.startswith("start")]
    seeds = sorted({seed for part in found for seed in part.seeds})
    least = min(len(part.seeds) for part in found)
    data = [part.values.mean(0) for part in found]
    left_out = seeds if least > 1 else []
    without = [refit(theory, [_without(part, seed) for part in found]) for seed in left_out]
    estimates = {}
    for name in names:
        value = theory.value(name)
        if without:
            low, high = jackknife_interval(value, [other.value(name) for other in without])
        else:
            low, high = profile_interval(theory, data, name)
        if name.startswith("log "):
            value, low, high = (float(np.exp(number)) for number in (value, low, high))
        estimates[name.removeprefix("log ")] = Estimate(value, low, high, least)
    return estimates


def _without(found: Paths, seed: int) -> Array:
    """The mean trajectory of all seeds but one."""
    kept = [i for i, name in enumerate(found.seeds) if name != seed]
    return np.asarray(found.values[kept].mean(0))
