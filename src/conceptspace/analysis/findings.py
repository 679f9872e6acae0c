"""What a trajectory says, in sentences with numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from conceptspace.analysis import emergence, memorization, verdict
from conceptspace.analysis.elicitation import best_settings, elicitation
from conceptspace.analysis.kinks import Kink, detect_kink
from conceptspace.analysis.sentences import CHAIN, Finding, arrival, oriented
from conceptspace.analysis.trajectories import concepts_of
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
        concepts: in the order of the digits of a class; as they appear in the table unless told.
        best: see :func:`conceptspace.analysis.elicitation.best_settings`; found from the scores
            unless told, and without both nothing is told of what other protocols elicit.

    Raises:
        UserError: the table has no naive rows, or two runs share a seed.
    """
    if best is None and scores is not None and table["protocol"].nunique() > 1:
        best = best_settings(table, scores)
    told = [_in_distribution(table, train_classes)]
    order = tuple(concepts) or concepts_of(table)
    for ood in ood_classes:
        turn = turn_of(table, ood, train_classes, order)
        told += _memorized(table, scores, train_classes, ood, labels, turn, order)
        if turn is not None:
            told.append(Finding("turn", turn_sentence(turn, ood)))
            told.append(_change_points(table, train_classes, training or {}, turn))
        told += _order(table, ood)
        naive = emergence.find_emergence(table, ood)
        arrives = arrival(emergence.survival(naive), f"joint accuracy on {ood}")
        told.append(Finding("emergence", f"under naive prompting, {arrives}"))
        if best is not None and (best["concept_class"] == ood).any():
            told += elicitation(table, best, ood, naive, turn)
    told.sort(key=lambda finding: CHAIN.index(finding.topic))
    every = [*_verdict(table, best, ood_classes[0], labels), *told] if ood_classes else told
    return [Finding(t.topic, t.text[0].upper() + t.text[1:] + ".") for t in every]


def verdict_of(table: pd.DataFrame, best: pd.DataFrame | None, ood: str, words: str) -> list[str]:
    """The answer to the main question for an OOD class, in sentences.

    Args:
        table: see :func:`findings`.
        best: likewise.
        ood: the class.
        words: the same in words.
    """
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
        return verdict.sentences(verdict.windows(best, ood), words, images)
    return [verdict.UNTOLD, f"{why}."]


def _verdict(
    table: pd.DataFrame, best: pd.DataFrame | None, ood: str, labels: Mapping[str, str]
) -> list[Finding]:
    lines = verdict_of(table, best, ood, labels[ood])
    return [Finding("verdict", line.removesuffix(".")) for line in lines]


def turn_of(
    table: pd.DataFrame,
    ood_class: str,
    train_classes: Sequence[str] = (),
    concepts: Sequence[str] = (),
) -> Turn | None:
    """The turn of the naive trajectory; None with one concept or too few checkpoints.

    Concepts of more than two values run from that of the most similar training class to that of
    the OOD class, see :func:`conceptspace.values.axis`; without ``concepts``, in the order of the
    digits, as in the table.
    """
    naive = table[(table["protocol"] == NAIVE) & (table["concept"] != JOINT)]
    if naive["step"].nunique() < FEWEST_FOR_TURN or naive["concept"].nunique() < 2:
        return None
    return find_turn(naive, ood_class, values=axes(naive, concepts, train_classes, ood_class))


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
    told = ", ".join(f"{values.mean():.2f} on {name}" for name, values in ends.items())
    learned = sum(bool((values >= IN_DISTRIBUTION).all()) for values in ends.values())
    seeds = last["seed"].nunique()
    means, every = (f" (means of {seeds} seeds)", " in every seed") if seeds > 1 else ("", "")
    be = "is" if learned == 1 else "are"
    return Finding(
        "in-distribution",
        f"training classes end with a joint accuracy of {told}{means}; {learned} of "
        f"{len(classes)} {be} at {IN_DISTRIBUTION:g} or above{every}",
    )


def _memorized(
    table: pd.DataFrame,
    scores: pd.DataFrame | None,
    train: Sequence[str],
    ood: str,
    labels: Mapping[str, str],
    turn: Turn | None,
    order: tuple[str, ...],
) -> list[Finding]:
    naive = scores[scores["protocol"] == NAIVE] if scores is not None else None
    memorized = memorization.memorization(table, train, ood, scores=naive, concepts=order)
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
    lean = memorization.bias(table, ood, until=until)
    concepts = concepts_of(table)[:2]
    ahead, behind = concepts if lean.value > 0 else concepts[::-1]
    low, high = oriented(lean)
    spread = f" (95 % interval {low:.2f} to {high:.2f})" if lean.seeds > 1 else ""
    bias = (
        f"up to step {until:.0f} the trajectory of {ood} leans towards {ahead}: its accuracy is "
        f"{abs(lean.value):.2f}{spread} above that of {behind} on average"
    )
    return [Finding("memorization", text), Finding("memorization", bias)]


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
    with fewer than :data:`FEWEST_FOR_KINK` positive checkpoints are left out.
    """
    naive = table[(table["protocol"] == NAIVE) & (table["concept"] == JOINT)]
    naive = naive[naive["step"] > 0]
    steps = np.sort(naive["step"].unique())
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


def _change_points(
    table: pd.DataFrame,
    train_classes: Sequence[str],
    training: Mapping[int, pd.DataFrame],
    turn: Turn,
) -> Finding:
    found = change_points(table, train_classes, training)
    if not found:
        return Finding("loss", "there are too few checkpoints to test the loss for a change point")
    told = [
        f"{name} at step {kink.step:.0f} ({kink.step_interval[0]:.0f} to "
        f"{kink.step_interval[1]:.0f})"
        for name, kink in found.items()
        if kink.detected
    ]
    tested = "the loss and the in-distribution accuracies"
    tested = tested if "loss" in found else "the in-distribution accuracies"
    if not told:
        text = f"{tested} show no change of slope beyond that of a smooth curve"
        return Finding("loss", f"{text} ({len(found)} curves tested)")
    text = f"among {tested}, {len(told)} of {len(found)} curves change slope: {', '.join(told)}"
    if turn.detected:
        coincide = [name for name, kink in found.items() if kink.detected and _overlap(kink, turn)]
        text += f"; within the interval of the turn: {', '.join(coincide) or 'none of them'}"
    return Finding("loss", text)


def _overlap(kink: Kink, turn: Turn) -> bool:
    (a, b), (c, d) = kink.step_interval, turn.step_interval
    return a <= d and c <= b


def _order(table: pd.DataFrame, ood: str) -> list[Finding]:
    told = []
    for concept in concepts_of(table):
        found = emergence.survival(emergence.find_emergence(table, ood, concept=concept))
        told.append((found.median, arrival(found, f"{concept} accuracy on {ood}")))
    return [Finding("order", "; ".join(text for _, text in sorted(told)))]


def require_distinct_seeds(table: pd.DataFrame) -> None:
    """Raise ``UserError`` if two runs of one setting share a seed."""
    seeds = table[["run", "seed"]].drop_duplicates()["seed"]
    if seeds.duplicated().any():
        seed = int(seeds[seeds.duplicated()].iloc[0])
        raise UserError(f"two of the runs have the same config and the same seed {seed}")
