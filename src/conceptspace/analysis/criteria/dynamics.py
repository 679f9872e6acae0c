"""Figs. 1c to 5, 12 and 13: signal, order, trajectories."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from conceptspace.analysis.claims import (
    FEWEST,
    SHARE,
    SIGNED,
    Row,
    Verdict,
    above,
    advance,
    below,
    concordance,
    measure,
    open_question,
    rank_correlation,
)
from conceptspace.analysis.criteria.seeds import by_seed
from conceptspace.analysis.criteria.thresholds import (
    LEANING,
    MOST,
    ORDERED,
    REMARKABLE,
    RESOLVED,
    STRAIGHT,
)
from conceptspace.analysis.emergence import THRESHOLD, Emergence
from conceptspace.analysis.kinks import Kink
from conceptspace.analysis.turning import Turn


def learning_order(stronger: Sequence[Emergence], weaker: Sequence[Emergence]) -> Row:
    """Fig. 1c. By what share of training the concept of the stronger signal emerges earlier.

    In the OOD class, to 0.8 accuracy. An order is one that the checkpoints can resolve.
    """
    return above(
        "fig01c-order",
        "In the OOD class the concept with the stronger signal is learned before the other.",
        measure([advance(later, first) for later, first in zip(weaker, stronger, strict=True)]),
        RESOLVED,
        "of training",
    )


def signals(strong_first: Sequence[float], strong_second: Sequence[float]) -> Row:
    """Figs. 2 and 11. The two settings have opposite signals.

    The effect is the smaller of the two margins, in natural logarithms of the ratio of the pixel
    distances (color to size where color is strong, size to color where size is), one for each
    repetition of the measurement on new images. No run is involved, so here a repetition takes the
    place of a seed. Any clear difference counts: a tenth.
    """
    return above(
        "fig02-signal",
        "Two settings of the data have opposite signals: color is stronger in one, size in the "
        "other.",
        measure([min(a, b) for a, b in zip(strong_first, strong_second, strict=True)]),
        0.1,
        "(log ratio of pixel distances)",
    )


def speed(concept: str, runs: Mapping[float, Mapping[int, Emergence]]) -> Row:
    """Fig. 3. Do runs with a larger separation of a concept reach 0.8 on 11 earlier?

    Tau over the separations within a seed, bounded where runs never arrive.

    Args:
        concept: ``"color"`` or ``"size"``.
        runs: for each separation the emergence of each seed.
    """
    return above(
        f"fig03-{concept}",
        f"Speed, 1 / (steps to {THRESHOLD:g} on 11), rises with the signal of {concept}.",
        measure([concordance(levels) for levels in by_seed(runs).values()], SIGNED),
        ORDERED,
        "(Kendall's tau)",
    )


def sides(leanings: Mapping[float, Mapping[int, float]]) -> list[Row]:
    """Fig. 4. The trajectory changes sides along the sweep of the color separation.

    A leaning is the accuracy of color less that of size under the OOD prompt, averaged over all
    checkpoints. It rises with the separation (tau), is negative at the smallest and positive at
    the largest.

    Args:
        leanings: for each separation that of each seed.
    """
    levels = sorted(leanings)
    first, last = (list(leanings[level].values()) for level in (levels[0], levels[-1]))
    return [
        above(
            "fig04-rise",
            "The larger the color separation, the more the OOD trajectory leans towards color.",
            measure([rank_correlation(of_seed) for of_seed in by_seed(leanings).values()], SIGNED),
            ORDERED,
            "(Kendall's tau)",
        ),
        below(
            "fig04-weak-color",
            "At the smallest color separation it heads for the class that shares the size, 01.",
            measure(first, SIGNED),
            -LEANING,
            "(accuracy of color less that of size)",
        ),
        above(
            "fig04-strong-color",
            "At the largest color separation it heads for the class that shares the color, 10.",
            measure(last, SIGNED),
            LEANING,
            "(accuracy of color less that of size)",
        ),
    ]


def turns(ood: Mapping[int, Sequence[bool]], train: Mapping[int, Sequence[bool]]) -> list[Row]:
    """Figs. 4 and 13. OOD trajectories turn, training classes go straight.

    The share of a seed's trajectories, one for each separation (and training class), in which the
    detector of turns finds one.
    """
    return [
        above(
            "fig04-turn",
            "The OOD trajectory turns, at most color separations.",
            measure([float(np.mean(found)) for found in ood.values()], SHARE),
            MOST,
            "of the trajectories turn",
        ),
        below(
            "fig13-straight",
            "The trajectories of training classes go straight.",
            measure([float(np.mean(found)) for found in train.values()], SHARE),
            STRAIGHT,
            "of the trajectories turn",
        ),
    ]


def unremarkable_loss(ranks: Sequence[float]) -> Row:
    """Fig. 12, its primary endpoint: the loss bends no more at the turn than elsewhere.

    A seed's rank is the share of its checkpoints at which the log of the diffusion loss, averaged
    between checkpoints, has a smaller second difference than at the bend of the OOD trajectory: 1
    if the bend is where the loss bends most. It needs no turn that a detector finds. It is blind to
    why the loss bends: a smooth loss bends most where it falls most steeply, so a bend of the
    trajectory in the first checkpoints ranks high, and a late one low, without any trace of it.
    """
    return below(
        "fig12-unremarkable",
        "The loss does not bend more where the OOD trajectory bends than elsewhere.",
        measure(list(ranks), SHARE),
        REMARKABLE,
        "(rank of the bend among the checkpoints)",
    )


def smooth_loss(
    turn: Turn | None,
    kinks: Mapping[str, Kink],
    left_out: Sequence[tuple[Turn | None, Mapping[str, Kink]]],
) -> Row:
    """Fig. 12. No curve that one usually watches changes where the trajectory turns.

    The effect is the number of curves (loss, accuracies of training classes) with a change of
    slope whose interval overlaps that of the turn. The test is of the mean over seeds; its
    interval is the range that leaving out one seed at a time gives, and the verdict must be the
    same each time.

    Args:
        turn: of the mean OOD trajectory.
        kinks: the strongest change of slope of each curve; without a "loss" the claim is open.
        left_out: both, without each seed in turn.
    """
    name, claim = "fig12-smooth", "Loss and in-distribution accuracies do not change at the turn."
    criterion = "a turn, and no curve with a change point in its interval, whichever seed is left "
    criterion += "out"
    seeds = len(left_out)
    if "loss" not in kinks:
        return open_question(name, claim, criterion, "the runs kept no training log", seeds)
    if seeds < FEWEST:
        return open_question(name, claim, criterion, f"{seeds} seeds, fewer than {FEWEST}", seeds)
    counts = [_coinciding(*each) for each in ((turn, kinks), *left_out)]
    if any(count is None for count in counts):
        return open_question(name, claim, criterion, "no turn was detected in every case", seeds)
    known = [count for count in counts if count is not None]
    verdict, reason = Verdict.UNDECIDED, "it depends on the seed that is left out"
    if max(known) == 0:
        verdict, reason = Verdict.HELD, ""
    elif min(known) > 0:
        verdict, reason = Verdict.FAILED, ""
    low, high = float(min(known)), float(max(known))
    unit = f"of {len(kinks)} curves"
    return Row(name, claim, float(known[0]), low, high, unit, criterion, verdict, reason, seeds)


def _coinciding(turn: Turn | None, kinks: Mapping[str, Kink]) -> int | None:
    """Curves that change slope within the interval of the turn; None without a turn."""
    if turn is None or not turn.detected:
        return None
    a, b = turn.step_interval
    inside = [k.step_interval[0] <= b and a <= k.step_interval[1] for k in kinks.values()]
    return sum(k.detected and i for k, i in zip(kinks.values(), inside, strict=True))


def equation_fits(figure: str, equation: str, supported: Mapping[int, Sequence[bool]]) -> Row:
    """Figs. 5 and 9b. A toy model describes the trajectories better than simpler curves do.

    The share of a seed's trajectories (or 0 and 1, where all are fitted together) in which the
    equation's AICc is smaller than that of every null; most of them.
    """
    return above(
        f"{figure}-fit",
        f"{equation} describes the OOD trajectories better than every simpler curve.",
        measure([float(np.mean(found)) for found in supported.values()], SHARE),
        MOST,
        "of the fits",
    )


def rotation_agrees(same: Mapping[int, Sequence[bool]]) -> Row:
    """Fig. 5. The fitted curves turn the way that the measured ones do.

    The share of a seed's trajectories whose signed areas have the same sign; guessing gives half.
    """
    return above(
        "fig05-rotation",
        "Eq. 1 rotates in the sense in which the trajectories do.",
        measure([float(np.mean(found)) for found in same.values()], SHARE),
        MOST,
        "of the fits",
    )
