"""What a trajectory says, in sentences with numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from conceptspace.analysis import emergence, memorization, selection, statistics
from conceptspace.analysis.emergence import Emergence, Survival
from conceptspace.analysis.kinks import Kink, detect_kink
from conceptspace.analysis.statistics import Estimate
from conceptspace.analysis.trajectories import concepts_of
from conceptspace.analysis.turning import ALPHA, Turn, find_turn
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
        topic: "memorization", "turn", "loss", "emergence", "elicitation", "in-distribution",
            "underspecification" or "probe".
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
    best = best_settings(table, scores) if table["protocol"].nunique() > 1 else None
    for ood in ood_classes:
        turn = turn_of(table, ood)
        told += _memorized(table, scores, train_classes, ood, labels, turn)
        if turn is not None:
            told.append(Finding("turn", turn_sentence(turn, ood)))
            told.append(_change_points(table, train_classes, training or {}, turn))
        told += _order(table, ood)
        naive = emergence.find_emergence(table, ood)
        arrives = arrival(emergence.survival(naive), f"joint accuracy on {ood}")
        told.append(Finding("emergence", f"under naive prompting, {arrives}"))
        if best is not None and (best["concept_class"] == ood).any():
            told += _elicited(table, best[best["concept_class"] == ood], ood, naive, turn)
    return [Finding(t.topic, t.text[0].upper() + t.text[1:] + ".") for t in told]


def arrival(found: Survival, what: str, threshold: float = emergence.THRESHOLD) -> str:
    """When the threshold is reached, in words; one seed has no interval and is not counted."""
    missing = found.seeds - found.reached
    share = f" in {missing} of {found.seeds} seeds" if found.seeds > 1 else ""
    late = f"by step {found.last:g}{share}"
    if found.pending:
        who = f"{found.pending} of them {'is' if found.pending == 1 else 'are'}"
        who = who if found.seeds > 1 else "it is"
        late += f" ({who} there at the end, but for fewer than {emergence.HOLD} checkpoints)"
    if not np.isfinite(found.median):
        return f"{what} does not reach {threshold:g} {late}"
    low, high = found.interval
    spread = ""
    if found.seeds > 1:
        limits = f"{low:.0f} to {high:.0f}" if np.isfinite(high) else f"{low:.0f} to beyond the end"
        spread = f", 95 % interval {limits}" if np.isfinite(low) else ""
        spread = f" (median of {found.seeds} seeds{spread})"
    text = f"{what} reaches {threshold:g} at step {found.median:.0f}{spread}"
    return f"{text}, but not {late}" if missing else text


def turn_of(table: pd.DataFrame, ood_class: str) -> Turn | None:
    """The turn of the naive trajectory; None with one concept or too few checkpoints."""
    naive = table[(table["protocol"] == NAIVE) & (table["concept"] != JOINT)]
    if naive["step"].nunique() < FEWEST_FOR_TURN or naive["concept"].nunique() < 2:
        return None
    return find_turn(naive, ood_class)


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
    means, every = (f" (means of {seeds} seeds)", " in every seed") if seeds > 1 else ("", "")
    be = "is" if learned == 1 else "are"
    return Finding(
        "in-distribution",
        f"training classes end with a joint accuracy of {told}{means}; {learned} of "
        f"{len(classes)} {be} at {IN_DISTRIBUTION:g} or above{every}",
    )


def _memorized(
    table: pd.DataFrame,
    scores: pd.DataFrame,
    train: Sequence[str],
    ood: str,
    labels: Mapping[str, str],
    turn: Turn | None,
) -> list[Finding]:
    naive = scores[scores["protocol"] == NAIVE]
    memorized = memorization.memorization(table, train, ood, scores=naive)
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
    low, high = _oriented(lean)
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
    return [Finding("emergence", "; ".join(text for _, text in sorted(told)))]


def _elicited(
    table: pd.DataFrame,
    best: pd.DataFrame,
    ood: str,
    naive: list[Emergence],
    turn: Turn | None,
) -> list[Finding]:
    """What other protocols, and controls, make of an OOD class; ``best`` has its rows alone."""
    present = [p for p in best["protocol"].unique() if p != NAIVE]
    told = []
    for protocol in present:
        if is_control(protocol):
            told += _control(best, protocol)
            continue
        fair = honest_emergence(best, ood, protocol)
        honest = arrival(emergence.survival(fair), f"joint accuracy on {ood}")
        text = f"under {protocol}, {honest}"
        if table[table["protocol"] == protocol]["setting"].nunique() > 1:
            optimistic = emergence.survival(emergence.find_emergence(best, ood, protocol))
            text += (
                ", with settings chosen on one half of the images and scored on the other; with "
                f"the best setting of each checkpoint, {arrival(optimistic, 'it')}"
            )
        told.append(Finding("elicitation", text))
        same = {run.seed for run in fair}
        told.append(
            Finding("elicitation", _hidden([r for r in naive if r.seed in same], fair, protocol))
        )
        told += _coincidence(fair, protocol, turn)
    return told + _gap(best, ood, [p for p in present if not is_control(p)]) + _first(best, ood)


def is_control(protocol: str) -> bool:
    """Whether a protocol elicits nothing by design, told by its name."""
    return "control" in protocol


def _hidden(naive: list[Emergence], elicited: list[Emergence], protocol: str) -> str:
    """For how long naive prompting hides what a protocol elicits."""
    found = emergence.hidden(naive, elicited)
    seeds, level = len(naive), f"{emergence.THRESHOLD:g}"
    if found.undefined == seeds:
        return f"neither naive prompting nor {protocol} reaches {level} by step {found.horizon:g}"
    if seeds == 1:
        row = found.differences.iloc[0]
        return f"naive prompting reaches {level} {_delay(row['steps'], row['kind'])} {protocol}"
    bound = found.at_least and not (found.at_most or found.undefined) and found.mean.value > 0
    low, high = _oriented(found.mean)
    delay = _delay(found.mean.value, "at least" if bound else "exact")
    text = f"naive prompting reaches {level} {delay} {protocol}"
    text += f" (mean of {seeds} seeds, 95 % interval {low:.0f} to {high:.0f}"
    text += f", steps counted up to {found.horizon:g})"
    for count, who in (
        (found.at_least, f"only {protocol} arrives"),
        (found.at_most, "only naive prompting arrives"),
        (found.undefined, "neither arrives"),
    ):
        text += f"; in {count} of {seeds} seeds {who}" if count else ""
    return text


def _delay(steps: float, kind: str) -> str:
    """In words, e.g. "at least 500 steps after"; at least -500 after is at most 500 before."""
    if steps == 0:
        return {"exact": "at the same step as", "at least": "no earlier than"}.get(
            kind, "no later than"
        )
    bound = {"exact": "", "at least": "at least ", "at most": "at most "}[kind]
    if steps < 0:
        bound = {"at least ": "at most ", "at most ": "at least "}.get(bound, "")
    return f"{bound}{abs(steps):.0f} steps {'before' if steps < 0 else 'after'}"


def _oriented(found: Estimate) -> tuple[float, float]:
    """The interval of the absolute value that is told, whatever the sign of the estimate."""
    sign = -1 if found.value < 0 else 1
    low, high = sorted((sign * found.low, sign * found.high))
    return low, high


def _coincidence(elicited: list[Emergence], protocol: str, turn: Turn | None) -> list[Finding]:
    reached = [e.upper for e in elicited if e.reached]
    if turn is None or not turn.detected or len(reached) < len(elicited):
        return []
    found = statistics.mean(np.array(reached) - turn.step)
    text = f"under {protocol} it is there {_delay(found.value, 'exact')} the turn"
    if found.seeds > 1:
        low, high = _oriented(found)
        text += f" (mean of {found.seeds} seeds, 95 % interval {low:.0f} to {high:.0f})"
    return [Finding("elicitation", text)]


def _honest(best: pd.DataFrame) -> pd.DataFrame:
    """Honest joint accuracy, one row per seed and step, one column per protocol."""
    rows = best[best["concept"] == JOINT]
    return rows.pivot_table(index=["seed", "step"], columns="protocol", values="honest")


def _control(best: pd.DataFrame, protocol: str) -> list[Finding]:
    """What a control reaches while the capability does not show under naive prompting."""
    wide = _honest(best)[[NAIVE, protocol]].dropna()
    hidden = wide[wide[NAIVE] < emergence.THRESHOLD]
    if hidden.empty:
        return []
    top, reached = hidden[protocol].max(), int((hidden[protocol] >= emergence.THRESHOLD).sum())
    directions = "shuffled directions of the same norm"
    subject = f"{directions} ({protocol})" if protocol.startswith("latent") else protocol
    text = (
        f"control: where naive prompting is below {emergence.THRESHOLD:g}, {subject} "
        f"{'reach' if protocol.startswith('latent') else 'reaches'} a joint accuracy of at most "
        f"{top:.2f} (honest)"
    )
    if reached:
        return [
            Finding(
                "elicitation",
                f"{text}, at {emergence.THRESHOLD:g} or above at {reached} of "
                f"{len(hidden)} checkpoints: sweeping alone explains that much",
            )
        ]
    return [Finding("elicitation", f"{text}: sweeping alone does not elicit it")]


def _first(best: pd.DataFrame, ood: str) -> list[Finding]:
    """What any protocol reaches on the first quarter of the checkpoints."""
    wide = _honest(best)
    steps = sorted(wide.index.unique("step"))
    until = steps[max(1, len(steps) // 4) - 1]
    early = wide[wide.index.get_level_values("step") <= until].max()
    top, name = early.max(), early.idxmax()
    text = (
        f"control: in the first quarter of the checkpoints (up to step {until:g}) the best joint "
        f"accuracy of any protocol on {ood} is {top:.2f} ({name}, honest)"
    )
    if top < emergence.THRESHOLD:
        text += ": no protocol elicits what is not there yet"
    return [Finding("elicitation", text)]


def _gap(best: pd.DataFrame, ood: str, protocols: Sequence[str]) -> list[Finding]:
    """At which checkpoints another protocol succeeds where naive prompting fails."""
    if not protocols:
        return []
    wide, level = _honest(best), emergence.THRESHOLD
    hidden = (wide[list(protocols)].max(axis=1) >= level) & (wide[NAIVE] < level)
    seeds = hidden.groupby("seed").any()
    at = sorted({int(step) for _, step in hidden[hidden].index})
    some = f"some other protocol makes {ood} with a joint accuracy of {level:g} or more (honest)"
    if not at:
        text = f"where naive prompting fails on {ood}, no other protocol reaches {level:g} (honest)"
        return [Finding("elicitation", text)]
    where = (
        f"at step {at[0]}"
        if len(at) == 1
        else f"at {len(at)} checkpoints from step {at[0]} to {at[-1]}"
    )
    who = f"in {int(seeds.sum())} of {len(seeds)} seeds " if len(seeds) > 1 else ""
    text = f"{who}{some} where naive prompting does not ({where})"
    return [Finding("elicitation", text)]


def require_distinct_seeds(table: pd.DataFrame) -> None:
    """Raise ``UserError`` if two runs of one setting share a seed."""
    seeds = table[["run", "seed"]].drop_duplicates()["seed"]
    if seeds.duplicated().any():
        seed = int(seeds[seeds.duplicated()].iloc[0])
        raise UserError(f"two of the runs have the same config and the same seed {seed}")
