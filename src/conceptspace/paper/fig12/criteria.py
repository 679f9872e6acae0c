"""The criteria of the claims: from numbers, one per seed, to rows of the ledger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from conceptspace.analysis.claims import (
    FEWEST,
    SHARE,
    Row,
    Verdict,
    below,
    measure,
    open_question,
)
from conceptspace.analysis.kinks import Kink
from conceptspace.analysis.turning import Turn
from conceptspace.paper.thresholds import (
    REMARKABLE,
)


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
        "The loss does not bend remarkably more where the OOD trajectory bends than elsewhere.",
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
    unit = f"of {len(kinks)} curves (for an interval, the range when one seed is left out)"
    return Row(name, claim, float(known[0]), low, high, unit, criterion, verdict, reason, seeds)


def _coinciding(turn: Turn | None, kinks: Mapping[str, Kink]) -> int | None:
    """Curves that change slope within the interval of the turn; None without a turn."""
    if turn is None or not turn.detected:
        return None
    a, b = turn.step_interval
    inside = [k.step_interval[0] <= b and a <= k.step_interval[1] for k in kinks.values()]
    return sum(k.detected and i for k, i in zip(kinks.values(), inside, strict=True))
