"""What other protocols, and controls, make of a class that naive prompting fails on."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd

from conceptspace.analysis import emergence, intervals, selection
from conceptspace.analysis.emergence import Emergence
from conceptspace.analysis.sentences import Finding, arrival, delay, oriented
from conceptspace.analysis.steps import digits, from_to
from conceptspace.analysis.turning import Turn
from conceptspace.tables import JOINT, NAIVE, PROBE, TEACHING

BEST = "best"
"""The setting of the rows that :func:`best_settings` returns."""


def best_settings(table: pd.DataFrame, scores: pd.DataFrame) -> pd.DataFrame:
    """For every checkpoint and protocol the rows of its best setting by the judge.

    The joint rows have a further column ``honest``: the joint accuracy of a setting chosen on one
    half of the images and scored on the other. Their ``probe`` is that of the setting that is best
    by the plain probe, which is what the paper reports; missing in tables without it.
    """
    keys = ["run", "seed", "step", "protocol", "concept_class"]
    best = selection.best_of_sweep(scores).rename(columns={"best_setting": "setting"})
    rows = table.merge(best[[*keys, "setting", "honest"]], on=[*keys, "setting"])
    joint = table[table["concept"] == JOINT].reindex(columns=[*keys, PROBE])
    highest = joint.groupby(keys)[PROBE].max().reset_index()
    rows = rows.drop(columns=PROBE, errors="ignore").merge(highest, on=keys)
    return rows.assign(setting=BEST)


def honest_emergence(
    best: pd.DataFrame, ood_class: str, protocol: str, column: str = "honest"
) -> list[Emergence]:
    """Emergence by the joint accuracy of settings chosen on other images.

    ``column`` is "honest" (judge, settings chosen on other images), or "probe" (plain probe, best
    of the sweep).
    """
    fair = best.assign(accuracy=best[column])
    return emergence.find_emergence(fair, ood_class, protocol)


def elicitation(
    table: pd.DataFrame,
    best: pd.DataFrame,
    ood: str,
    naive: list[Emergence],
    turn: Turn | None,
) -> list[Finding]:
    """Findings on what other protocols and controls make when asked for an OOD class.

    ``best`` has the rows of the other classes, too: nothing emerges before they are ready.
    """
    rows = best[best["concept_class"] == ood]
    asked = [protocol for protocol in rows["protocol"].unique() if protocol != NAIVE]
    present = sorted(asked, key=lambda protocol: (is_control(protocol), teaches(protocol)))
    reported = _gap(rows, ood, [p for p in present if elicits(p)])
    for protocol in present:
        fair = honest_emergence(best, ood, protocol)
        honest = arrival(emergence.survival(fair), f"joint accuracy on {ood}")
        text = f"{kind(protocol)}under {protocol}, {honest}"
        if table[table["protocol"] == protocol]["setting"].nunique() > 1:
            text += ", with settings chosen on one half of the images and scored on the other"
        if rows[PROBE].notna().all():
            plain = emergence.survival(honest_emergence(best, ood, protocol, PROBE))
            text += f"; by the plain probe, best of the sweep, {arrival(plain, 'it')}"
        reported.append(Finding("elicitation" if elicits(protocol) else "control", text))
        same = [r for r in naive if r.seed in {run.seed for run in fair}]
        later = behind(same, fair, "naive prompting", protocol)
        reported.append(Finding("emergence" if elicits(protocol) else "control", later))
        if elicits(protocol):
            reported += _coincidence(fair, protocol, turn)
    return reported + _first(rows, ood)


def is_control(protocol: str) -> bool:
    """Whether a protocol changes the model without a concept in mind, seen by its name.

    One of its words is "control" or "controls", in capitals or not, as in ``latent-control-random``
    and ``randomControl``, not in ``controlnet``.
    """
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", protocol).lower()
    return re.search(r"(?<![^\W_])controls?[0-9]*(?![^\W_])", words) is not None


def teaches(protocol: str) -> bool:
    """Whether a protocol shows the model the very class that it asks for, seen by its name."""
    return protocol.startswith(TEACHING)


def elicits(protocol: str) -> bool:
    """Whether what the model makes under a protocol counts as a capability that it has already."""
    return not is_control(protocol) and not teaches(protocol)


def kind(protocol: str) -> str:
    """How a sentence about a protocol begins that does not elicit; empty for one that does."""
    if is_control(protocol):
        return "control: "
    return "after teaching the class itself: " if teaches(protocol) else ""


def behind(
    late: list[Emergence],
    early: list[Emergence],
    late_name: str,
    early_name: str,
    threshold: float = emergence.THRESHOLD,
) -> str:
    """How much later one thing emerges than another, e.g. naive prompting than a protocol.

    Args:
        late: one for each seed.
        early: one for each of the same seeds.
        late_name: what reaches the threshold later, in words.
        early_name: what reaches it earlier, in words.
        threshold: that both are to reach.
    """
    found = emergence.hidden_for(late, early)
    seeds, level = len(late), f"{threshold:g}"
    if found.undefined == seeds:
        return (
            f"neither {late_name} nor {early_name} reaches {level} by step {digits(found.horizon)}"
        )
    if seeds == 1:
        row = found.differences.iloc[0]
        return f"{late_name} reaches {level} {delay(row['steps'], row['kind'])} {early_name}"
    bound = found.at_least and not (found.at_most or found.undefined) and found.mean.value > 0
    low, high = oriented(found.mean)
    later = delay(found.mean.value, "at least" if bound else "exact")
    text = f"{late_name} reaches {level} {later} {early_name}"
    text += f" (mean of {seeds} seeds, {found.mean.kind} {low:.0f} to {high:.0f}"
    text += f", steps counted up to {digits(found.horizon)})"
    for count, who in (
        (found.at_least, f"only {early_name} arrives"),
        (found.at_most, f"only {late_name} arrives"),
        (found.undefined, "neither arrives"),
    ):
        text += f"; in {count} of {seeds} seeds {who}" if count else ""
    return text


def _coincidence(elicited: list[Emergence], protocol: str, turn: Turn | None) -> list[Finding]:
    reached = [e.upper for e in elicited if e.reached]
    if turn is None or not turn.detected or len(reached) < len(elicited):
        return []
    found = intervals.mean(np.array(reached) - turn.step)
    text = f"under {protocol} it is there {delay(found.value, 'exact')} the turn"
    if found.seeds > 1:
        low, high = oriented(found)
        text += f" (mean of {found.seeds} seeds, {found.kind} {low:.0f} to {high:.0f})"
    return [Finding("elicitation", text)]


def _wide(best: pd.DataFrame) -> pd.DataFrame:
    """Honest joint accuracy, one row per seed and step, one column per protocol."""
    rows = best[best["concept"] == JOINT]
    return rows.pivot_table(index=["seed", "step"], columns="protocol", values="honest")


def _first(best: pd.DataFrame, ood: str) -> list[Finding]:
    """What any protocol reaches on the first quarter of the checkpoints."""
    wide = _wide(best)
    steps = sorted(wide.index.unique("step"))
    until = steps[max(1, len(steps) // 4) - 1]
    wide = wide[[protocol for protocol in wide if not teaches(str(protocol))]]
    early = wide[wide.index.get_level_values("step") <= until].max()
    top, name = early.max(), early.idxmax()
    text = (
        f"control: in the first quarter of the checkpoints (up to step {digits(float(until))}) the "
        f"best joint accuracy of any protocol on {ood} is {top:.2f} ({name}, honest)"
    )
    if top < emergence.THRESHOLD:
        text += ": no protocol elicits what is not there yet"
    return [Finding("control", text)]


def _gap(best: pd.DataFrame, ood: str, protocols: Sequence[str]) -> list[Finding]:
    """At which checkpoints another protocol succeeds where naive prompting fails."""
    if not protocols:
        return []
    level = f"{emergence.THRESHOLD:g}"
    text = (
        f"some other protocol makes {ood} with a joint accuracy of {level} or more (honest) where "
        f"naive prompting stays below that: {_where(_wide(best), protocols)}"
    )
    return [Finding("elicitation", text)]


def _where(wide: pd.DataFrame, protocols: Sequence[str]) -> str:
    """Where one of the protocols is above the threshold and naive prompting below."""
    level = emergence.THRESHOLD
    hidden = (wide[list(protocols)].max(axis=1) >= level) & (wide[NAIVE] < level)
    counts = hidden.groupby("seed").sum()
    at = sorted({int(step) for _, step in hidden[hidden].index})
    if not at:
        return "at no checkpoint"
    among = int(wide.index.unique("step").to_series().between(at[0], at[-1]).sum())
    several = [int(count) for count in counts[counts > 0]]
    seeds = f"in {len(several)} of {len(counts)} seeds, " if len(counts) > 1 else ""
    if len(at) == 1:
        return f"{seeds}at step {at[0]}"
    each = "all" if min(several) == among else f"{from_to(several)} of the"
    return f"{seeds}at {each} {among} checkpoints from step {at[0]} to {at[-1]}"
