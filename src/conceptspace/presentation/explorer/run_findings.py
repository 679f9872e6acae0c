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
from conceptspace.analysis.verdict import leading
from conceptspace.errors import UserError
from conceptspace.presentation.drawing import keeps_log
from conceptspace.presentation.explorer.downloads import joined
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
        judged: the numbers behind its verdict, see :func:`judged.judged`; empty without a verdict.
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
        First, under no name, the findings of all runs together, if there are any.

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


def findings_payload(
    settings: Sequence[SettingFindings], figure: Callable[[Finding], str] = lambda _: ""
) -> Tree:
    """The findings of runs, for the page.

    ``{"findings": [see :func:`finding_payload`], "groups": [{"name": a setting in words or empty,
    "runs": [names], "judged": [see :func:`~conceptspace.presentation.explorer.judged.judged`]}]}``
    """
    return {
        "findings": [
            finding_payload(f, setting.name, figure(f))
            for setting in settings
            for f in setting.findings
        ],
        "groups": [
            {"name": setting.name, "runs": list(setting.runs), "judged": list(setting.judged)}
            for setting in settings
            if setting.runs
        ],
    }


def finding_payload(finding: Finding, group: str, figure: str = "") -> Tree:
    """``{"topic", "text", "group", "figure"}``; the group is a setting in words or empty."""
    return {"topic": finding.topic, "text": finding.text, "group": group, "figure": figure}


def verdict(run: Run) -> list[str]:
    """Whether one run hides a capability, in sentences; none where no class is held out.

    Raises:
        UserError: the run has not been evaluated, or a table is damaged.
    """
    space, table = world_of(run).space, run.trajectory()
    if not space.ood_classes:
        return []
    best = best_of([run], table, single_scores([run]))
    labels = {str(c): space.describe(c) for c in space.ood_classes}
    return verdict_of(table, best, [*labels], labels)


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
        text = "No scores of single images were kept, so there are no findings on other protocols."
        own.append(Finding("elicitation", text))
    every = own + _probe(runs) + _data(runs)
    shown = {}
    if best is not None and space.ood_classes:
        shown = judged(best, leading(best, space.ood_classes))
    return SettingFindings(name, [run.name for run in runs], every, [shown] if shown else [])


def best_of(
    runs: Sequence[Run], table: pd.DataFrame, scores: pd.DataFrame | None
) -> pd.DataFrame | None:
    """The best settings of runs, see :func:`conceptspace.analysis.elicitation.best_settings`.

    None where only plain prompting was tried, or a run keeps neither the scores of its images nor
    the best settings that were found in them.
    """
    if table["protocol"].nunique() < 2:
        return None
    if scores is not None:
        return best_settings(table, scores)
    found = [best for run in runs if (best := run.kept_best()) is not None]
    return pd.concat(found, ignore_index=True) if len(found) == len(runs) else None


def trajectories(runs: Sequence[Run]) -> pd.DataFrame:
    """The trajectories of runs of one setting, under the names that they have on the page."""
    table = joined(runs)
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
            found[str(name)] = turn_payload(turn, turn_sentence(turn, name))
    return found


def turn_payload(turn: Turn, text: str) -> Tree:
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
    information = [checked_information(run) for run in runs]
    held_out = [each.get("probe", {}).get("accuracy", {}) for each in information]
    same = [each.get("probe_agreement", {}) for each in information]
    lowest = " (the lowest of all runs)" if len(runs) > 1 else ""
    parts = []
    if all(held_out):
        parts.append(f"the probe is right on held-out images in {_lowest(held_out)}")
    second = [each.get("judge", {}) for each in information]
    two = all(isinstance(judge, dict) and judge.get("agreement") for judge in second)
    if all(same) and not two:
        parts.append(f"on valid generated images it agrees with the judge in {_lowest(same)}")
    if not parts:
        return []
    text = " of cases; ".join(parts) + " of cases" + lowest
    found = [Finding("probe", text[0].upper() + text[1:] + ".")]
    return found + ([_two_probes(second, same, lowest)] if two and all(same) else [])


def _two_probes(judges: Sequence[Tree], same: Sequence[Tree], lowest: str) -> Finding:
    """Where no read-out exists: how two probes judge instead, and how far they agree."""
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
    """Which images the runs trained on, where these were not rendered."""
    each = [checked_information(run).get("data") for run in runs]
    by_digest = {data["digest"]: data for data in each if data}
    return [Finding("data", _data_sentence(data)) for data in by_digest.values()]


def checked_information(run: Run) -> Tree:
    """The content of ``run.json``, if what it says of probe, judge and data is complete.

    Raises:
        UserError: the file is damaged, or a part is missing or of another type.
    """
    information = run.information()
    try:
        _lowest([information.get("probe", {}).get("accuracy", {})])
        _lowest([information.get("probe_agreement", {})])
        if isinstance(judge := information.get("judge"), dict) and judge.get("agreement"):
            _two_probes([judge], [judge["agreement"]], "")
        if information.get("data"):
            _data_sentence(information["data"])
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        path = run.folder.information
        raise UserError(
            f"{path} is damaged: what it says of the probe or the data makes no sense ({error})"
        ) from None
    return information


OWN_DATA = "data of one's own"
"""How images are called of which ``run.json`` says nothing else."""


def _data_sentence(data: Tree) -> str:
    """Which images, how many, how large, and their SHA-256."""
    if "attributes" not in data:
        images = ", ".join(f"{name}: {count}" for name, count in data["images"].items())
        what = data.get("what", OWN_DATA)
        return (
            f"The images are {what}, {data['resolution']}×{data['resolution']} pixels "
            f"({images}); SHA-256: {data['digest'][:16]}…"
        )
    available = ", ".join(f"{name}: {count}" for name, count in data["available"].items())
    return (
        f"The images are {data['per_class']} of each class from {data['root']}, scaled to "
        f"{data['resolution']}×{data['resolution']}, with the attributes "
        f"{' and '.join(data['attributes'])}; the folder lists {data['images']} "
        f"({available}); SHA-256 of the files used: {data['digest'][:16]}…"
    )


def _lowest(shares: Sequence[Tree]) -> str:
    """Of each concept the smallest of some shares, in words."""
    least = {name: min(of_run[name] for of_run in shares) for name in shares[0]}
    return " and ".join(f"{100 * value:.1f} % ({name})" for name, value in least.items())
