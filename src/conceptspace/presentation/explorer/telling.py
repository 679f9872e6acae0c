"""What runs say together: findings in sentences, and where their trajectories turn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from conceptspace.analysis.findings import findings, require_distinct_seeds, turn_of, turn_sentence
from conceptspace.analysis.sentences import Finding
from conceptspace.analysis.turning import Turn
from conceptspace.errors import UserError
from conceptspace.presentation.drawing import keeps_log
from conceptspace.presentation.sweep import (
    Sweep,
    conditions,
    effect_findings,
    masking_effect,
)
from conceptspace.presentation.worlds import world_of
from conceptspace.store import Run

Tree = dict[str, Any]


def told(runs: Sequence[Run]) -> list[tuple[str, list[Finding]]]:
    """The findings of runs: of each setting on its own, and of the masked share if that differs.

    Args:
        runs: evaluated; under names that no two of them share.

    Returns:
        Each setting in words with its findings; first, under no name, those of all runs.

    Raises:
        UserError: a run has no trajectory, or two have the same setting and seed.
    """
    found = conditions(runs)
    tables = {value: trajectories(group) for value, group in found.groups.items()}
    if not found.setting:
        (group,), (table,) = found.groups.values(), tables.values()
        return [("", of_group(group, table))]
    space = world_of(runs[0]).space
    every = effect_findings(masking_effect(found, tables, space)) + _incomparable(found)
    named = [(found.name(value), of_group(g, tables[value])) for value, g in found.groups.items()]
    return [("", every), *named] if every else named


def of_group(runs: Sequence[Run], table: pd.DataFrame) -> list[Finding]:
    """The findings of runs that differ in their seed alone."""
    space = world_of(runs[0]).space
    words = {str(c): space.describe(c) for c in space.classes}
    logs = {run.description.seed: run.training() for run in runs if keeps_log(run)}
    scores = single_scores(runs)
    classes = space.train_classes, space.ood_classes
    own = findings(table, scores, *classes, words, logs, space.names)
    if scores is None:
        text = "No scores of single images were kept, so nothing is told of other protocols."
        own.append(Finding("elicitation", text))
    return own + _probe(runs) + _data(runs)


def trajectories(runs: Sequence[Run]) -> pd.DataFrame:
    """The trajectories of runs of one setting, under the names that they have on the page."""
    table = pd.concat([run.trajectory().assign(run=run.name) for run in runs], ignore_index=True)
    require_distinct_seeds(table)
    return table


def single_scores(runs: Sequence[Run]) -> pd.DataFrame | None:
    """The scores of single images, None if a run does not keep them."""
    if not all(any((run.path / "scores").glob("*/*.parquet")) for run in runs):
        return None
    return pd.concat([run.scores().assign(run=run.name) for run in runs], ignore_index=True)


def turns(runs: Sequence[Run]) -> Tree:
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
    """A turn and its sentence for the page; see :func:`turns`."""
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
    if all(same):
        parts.append(f"on valid generated images it agrees with the judge in {_lowest(same)}")
    if not parts:
        return []
    text = " of cases; ".join(parts) + " of cases" + lowest
    return [Finding("probe", text[0].upper() + text[1:] + ".")]


def _data(runs: Sequence[Run]) -> list[Finding]:
    """Which images were seen, where they were not rendered."""
    each = [known(run).get("data") for run in runs]
    seen = {told["digest"]: told for told in each if told}
    return [Finding("data", _seen(told)) for told in seen.values()]


def known(run: Run) -> Tree:
    """What ``run.json`` tells, if probe and data are told as a run does.

    Raises:
        UserError: it is damaged, or they are not.
    """
    told = run.information()
    try:
        _lowest([told.get("probe", {}).get("accuracy", {})])
        _lowest([told.get("probe_agreement", {})])
        if told.get("data"):
            _seen(told["data"])
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        path = run.path / "run.json"
        raise UserError(
            f"{path} is damaged: of the probe or the data it tells nonsense ({error})"
        ) from None
    return told


def _seen(told: Tree) -> str:
    if "attributes" not in told:
        images = ", ".join(f"{name}: {count}" for name, count in told["images"].items())
        return (
            f"The images are data of one's own, {told['resolution']}×{told['resolution']} pixels "
            f"({images}); SHA-256: {told['digest'][:16]}…"
        )
    available = ", ".join(f"{name}: {count}" for name, count in told["available"].items())
    return (
        f"The images are {told['per_class']} of each class from {told['root']}, scaled to "
        f"{told['resolution']}×{told['resolution']}, with the attributes "
        f"{' and '.join(told['attributes'])}; the folder lists {told['images']} "
        f"({available}); SHA-256 of the files used: {told['digest'][:16]}…"
    )


def _lowest(shares: Sequence[dict[str, float]]) -> str:
    least = {name: min(of_run[name] for of_run in shares) for name in shares[0]}
    return " and ".join(f"{100 * value:.1f} % ({name})" for name, value in least.items())
