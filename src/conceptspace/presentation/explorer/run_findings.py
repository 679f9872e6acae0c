"""What runs say together: findings in sentences, their numbers, where their trajectories turn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from conceptspace.analysis.elicitation import best_settings
from conceptspace.analysis.findings import (
    findings,
    require_distinct_seeds,
    turn_of,
    turn_sentence,
    verdict_of,
)
from conceptspace.analysis.sentences import Finding
from conceptspace.analysis.turning import Turn
from conceptspace.errors import UserError
from conceptspace.presentation.drawing import keeps_log
from conceptspace.presentation.explorer.judged import judged
from conceptspace.presentation.sweep import (
    Sweep,
    conditions,
    effect_findings,
    masking_effect,
)
from conceptspace.presentation.worlds import world_of
from conceptspace.store import Run

Tree = dict[str, Any]


@dataclass(frozen=True)
class SettingFindings:
    """What the runs of one setting say.

    Attributes:
        name: the setting in words; empty for all runs.
        runs: the names of its runs; empty where nothing but sentences compares settings.
        findings: in order.
        judged: what its verdict was told from, see :func:`judged.judged`; empty without.
    """

    name: str
    runs: Sequence[str]
    findings: list[Finding]
    judged: Sequence[Tree] = ()


def findings_by_setting(runs: Sequence[Run]) -> list[SettingFindings]:
    """The findings of runs: of each setting on its own, and of the masked share if that differs.

    Args:
        runs: evaluated; under names that no two of them share.

    Returns:
        First, under no name, what is told of all runs.

    Raises:
        UserError: a run has no trajectory, or two have the same setting and seed.
    """
    found = conditions(runs)
    tables = {value: trajectories(group) for value, group in found.groups.items()}
    if not found.setting:
        (group,), (table,) = found.groups.values(), tables.values()
        return [_of_group("", group, table)]
    space = world_of(runs[0]).space
    every = effect_findings(masking_effect(found, tables, space)) + _incomparable(found)
    named = [_of_group(found.name(v), g, tables[v]) for v, g in found.groups.items()]
    return [SettingFindings("", (), every), *named] if every else named


def answered(
    told: Sequence[SettingFindings], figure: Callable[[Finding], str] = lambda _: ""
) -> Tree:
    """What runs say, for the page.

    ``{"findings": [see :func:`finding_tree`], "groups": [{"name": a setting in words or empty,
    "runs": [names], "judged": [see :func:`~conceptspace.presentation.explorer.judged.judged`]}]}``
    """
    return {
        "findings": [finding_tree(f, of.name, figure(f)) for of in told for f in of.findings],
        "groups": [
            {"name": of.name, "runs": list(of.runs), "judged": list(of.judged)}
            for of in told
            if of.runs
        ],
    }


def finding_tree(finding: Finding, group: str, figure: str = "") -> Tree:
    """``{"topic", "text", "group", "figure"}``; the group is a setting in words or empty."""
    return {"topic": finding.topic, "text": finding.text, "group": group, "figure": figure}


def verdict(run: Run) -> list[str]:
    """Whether one run hides a capability, in sentences; none where no class is held out.

    Raises:
        UserError: the run has not been evaluated, or a table is damaged.
    """
    space, table = world_of(run).space, run.trajectory().assign(run=run.name)
    if not space.ood_classes:
        return []
    best = best_of([run], table, single_scores([run]))
    ood = space.ood_classes[0]
    return verdict_of(table, best, str(ood), space.describe(ood))


def _of_group(name: str, runs: Sequence[Run], table: pd.DataFrame) -> SettingFindings:
    """The findings of runs that differ in their seed alone."""
    space = world_of(runs[0]).space
    words = {str(c): space.describe(c) for c in space.classes}
    logs = {run.description.seed: run.training() for run in runs if keeps_log(run)}
    scores = single_scores(runs)
    classes = space.train_classes, space.ood_classes
    best = best_of(runs, table, scores)
    own = findings(table, scores, *classes, words, logs, space.names, best)
    if best is None and table["protocol"].nunique() > 1:
        text = "No scores of single images were kept, so nothing is told of other protocols."
        own.append(Finding("elicitation", text))
    every = own + _probe(runs) + _data(runs)
    shown = [judged(best, str(c)) for c in space.ood_classes[:1] if best is not None]
    return SettingFindings(
        name, [run.name for run in runs], every, [each for each in shown if each]
    )


def best_of(
    runs: Sequence[Run], table: pd.DataFrame, scores: pd.DataFrame | None
) -> pd.DataFrame | None:
    """The best settings of runs, see :func:`conceptspace.analysis.elicitation.best_settings`.

    None where only plain prompting was tried, or a run keeps neither scores nor what was found in
    them.
    """
    if table["protocol"].nunique() < 2:
        return None
    if scores is not None:
        return best_settings(table, scores)
    kept = {run.name: run.kept_best() for run in runs}
    found = [best.assign(run=name) for name, best in kept.items() if best is not None]
    return pd.concat(found, ignore_index=True) if len(found) == len(kept) else None


def trajectories(runs: Sequence[Run]) -> pd.DataFrame:
    """The trajectories of runs of one setting, under the names that they have on the page."""
    table = pd.concat([run.trajectory().assign(run=run.name) for run in runs], ignore_index=True)
    require_distinct_seeds(table)
    return table


def single_scores(runs: Sequence[Run]) -> pd.DataFrame | None:
    """The scores of single images, None if a run does not keep them."""
    if not all(run.folder.all_scores() for run in runs):
        return None
    return pd.concat([run.scores().assign(run=run.name) for run in runs], ignore_index=True)


def turns_of_classes(runs: Sequence[Run]) -> Tree:
    """Where the mean naive trajectory of each OOD class turns.

    ``{"11": {"detected": true, "step": 700, "low": 600, "high": 800, "text": "..."}}``; a class
    whose turn cannot be sought, with one concept or too few checkpoints, is left out.

    Args:
        runs: of one setting.
    """
    table = trajectories(runs)
    found: Tree = {}
    space = world_of(runs[0]).space
    for name in space.ood_classes:
        turn = turn_of(table, name, space.train_classes, space.names)
        if turn is not None:
            found[str(name)] = turned(turn, turn_sentence(turn, name))
    return found


def turned(turn: Turn, text: str) -> Tree:
    """A turn and its sentence for the page; see :func:`turns_of_classes`."""
    low, high = turn.step_interval
    return {
        "detected": turn.detected,
        "step": round(turn.step),
        "low": round(low),
        "high": round(high),
        "text": text[0].upper() + text[1:] + ".",
    }


def _incomparable(found: Sweep) -> list[Finding]:
    if found.comparable:
        return []
    text = f"The runs differ in {found.label}, so no sentence compares one setting with another."
    return [Finding("in-distribution", text)]


def _probe(runs: Sequence[Run]) -> list[Finding]:
    """How far the probe can be trusted; the lowest of several runs counts."""
    told = [known(run) for run in runs]
    held_out = [i.get("probe", {}).get("accuracy", {}) for i in told]
    same = [i.get("probe_agreement", {}) for i in told]
    lowest = " (the lowest of all runs)" if len(runs) > 1 else ""
    parts = []
    if all(held_out):
        parts.append(f"the probe is right on held-out images in {_lowest(held_out)}")
    second = [i.get("judge", {}) for i in told]
    two = all(isinstance(judge, dict) and judge.get("agreement") for judge in second)
    if all(same) and not two:
        parts.append(f"on valid generated images it agrees with the judge in {_lowest(same)}")
    if not parts:
        return []
    text = " of cases; ".join(parts) + " of cases" + lowest
    found = [Finding("probe", text[0].upper() + text[1:] + ".")]
    return found + ([_two_probes(second, same, lowest)] if two and all(same) else [])


def _two_probes(judges: Sequence[Tree], same: Sequence[Tree], lowest: str) -> Finding:
    """What decides where no read-out exists, and how far its two probes agree."""
    valid = min(judge["valid"] for judge in judges)
    foils = max(max(judge["foils"].values()) for judge in judges)
    real = _lowest([judge["agreement"] for judge in judges])
    return Finding(
        "probe",
        "No read-out exists, since nothing renders these images: valid is what a second probe of "
        "another architecture, trained apart, sees as the first does, and what is no further from "
        f"real images than {100 * judges[0]['share']:g} % of held-out ones are. The two find the "
        f"same value on held-out real images in {real} of cases, on generated ones in "
        f"{_lowest(same)}{lowest}. Of held-out real images {100 * valid:.1f} % are valid; of "
        f"images that show no object {foils:.2f} at most are taken for one class.",
    )


def _data(runs: Sequence[Run]) -> list[Finding]:
    """Which images were seen, where they were not rendered."""
    each = [known(run).get("data") for run in runs]
    seen = {told["digest"]: told for told in each if told}
    return [Finding("data", _seen(findings_by_setting)) for findings_by_setting in seen.values()]


def known(run: Run) -> Tree:
    """What ``run.json`` tells, if probe and data are told as a run does.

    Raises:
        UserError: it is damaged, or they are not.
    """
    told = run.information()
    try:
        _lowest([told.get("probe", {}).get("accuracy", {})])
        _lowest([told.get("probe_agreement", {})])
        if isinstance(judge := told.get("judge"), dict) and judge.get("agreement"):
            _two_probes([judge], [judge["agreement"]], "")
        if told.get("data"):
            _seen(told["data"])
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        path = run.folder.information
        raise UserError(
            f"{path} is damaged: of the probe or the data it tells nonsense ({error})"
        ) from None
    return told


OWN_DATA = "data of one's own"
"""What images are of which nothing else is told."""


def _seen(told: Tree) -> str:
    if "attributes" not in told:
        images = ", ".join(f"{name}: {count}" for name, count in told["images"].items())
        what = told.get("what", OWN_DATA)
        return (
            f"The images are {what}, {told['resolution']}×{told['resolution']} pixels "
            f"({images}); SHA-256: {told['digest'][:16]}…"
        )
    available = ", ".join(f"{name}: {count}" for name, count in told["available"].items())
    return (
        f"The images are {told['per_class']} of each class from {told['root']}, scaled to "
        f"{told['resolution']}×{told['resolution']}, with the attributes "
        f"{' and '.join(told['attributes'])}; the folder lists {told['images']} "
        f"({available}); SHA-256 of the files used: {told['digest'][:16]}…"
    )


def _lowest(shares: Sequence[Tree]) -> str:
    least = {name: min(of_run[name] for of_run in shares) for name in shares[0]}
    return " and ".join(f"{100 * value:.1f} % ({name})" for name, value in least.items())
