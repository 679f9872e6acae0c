"""Figs. 6, 10, 16 and 17: what other protocols make of the OOD class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from conceptspace.analysis.claims import (
    SHARE,
    SIGNED,
    Bounds,
    Row,
    above,
    advance,
    below,
    gap,
    measure,
    most,
    open_question,
    some,
    within,
)
from conceptspace.analysis.criteria.thresholds import (
    COINCIDENT,
    COMPLETE,
    MOST,
    NEGLIGIBLE,
    PAPERS_SEEDS,
    STABLE,
)
from conceptspace.analysis.emergence import THRESHOLD, Emergence


def hidden(cases: Sequence[bool]) -> Row:
    """Fig. 6, its primary endpoint: most seeds have a window in which the capability is hidden.

    See :mod:`conceptspace.analysis.verdict` for what a window is.
    """
    return most(
        "fig06-hidden",
        "Another way of asking makes the OOD class at checkpoints where neither naive prompting "
        "nor a random displacement of equal size does.",
        cases,
    )


def earlier(
    figure: str, protocol: str, naive: Sequence[Emergence], elicited: Sequence[Emergence]
) -> Row:
    """Figs. 6 and 10. In most seeds a protocol reaches 0.8 before naive prompting does.

    A paired statement: a seed counts if the protocol arrives at an earlier checkpoint, or arrives
    and naive prompting never does. The mean advance, steps counted up to the end, is noted.
    """
    pairs = list(zip(naive, elicited, strict=True))
    row = most(
        f"{figure}-{protocol}-earlier",
        f"{protocol} reaches {THRESHOLD:g} on the OOD class before naive prompting does, which may "
        "never.",
        [a.reached and a.upper < b.upper for b, a in pairs],
    )
    mean = measure([advance(a, b)[0] for a, b in pairs])
    limits = f" ({mean.low:.2f} to {mean.high:.2f})" if mean.seeds > 1 else ""
    return replace(row, note=f"earlier by {mean.value:.2f}{limits} of training or more on average")


def fails_where_elicited(
    protocol: str, naive: Sequence[Emergence], elicited: Sequence[Emergence]
) -> Row:
    """Fig. 6. In some seed naive prompting never arrives where the protocol does."""
    return some(
        f"fig06-{protocol}-naive-fails",
        f"In some seed {protocol} reaches {THRESHOLD:g} and naive prompting never does.",
        [a.reached and not b.reached for b, a in zip(naive, elicited, strict=True)],
        PAPERS_SEEDS,
    )


def same_step(protocol: str, elicited: Sequence[Emergence]) -> Row:
    """Fig. 6. A protocol succeeds at about the same step in every seed.

    The mean distance of the seeds from their median, as a share of training. A run that never
    arrives is at least as far away as the end, without an upper bound.
    """
    claim = f"{protocol} reaches {THRESHOLD:g} at about the same step in every seed."
    if not any(run.reached for run in elicited):
        return open_question(
            f"fig06-{protocol}-same-step",
            claim,
            f"95 % interval over seeds below {COINCIDENT:g} of training",
            f"it is reached in none of {len(elicited)} seeds",
            len(elicited),
        )
    middle = float(np.median([min(run.upper, run.last) for run in elicited]))
    gaps = [gap(run, middle) for run in elicited]
    distances = [(abs(low), high if np.isinf(high) else abs(high)) for low, high in gaps]
    return below(
        f"fig06-{protocol}-same-step", claim, measure(distances), COINCIDENT, "of training"
    )


def at_the_turn(protocol: str, elicited: Sequence[Emergence], turn_steps: Sequence[float]) -> Row:
    """Fig. 6. A protocol succeeds where the trajectory turns: an equivalence within the margin.

    Args:
        protocol: its name.
        elicited: its emergence by seed.
        turn_steps: where each seed's naive trajectory turns.
    """
    return within(
        f"fig06-{protocol}-turn",
        f"{protocol} reaches {THRESHOLD:g} at about the step at which the trajectory turns.",
        measure([gap(run, step) for run, step in zip(elicited, turn_steps, strict=True)]),
        COINCIDENT,
        "of training",
    )


def control(
    protocol: str, control: str, elicited: Sequence[Emergence], controls: Sequence[Emergence]
) -> Row:
    """Fig. 6. In most seeds a protocol arrives before its control does, which may never.

    Emergence is compared with emergence, by the same statistic.
    """
    return most(
        f"fig06-{protocol}-before-{control}",
        f"{protocol} reaches {THRESHOLD:g} before {control} does, which may never.",
        [a.reached and a.upper < b.upper for a, b in zip(elicited, controls, strict=True)],
    )


def complete(accuracies: Sequence[float]) -> Row:
    """Fig. 10. Overprompting reaches "100 %" at half of the prompts masked.

    The joint accuracy at the last three checkpoints, by seed.
    """
    return above(
        "fig10-complete",
        "With half of the prompts masked, overprompting makes the OOD class.",
        measure(list(accuracies), SHARE),
        COMPLETE,
        "joint accuracy",
    )


def naive_fails(naive: Sequence[Emergence]) -> Row:
    """Fig. 10. Naive prompting fails in some seeds (three of five in the paper)."""
    return some(
        "fig10-naive-fails",
        f"Naive prompting does not reach {THRESHOLD:g} in some seed.",
        [not run.reached for run in naive],
        PAPERS_SEEDS,
    )


def guided_as_unguided(differences: Sequence[Bounds]) -> Row:
    """Fig. 16, its primary endpoint: guidance does not bring the class forward.

    By what share of training guidance of the best weight, chosen on other images, reaches 0.8
    before weight 1 does: an equivalence. It needs no turn that a detector finds.
    """
    return within(
        "fig16-emergence",
        f"Guidance of the best weight reaches {THRESHOLD:g} at about the step of weight 1.",
        measure(list(differences), SIGNED),
        COINCIDENT,
        "of training",
    )


def guided_turn(differences: Sequence[float], weights: str) -> Row:
    """Fig. 16. The turn is at the same step under any guidance weight.

    The step of the turn at the largest weight less that at weight 1, by seed, as a share of
    training: an equivalence.
    """
    return within(
        "fig16-turn",
        f"The OOD trajectory turns at the same step whatever the guidance weight ({weights}).",
        measure(list(differences)),
        COINCIDENT,
        "of training",
    )


def guided_before(gains: Sequence[float]) -> Row:
    """Fig. 16. Before the turn no weight makes more of the OOD class than weight 1 does.

    The largest gain of mean joint accuracy over weight 1 at checkpoints before the turn, by seed.
    """
    return below(
        "fig16-before",
        "Before the turn guidance of any weight has no effect on the joint accuracy.",
        measure(list(gains), SIGNED),
        NEGLIGIBLE,
        "joint accuracy",
    )


def patched_when_stable(patched: Sequence[Emergence], elicited: Sequence[Emergence]) -> Row:
    """Fig. 17. In stable seeds patching works from about the step of the other protocols on.

    Args:
        patched: emergence under patching, of the stable seeds.
        elicited: the earlier one of overprompting and latent intervention.
    """
    bounds = [
        gap(a, b.upper) if b.reached else (-float("inf"), float("inf"))
        for a, b in zip(patched, elicited, strict=True)
    ]
    return within(
        "fig17-stable",
        "In stable seeds patching elicits at about the step of the other protocols.",
        measure(bounds),
        COINCIDENT,
        "of training",
    )


def patched_when_unstable(reached: Sequence[bool]) -> Row:
    """Fig. 17. In unstable seeds patching does not elicit: its emergence is not reached.

    The share of unstable seeds in which it is reached; at most half.
    """
    return below(
        "fig17-unstable",
        "In seeds whose accuracy does not stay, patching does not elicit.",
        measure([float(case) for case in reached], SHARE),
        MOST,
        "of the unstable seeds",
    )


def is_stable(accuracy: Sequence[float], run: Emergence, steps: Sequence[float]) -> bool:
    """Whether a run stays where it has arrived (App. C.6).

    Args:
        accuracy: naive joint accuracy by checkpoint.
        run: its emergence.
        steps: of the checkpoints.
    """
    after = [a for a, step in zip(accuracy, steps, strict=True) if step >= run.upper]
    return run.reached and min(after) >= THRESHOLD - STABLE
