"""What other protocols, and controls, make of a class that naive prompting fails on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from conceptspace.analysis import emergence, selection, statistics
from conceptspace.analysis.emergence import Emergence
from conceptspace.analysis.sentences import Finding, arrival, delay, oriented
from conceptspace.analysis.turning import Turn
from conceptspace.tables import JOINT, NAIVE, READOUT

BEST = "best"
"""The setting of the rows that :func:`best_settings` returns."""


def best_settings(table: pd.DataFrame, scores: pd.DataFrame) -> pd.DataFrame:
    """For every checkpoint and protocol the rows of its best setting, as the paper reports it.

    The joint rows have a further column ``honest``: the joint accuracy of a setting chosen on one
    half of the images and scored on the other; and ``confirmed``, the same counting only images
    on which the analytic read-out finds the class too (missing where there is no read-out). Early
    images are unlike anything that the probe was trained on, so what the probe alone finds in them
    means little.
    """
    keys = ["run", "seed", "step", "protocol", "concept_class"]
    best = selection.best_of_sweep(scores).rename(columns={"best_setting": "setting"})
    rows = table.merge(best[[*keys, "setting", "honest"]], on=[*keys, "setting"])
    if READOUT in scores and scores[READOUT].notna().all():
        both = scores.assign(accuracy=scores["accuracy"] * scores[READOUT])
        strict = selection.best_of_sweep(both).rename(columns={"honest": "confirmed"})
        rows = rows.merge(strict[[*keys, "confirmed"]], on=keys)
    else:
        rows = rows.assign(confirmed=np.nan)
    return rows.assign(setting=BEST)


def honest_emergence(
    best: pd.DataFrame, ood_class: str, protocol: str, column: str = "honest"
) -> list[Emergence]:
    """Emergence by the joint accuracy of settings chosen on other images.

    ``column`` is "honest" (probe) or "confirmed" (probe and read-out).
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
        if best["confirmed"].notna().all():
            fair = honest_emergence(best, ood, protocol, "confirmed")
            naive = honest_emergence(best, ood, NAIVE, "confirmed")
            strict = arrival(emergence.survival(fair), "it")
            text += f"; counting only images that the read-out confirms, as from here on, {strict}"
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
        return f"naive prompting reaches {level} {delay(row['steps'], row['kind'])} {protocol}"
    bound = found.at_least and not (found.at_most or found.undefined) and found.mean.value > 0
    low, high = oriented(found.mean)
    later = delay(found.mean.value, "at least" if bound else "exact")
    text = f"naive prompting reaches {level} {later} {protocol}"
    text += f" (mean of {seeds} seeds, 95 % interval {low:.0f} to {high:.0f}"
    text += f", steps counted up to {found.horizon:g})"
    for count, who in (
        (found.at_least, f"only {protocol} arrives"),
        (found.at_most, "only naive prompting arrives"),
        (found.undefined, "neither arrives"),
    ):
        text += f"; in {count} of {seeds} seeds {who}" if count else ""
    return text


def _coincidence(elicited: list[Emergence], protocol: str, turn: Turn | None) -> list[Finding]:
    reached = [e.upper for e in elicited if e.reached]
    if turn is None or not turn.detected or len(reached) < len(elicited):
        return []
    found = statistics.mean(np.array(reached) - turn.step)
    text = f"under {protocol} it is there {delay(found.value, 'exact')} the turn"
    if found.seeds > 1:
        low, high = oriented(found)
        text += f" (mean of {found.seeds} seeds, 95 % interval {low:.0f} to {high:.0f})"
    return [Finding("elicitation", text)]


def _wide(best: pd.DataFrame, column: str = "honest") -> pd.DataFrame:
    """Honest joint accuracy, one row per seed and step, one column per protocol."""
    rows = best[best["concept"] == JOINT]
    return rows.pivot_table(index=["seed", "step"], columns="protocol", values=column)


def _control(best: pd.DataFrame, protocol: str) -> list[Finding]:
    """What a control reaches while the capability does not show under naive prompting."""
    wide = _wide(best)[[NAIVE, protocol]].dropna()
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
    wide = _wide(best)
    steps = sorted(wide.index.unique("step"))
    until = steps[max(1, len(steps) // 4) - 1]
    early = wide[wide.index.get_level_values("step") <= until].max()
    top, name = early.max(), early.idxmax()
    text = (
        f"control: in the first quarter of the checkpoints (up to step {until:g}) the best joint "
        f"accuracy of any protocol on {ood} is {top:.2f} ({name}, honest)"
    )
    if best["confirmed"].notna().all():
        confirmed = _wide(best, "confirmed")
        top = confirmed[confirmed.index.get_level_values("step") <= until].max().max()
        text += f", {top:.2f} where the read-out has to confirm it"
    if top < emergence.THRESHOLD:
        text += ": no protocol elicits what is not there yet"
    return [Finding("elicitation", text)]


def _gap(best: pd.DataFrame, ood: str, protocols: Sequence[str]) -> list[Finding]:
    """At which checkpoints another protocol succeeds where naive prompting fails."""
    if not protocols:
        return []
    level = f"{emergence.THRESHOLD:g}"
    text = (
        f"some other protocol makes {ood} with a joint accuracy of {level} or more (honest) where "
        f"naive prompting does not: {_where(_wide(best), protocols)}"
    )
    if best["confirmed"].notna().all():
        strict = _where(_wide(best, "confirmed"), protocols)
        text += f"; counting only images that the read-out confirms: {strict}"
    return [Finding("elicitation", text)]


def _where(wide: pd.DataFrame, protocols: Sequence[str]) -> str:
    """Where one of the protocols is above the threshold and naive prompting below."""
    level = emergence.THRESHOLD
    hidden = (wide[list(protocols)].max(axis=1) >= level) & (wide[NAIVE] < level)
    seeds = hidden.groupby("seed").any()
    at = sorted({int(step) for _, step in hidden[hidden].index})
    if not at:
        return "at no checkpoint"
    single = f"at step {at[0]}"
    text = single if len(at) == 1 else f"at {len(at)} checkpoints from step {at[0]} to {at[-1]}"
    return f"in {int(seeds.sum())} of {len(seeds)} seeds, {text}" if len(seeds) > 1 else text
