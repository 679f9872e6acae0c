"""What a trajectory says, in sentences with numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from conceptspace.analysis import emergence, memorization, verdict
from conceptspace.analysis.elicitation import best_settings, elicitation
from conceptspace.analysis.kinks import Kink, detect_kink
from conceptspace.analysis.sentences import CHAIN, Finding, arrival, oriented
from conceptspace.analysis.trajectories import concepts_of, shared_steps
from conceptspace.analysis.turning import ALPHA, Turn, find_turn
from conceptspace.errors import UserError
from conceptspace.tables import JOINT, NAIVE
from conceptspace.values import axes

IN_DISTRIBUTION = 0.9
"""Joint accuracy at which a training class counts as learned."""

FEWEST_FOR_TURN = 6
"""Checkpoints that the detector of turns needs."""

FEWEST_FOR_KINK = 8
"""Checkpoints that the detector of changes of slope needs."""


@dataclass(frozen=True)
class Evidence:
    """What the findings of a held-out class are made from.

    Attributes:
        table: see :func:`findings`.
        scores: see :func:`findings`.
        train_classes: see :func:`findings`.
        ood: the held-out class.
        labels: see :func:`findings`.
        training: see :func:`findings`.
        concepts: in the order of the digits of a class.
        best: see :func:`findings`.
        turn: of the class's naive trajectory, see :func:`turn_of`.
    """

    table: pd.DataFrame
    scores: pd.DataFrame | None
    train_classes: Sequence[str]
    ood: str
    labels: Mapping[str, str]
    training: Mapping[int, pd.DataFrame]
    concepts: tuple[str, ...]
    best: pd.DataFrame | None
    turn: Turn | None


def findings(
    table: pd.DataFrame,
    scores: pd.DataFrame | None,
    train_classes: Sequence[str],
    ood_classes: Sequence[str],
    labels: Mapping[str, str],
    training: Mapping[int, pd.DataFrame] | None = None,
    concepts: Sequence[str] = (),
    best: pd.DataFrame | None = None,
) -> list[Finding]:
    """The findings of the seeds of one setting: the verdict, then the chain of evidence in order.

    Args:
        table: trajectory table of runs that differ in their seed alone.
        scores: their per-sample scores; None where they were not kept, which judges memorization
            by mean coordinates.
        train_classes: in-distribution classes.
        ood_classes: held-out classes.
        labels: every class in words, e.g. ``{"11": "blue small"}``.
        training: the training log of each seed, columns step and diffusion.
        concepts: in the order of the digits of a class; by default as they appear in the table.
        best: see :func:`conceptspace.analysis.elicitation.best_settings`; by default computed from
            the scores. Without both, no finding says what other protocols elicit.

    Raises:
        UserError: the table has no naive rows, or two runs share a seed.
    """
    if best is None and scores is not None and table["protocol"].nunique() > 1:
        best = best_settings(table, scores)
    chain = [_in_distribution(table, train_classes)]
    order = tuple(concepts) or concepts_of(table)
    for ood in ood_classes:
        turn = turn_of(table, ood, train_classes, order)
        evidence = Evidence(
            table, scores, train_classes, ood, labels, training or {}, order, best, turn
        )
        chain += [finding for find in OF_A_CLASS for finding in find(evidence)]
    chain.sort(key=lambda finding: CHAIN.index(finding.topic))
    answer = verdict_of(table, best, ood_classes, labels) if ood_classes else []
    every = [*(Finding("verdict", line.removesuffix(".")) for line in answer), *chain]
    return [Finding(f.topic, f.text[0].upper() + f.text[1:] + ".") for f in every]


def verdict_of(
    table: pd.DataFrame,
    best: pd.DataFrame | None,
    ood_classes: Sequence[str],
    labels: Mapping[str, str],
) -> list[str]:
    """The answer to the main question, in sentences.

    Of several held-out classes it is about the :func:`~conceptspace.analysis.verdict.leading` one.

    Args:
        table: see :func:`findings`.
        best: see :func:`findings`.
        ood_classes: at least one.
        labels: these classes in words.
    """
    ood = ood_classes[0] if best is None else verdict.leading(best, ood_classes)
    rows = table[table["concept_class"] == ood]
    steps = rows["step"].nunique()
    if not verdict.others([str(p) for p in rows["protocol"].unique()]):
        why = "No other way of asking than plain prompting was tried"
    elif best is None:
        why = "No scores of single images were kept, so no way of asking can be chosen fairly"
    elif steps < emergence.HOLD:
        why = f"A window needs {emergence.HOLD} scored checkpoints, and there are {steps}"
    else:
        images = int(best[best["concept_class"] == ood]["samples"].min())
        lines = verdict.sentences(verdict.windows(best, ood), labels[ood], images)
        return [*lines, *verdict.of_several(best, ood, ood_classes, labels)]
    return [verdict.UNDECIDED, f"{why}."]


def turn_of(
    table: pd.DataFrame,
    ood_class: str,
    train_classes: Sequence[str] = (),
    concepts: Sequence[str] = (),
) -> Turn | None:
    """The turn of the naive trajectory; None with one concept or too few checkpoints.

    Checkpoints count at which every seed has every concept. Concepts of more than two values run
    from that of the most similar training class to that of the OOD class, see
    :func:`conceptspace.values.axis`; without ``concepts``, in the order of the digits, as in the
    table.
    """
    rows = table[(table["protocol"] == NAIVE) & (table["concept"] != JOINT)]
    rows = rows[rows["concept_class"] == ood_class]
    steps = shared_steps(rows)
    if len(steps) < FEWEST_FOR_TURN or len(concepts_of(rows)) < 2:
        return None
    rows = rows[rows["step"].isin(steps)]
    return find_turn(rows, ood_class, values=axes(rows, concepts, train_classes, ood_class))


def turn_sentence(turn: Turn, ood_class: str) -> str:
    """The detector's result in words."""
    p = "p < 0.001" if turn.p_value < 0.001 else f"p = {turn.p_value:.3f}"
    low, high = (f"{step:.0f}" for step in turn.step_interval)
    if turn.detected:
        return (
            f"the trajectory of {ood_class} turns by {turn.angle:.0f}° at step {turn.step:.0f} "
            f"(95 % interval {low} to {high}, {p})"
        )
    if turn.p_value <= ALPHA:
        return (
            f"the trajectory of {ood_class} is not straight ({p}), but too slightly bent to be "
            f"called a turn: its corner lies {100 * turn.depth:.0f} % of its length aside"
        )
    return f"no turn of the trajectory of {ood_class} was detected ({p})"


def _in_distribution(table: pd.DataFrame, classes: Sequence[str]) -> Finding:
    rows = table[(table["protocol"] == NAIVE) & (table["concept"] == JOINT)]
    last = rows[rows["step"] == rows.groupby("seed")["step"].transform("max")]
    ends = {c: last[last["concept_class"] == c]["accuracy"] for c in classes}
    levels = ", ".join(f"{values.mean():.2f} on {name}" for name, values in ends.items())
    learned = sum(bool((values >= IN_DISTRIBUTION).all()) for values in ends.values())
    seeds = last["seed"].nunique()
    means, every = (f" (means of {seeds} seeds)", " in every seed") if seeds > 1 else ("", "")
    be = "is" if learned == 1 else "are"
    return Finding(
        "in-distribution",
        f"training classes end with a joint accuracy of {levels}{means}; {learned} of "
        f"{len(classes)} {be} at {IN_DISTRIBUTION:g} or above{every}",
    )


def _memorized(of: Evidence) -> list[Finding]:
    """Which training class the class is taken for, when, and how it leans meanwhile."""
    table, scores, ood, labels, turn = of.table, of.scores, of.ood, of.labels, of.turn
    naive = scores[scores["protocol"] == NAIVE] if scores is not None else None
    memorized = memorization.memorization(
        table, of.train_classes, ood, scores=naive, concepts=of.concepts
    )
    found = [e for e in memorization.episodes(memorized) if e.mistaken_for]
    seeds = memorized["seed"].nunique()
    if not found:
        where = f" in any of {seeds} seeds" if seeds > 1 else " at any checkpoint"
        text = f"{ood} ({labels[ood]}) is not taken for a training class{where}"
        return [Finding("memorization", text)]
    names = pd.Series([e.mistaken_for for e in found]).value_counts()
    name = str(names.index[0])
    first, last = (np.median([getattr(e, k) for e in found]) for k in ("first", "last"))
    strength = np.mean([e.strength for e in found])
    text = f"{ood} ({labels[ood]}) is taken for {name} ({labels[name]})"
    peak, where = f"with a probability of up to {strength:.2f}", f"step {first:.0f} to {last:.0f}"
    if seeds > 1:
        text += f" in {names.iloc[0]} of {seeds} seeds"
        others = len(found) - names.iloc[0]
        text += f" and for another training class in {others}" if others else ""
        text += f", {peak} (mean over seeds), from {where} (medians)"
    else:
        text += f", {peak}, from {where}"
    if turn is not None and turn.detected:
        text += f"; {_around_turn(memorized, turn)}"
    until = turn.step if turn is not None and turn.detected else float(last)
    return [Finding("memorization", text), *_leaning(table, ood, until)]


def _leaning(table: pd.DataFrame, ood: str, until: float) -> list[Finding]:
    """Which of the first two concepts is ahead; nothing with one concept."""
    concepts = concepts_of(table)[:2]
    if len(concepts) < 2:
        return []
    lean = memorization.bias(table, ood, until=until)
    ahead, behind = concepts if lean.value > 0 else concepts[::-1]
    low, high = oriented(lean)
    spread = f" ({lean.kind} {low:.2f} to {high:.2f})" if lean.seeds > 1 else ""
    bias = (
        f"up to step {until:.0f} the trajectory of {ood} leans towards {ahead}: its accuracy is "
        f"{abs(lean.value):.2f}{spread} above that of {behind} on average"
    )
    return [Finding("memorization", bias)]


def _around_turn(memorized: pd.DataFrame, turn: Turn) -> str:
    """How often the OOD class looks like a training class before and after the turn."""
    early = memorized["step"] <= turn.step
    before, after = (100 * memorized["memorized"][rows].mean() for rows in (early, ~early))
    return (
        f"up to the turn it looks more like a training class than like itself at {before:.0f} % of "
        f"the checkpoints, afterwards at {after:.0f} %"
    )


def change_points(
    table: pd.DataFrame, train_classes: Sequence[str], training: Mapping[int, pd.DataFrame]
) -> dict[str, Kink]:
    """Changes of slope in the curves that one usually watches (paper App. C.1, Fig. 12).

    Tested are the diffusion loss (of a recorded model its loss), averaged between checkpoints, and
    the joint accuracy of each training class under naive prompting, as means over seeds. Curves
    with fewer than :data:`FEWEST_FOR_KINK` positive checkpoints that all seeds share are left out.
    """
    naive = table[(table["protocol"] == NAIVE) & (table["concept"] == JOINT)]
    steps = shared_steps(naive[naive["step"] > 0])
    naive = naive[naive["step"].isin(steps)]
    if len(steps) < FEWEST_FOR_KINK:
        return {}
    curves = {}
    if training:
        edges = np.concatenate([[0], steps])
        logs = [
            log.groupby(pd.cut(log["step"], list(edges)), observed=False)[_loss_of(log)].mean()
            for log in training.values()
        ]
        losses = np.stack([log.to_numpy() for log in logs])
        if np.isfinite(losses).all():
            curves["loss"] = losses
    for name in train_classes:
        rows = naive[naive["concept_class"] == name]
        wide = rows.pivot(index="seed", columns="step", values="accuracy").dropna(axis=1)
        if wide.shape[1] == len(steps):
            curves[f"accuracy of {name}"] = wide.to_numpy()
    return {name: detect_kink(steps, values) for name, values in curves.items()}


def _loss_of(log: pd.DataFrame) -> str:
    return "diffusion" if "diffusion" in log else "loss"


def _turned(of: Evidence) -> list[Finding]:
    """Whether the trajectory turns, and whether the loss shows it."""
    if of.turn is None:
        return []
    return [Finding("turn", turn_sentence(of.turn, of.ood)), _change_points(of, of.turn)]


def _change_points(of: Evidence, turn: Turn) -> Finding:
    found = change_points(of.table, of.train_classes, of.training)
    if not found:
        return Finding("loss", "there are too few checkpoints to test the loss for a change point")
    changes = [
        f"{name} at step {kink.step:.0f} ({kink.step_interval[0]:.0f} to "
        f"{kink.step_interval[1]:.0f})"
        for name, kink in found.items()
        if kink.detected
    ]
    tested = "the loss and the in-distribution accuracies"
    tested = tested if "loss" in found else "the in-distribution accuracies"
    if not changes:
        text = f"{tested} show no change of slope beyond that of a smooth curve"
        return Finding("loss", f"{text} ({len(found)} curves tested)")
    text = f"among {tested}, {len(changes)} of {len(found)} curves change slope: "
    text += ", ".join(changes)
    if turn.detected:
        coincide = [name for name, kink in found.items() if kink.detected and _overlap(kink, turn)]
        text += f"; within the interval of the turn: {', '.join(coincide) or 'none of them'}"
    return Finding("loss", text)


def _overlap(kink: Kink, turn: Turn) -> bool:
    (a, b), (c, d) = kink.step_interval, turn.step_interval
    return a <= d and c <= b


def _order(of: Evidence) -> list[Finding]:
    """Which concept is learned first; nothing with one, which the joint accuracy tells of."""
    concepts = concepts_of(of.table)
    if len(concepts) < 2:
        return []
    arrivals = []
    for concept in concepts:
        found = emergence.survival(emergence.find_emergence(of.table, of.ood, concept=concept))
        arrivals.append((found.median, arrival(found, f"{concept} accuracy on {of.ood}")))
    return [Finding("order", "; ".join(text for _, text in sorted(arrivals)))]


def _emerged(of: Evidence) -> list[Finding]:
    """When plain prompting makes the class."""
    found = emergence.survival(emergence.find_emergence(of.table, of.ood))
    arrives = arrival(found, f"joint accuracy on {of.ood}")
    return [Finding("emergence", f"under naive prompting, {arrives}")]


def _elicited(of: Evidence) -> list[Finding]:
    """When other ways of asking make the class, and what controls make."""
    if of.best is None or not (of.best["concept_class"] == of.ood).any():
        return []
    naive = emergence.find_emergence(of.table, of.ood)
    return elicitation(of.table, of.best, of.ood, naive, of.turn)


OF_A_CLASS: tuple[Callable[[Evidence], list[Finding]], ...] = (
    _memorized,
    _turned,
    _order,
    _emerged,
    _elicited,
)
"""The findings of a held-out class, one function each. A new finding is a function and a line here;
its topic places it in the chain of evidence."""


def require_distinct_seeds(table: pd.DataFrame) -> None:
    """Raise ``UserError`` if two runs of one setting share a seed."""
    seeds = table[["run", "seed"]].drop_duplicates()["seed"]
    if seeds.duplicated().any():
        seed = int(seeds[seeds.duplicated()].iloc[0])
        raise UserError(f"two of the runs have the same config and the same seed {seed}")
