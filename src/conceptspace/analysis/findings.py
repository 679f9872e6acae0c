"""What a trajectory says, in sentences with numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from conceptspace.analysis import emergence, memorization, selection, statistics
from conceptspace.analysis.emergence import Emergence
from conceptspace.analysis.kinks import Kink, detect_kink
from conceptspace.analysis.trajectories import concepts_of
from conceptspace.analysis.turning import Turn, find_turn
from conceptspace.errors import UserError
from conceptspace.tables import JOINT, NAIVE

IN_DISTRIBUTION = 0.9
"""Joint accuracy at which a training class counts as learned."""

FEWEST_FOR_TURN = 6
"""Checkpoints that the detector of turns needs."""

FEWEST_FOR_KINK = 8
"""Checkpoints that the detector of changes of slope needs."""

BEST = "best"
"""The setting of the rows that :func:`best_settings` returns."""


@dataclass(frozen=True)
class Finding:
    """One sentence.

    Attributes:
        topic: "memorization", "turn", "emergence", "elicitation", "in-distribution" or "probe".
        text: plain text.
    """

    topic: str
    text: str


def findings(
    table: pd.DataFrame,
    scores: pd.DataFrame,
    train_classes: Sequence[str],
    ood_classes: Sequence[str],
    labels: Mapping[str, str],
    training: Mapping[int, pd.DataFrame] | None = None,
) -> list[Finding]:
    """The findings of the seeds of one setting.

    Args:
        table: trajectory table of runs that differ in their seed alone.
        scores: their per-sample scores.
        train_classes: in-distribution classes.
        ood_classes: held-out classes.
        labels: every class in words, e.g. ``{"11": "blue small"}``.
        training: the training log of each seed, columns step and diffusion.

    Raises:
        UserError: the table has no naive rows, or two runs share a seed.
    """
    told = [_in_distribution(table, train_classes)]
    for ood in ood_classes:
        told += _memorized(table, scores, train_classes, ood, labels)
        turn = turn_of(table, ood)
        if turn is not None:
            told.append(Finding("turn", turn_sentence(turn, ood)))
            told.append(_change_points(table, train_classes, training or {}, turn))
        told += _order(table, ood)
        naive = emergence.find_emergence(table, ood)
        told.append(Finding("emergence", _naive_sentence(naive, ood)))
        told += _elicited(table, scores, ood, naive, turn)
    return [Finding(t.topic, t.text[0].upper() + t.text[1:] + ".") for t in told]


def turn_of(table: pd.DataFrame, ood_class: str) -> Turn | None:
    """The turn of the naive trajectory; None with one concept or too few checkpoints."""
    naive = table[(table["protocol"] == NAIVE) & (table["concept"] != JOINT)]
    if naive["step"].nunique() < FEWEST_FOR_TURN or naive["concept"].nunique() < 2:
        return None
    return find_turn(naive, ood_class)


def turn_sentence(turn: Turn, ood_class: str) -> str:
    """The detector's result in words."""
    if not turn.detected:
        return (
            f"no turn of the trajectory of {ood_class} was detected (p = {turn.p_value:.2f}, "
            f"depth {turn.depth:.2f} of its length)"
        )
    low, high = turn.step_interval
    return (
        f"the trajectory of {ood_class} turns by {turn.angle:.0f}° at step {turn.step:g} "
        f"(95 % interval {low:g} to {high:g}, p = {turn.p_value:.3f})"
    )


def best_settings(table: pd.DataFrame, scores: pd.DataFrame) -> pd.DataFrame:
    """For every checkpoint and protocol the rows of its best setting, as the paper reports it.

    The joint rows have a further column ``honest``: the joint accuracy of a setting chosen on one
    half of the images and scored on the other.
    """
    best = selection.best_of_sweep(scores).rename(columns={"best_setting": "setting"})
    keys = ["run", "seed", "step", "protocol", "concept_class"]
    rows = table.merge(best[[*keys, "setting", "honest"]], on=[*keys, "setting"])
    return rows.assign(setting=BEST)


def honest_emergence(best: pd.DataFrame, ood_class: str, protocol: str) -> list[Emergence]:
    """Emergence by the joint accuracy of settings chosen on other images."""
    fair = best.assign(accuracy=best["honest"])
    return emergence.find_emergence(fair, ood_class, protocol)


def _in_distribution(table: pd.DataFrame, classes: Sequence[str]) -> Finding:
    rows = table[(table["protocol"] == NAIVE) & (table["concept"] == JOINT)]
    last = rows[rows["step"] == rows.groupby("seed")["step"].transform("max")]
    ends = {c: last[last["concept_class"] == c]["accuracy"] for c in classes}
    told = ", ".join(f"{values.mean():.2f} on {name}" for name, values in ends.items())
    learned = sum(bool((values >= IN_DISTRIBUTION).all()) for values in ends.values())
    seeds = last["seed"].nunique()
    plural = f"means of {seeds} seeds" if seeds > 1 else "1 seed"
    return Finding(
        "in-distribution",
        f"training classes end with a joint accuracy of {told} ({plural}); {learned} of "
        f"{len(classes)} are at {IN_DISTRIBUTION:g} or above in every seed",
    )


def _memorized(
    table: pd.DataFrame,
    scores: pd.DataFrame,
    train: Sequence[str],
    ood: str,
    labels: Mapping[str, str],
) -> list[Finding]:
    naive = scores[scores["protocol"] == NAIVE]
    memorized = memorization.memorization(table, train, ood, scores=naive)
    found = [e for e in memorization.episodes(memorized) if e.mistaken_for]
    seeds = memorized["seed"].nunique()
    if not found:
        text = f"{ood} was not taken for a training class in any of {seeds} seeds"
        return [Finding("memorization", text)]
    names = pd.Series([e.mistaken_for for e in found]).value_counts()
    name = str(names.index[0])
    first, last = (np.median([getattr(e, k) for e in found]) for k in ("first", "last"))
    strength = np.mean([e.strength for e in found])
    text = (
        f"{ood} ({labels[ood]}) is first taken for a training class in {len(found)} of {seeds} "
        f"seeds, mostly for {name} ({labels[name]}, {names.iloc[0]} of {len(found)}), with a "
        f"probability of up to {strength:.2f}, from step {first:g} to step {last:g} (medians)"
    )
    lean = memorization.bias(table, ood, until=float(last))
    first_concept, second = concepts_of(table)[:2]
    sign = first_concept if lean.value > 0 else second
    spread = f", 95 % interval {lean.low:+.2f} to {lean.high:+.2f}" if lean.seeds > 1 else ""
    bias = (
        f"until then the trajectory leans towards {sign}: accuracy of {first_concept} less that "
        f"of {second} is {lean.value:+.2f} on average{spread}"
    )
    return [Finding("memorization", text), Finding("memorization", bias)]


def change_points(
    table: pd.DataFrame, train_classes: Sequence[str], training: Mapping[int, pd.DataFrame]
) -> dict[str, Kink]:
    """Changes of slope in the curves that one usually watches (paper App. C.1, Fig. 12).

    Tested are the diffusion loss, averaged between checkpoints, and the joint accuracy of each
    training class under naive prompting, as means over seeds. Curves with fewer than
    :data:`FEWEST_FOR_KINK` positive checkpoints are left out.
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
            log.groupby(pd.cut(log["step"], list(edges)), observed=True)["diffusion"].mean()
            for log in training.values()
        ]
        curves["loss"] = np.stack([log.to_numpy() for log in logs])
    for name in train_classes:
        rows = naive[naive["concept_class"] == name]
        wide = rows.pivot(index="seed", columns="step", values="accuracy").dropna(axis=1)
        if wide.shape[1] == len(steps):
            curves[f"accuracy of {name}"] = wide.to_numpy()
    return {name: detect_kink(steps, values) for name, values in curves.items()}


def _change_points(
    table: pd.DataFrame,
    train_classes: Sequence[str],
    training: Mapping[int, pd.DataFrame],
    turn: Turn,
) -> Finding:
    found = change_points(table, train_classes, training)
    if not found:
        return Finding("turn", "there are too few checkpoints to test the loss for a change point")
    told = [
        f"{name} at step {kink.step:g} ({kink.step_interval[0]:g} to {kink.step_interval[1]:g})"
        for name, kink in found.items()
        if kink.detected
    ]
    tested = "the loss" if "loss" in found else "the accuracies"
    if not told:
        return Finding(
            "turn",
            f"neither {tested} nor the in-distribution accuracies show a change of slope beyond a "
            f"smooth curve ({len(found)} curves tested)",
        )
    coincide = [
        name
        for name, kink in found.items()
        if kink.detected
        and kink.step_interval[0] <= turn.step_interval[1]
        and turn.step_interval[0] <= kink.step_interval[1]
    ]
    where = ", ".join(coincide) if coincide else "none of them"
    text = (
        f"of {len(found)} other curves, a change of slope was found in {len(told)}: {', '.join(told)}; "
        f"{where} within the interval of the turn"
    )
    return Finding("turn", text)


def _order(table: pd.DataFrame, ood: str) -> list[Finding]:
    concepts = [c for c in table["concept"].unique() if c != JOINT]
    told = []
    for concept in concepts:
        found = emergence.survival(emergence.find_emergence(table, ood, concept=concept))
        told.append((found.median, emergence.sentence(found, ood, concept=concept)))
    return [Finding("emergence", "; ".join(text for _, text in sorted(told)))]


def _naive_sentence(naive: list[Emergence], ood: str) -> str:
    text = emergence.sentence(emergence.survival(naive), ood)
    return f"under naive prompting, {text}"


def _elicited(
    table: pd.DataFrame,
    scores: pd.DataFrame,
    ood: str,
    naive: list[Emergence],
    turn: Turn | None,
) -> list[Finding]:
    others = [p for p in table["protocol"].unique() if p != NAIVE]
    if not others:
        return []
    best = best_settings(table, scores)
    told = []
    for protocol in others:
        if not len(best[(best["protocol"] == protocol) & (best["concept_class"] == ood)]):
            continue
        optimistic = emergence.find_emergence(best, ood, protocol)
        fair = honest_emergence(best, ood, protocol)
        text = emergence.sentence(emergence.survival(optimistic), ood)
        honest = emergence.sentence(emergence.survival(fair), ood)
        told.append(
            Finding(
                "elicitation",
                f"under {protocol}, {text} with the best setting of each checkpoint; with settings "
                f"chosen on one half of the images and scored on the other, {honest}",
            )
        )
        told.append(Finding("elicitation", _hidden(naive, fair, protocol)))
        told += _coincidence(fair, protocol, turn)
    told += _gap(best, ood, others)
    return told


def _hidden(naive: list[Emergence], elicited: list[Emergence], protocol: str) -> str:
    found = emergence.hidden(naive, elicited)
    if found.undefined == len(naive):
        return f"neither naive prompting nor {protocol} arrived, so no hidden time can be given"
    spread = ""
    if found.mean.seeds > 1:
        spread = f" (95 % interval {found.mean.low:+.0f} to {found.mean.high:+.0f})"
    kinds = ", ".join(
        f"{count} {kind}"
        for kind, count in (
            ("exact", found.exact),
            ("at least", found.at_least),
            ("at most", found.at_most),
            ("undefined", found.undefined),
        )
        if count
    )
    return (
        f"naive prompting arrives {found.mean.value:+.0f} steps after {protocol}{spread}, up to "
        f"step {found.horizon:g} ({kinds})"
    )


def _coincidence(elicited: list[Emergence], protocol: str, turn: Turn | None) -> list[Finding]:
    reached = [e.upper for e in elicited if e.reached]
    if turn is None or not turn.detected or len(reached) < len(elicited):
        return []
    found = statistics.mean(np.array(reached) - turn.step)
    spread = f", 95 % interval {found.low:+.0f} to {found.high:+.0f}" if found.seeds > 1 else ""
    text = f"{protocol} elicits {found.value:+.0f} steps after the turn (mean over seeds{spread})"
    return [Finding("elicitation", text)]


def _gap(best: pd.DataFrame, ood: str, protocols: Sequence[str]) -> list[Finding]:
    """At which checkpoints another protocol succeeds where naive prompting fails."""
    rows = best[(best["concept_class"] == ood) & (best["concept"] == JOINT)]
    wide = rows.pivot_table(index=["seed", "step"], columns="protocol", values="honest")
    present = [p for p in protocols if p in wide and "control" not in p]
    if not present:
        return []
    threshold = emergence.THRESHOLD
    hidden = (wide[present].max(axis=1) >= threshold) & (wide[NAIVE] < threshold)
    seeds = hidden.groupby("seed").any()
    text = (
        f"in {int(seeds.sum())} of {len(seeds)} seeds some other protocol makes {ood} with a joint "
        f"accuracy of {threshold:g} or more at a checkpoint where naive prompting does not"
    )
    if hidden.any():
        steps = sorted({int(step) for _, step in hidden[hidden].index})
        text += f" (steps {', '.join(map(str, steps))})"
    return [Finding("elicitation", text)]


def require_distinct_seeds(table: pd.DataFrame) -> None:
    """Raise ``UserError`` if two runs of one setting share a seed."""
    seeds = table[["run", "seed"]].drop_duplicates()["seed"]
    if seeds.duplicated().any():
        seed = int(seeds[seeds.duplicated()].iloc[0])
        raise UserError(f"two of the runs have the same config and the same seed {seed}")
