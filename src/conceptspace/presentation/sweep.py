"""Runs that differ in one setting beside the seed: grouped, compared and drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from conceptspace.analysis.sentences import Finding
from conceptspace.analysis.underspecification import (
    Underspecification,
    sentences,
    underspecification,
)
from conceptspace.errors import UserError
from conceptspace.presentation.drawing import class_images, images_of
from conceptspace.presentation.figures import (
    conditions_figure,
    signal_figure,
    underspecification_figure,
)
from conceptspace.presentation.worlds import world_of
from conceptspace.space import ConceptClass, ConceptSpace
from conceptspace.store import Run
from conceptspace.worlds.rendered import RenderedWorld
from conceptspace.worlds.signal import class_distances

MASKED_SHARE = "data.masked_share"
MASKING = ("data.masked_class", "data.masked_concept")
"""Settings without effect where the masked share is 0."""

SPACE = "concepts"
"""Stands for concepts and classes where runs, e.g. recorded ones, differ in these alone."""


@dataclass(frozen=True)
class Sweep:
    """Runs by the value of the setting in which they differ.

    Attributes:
        setting: its dotted name; empty if the runs differ in their seed alone, several names with
            commas from :func:`conditions`.
        groups: the runs of each value, by rising value.
        comparable: whether they differ in one setting at most and have the same classes.
    """

    setting: str
    groups: dict[Any, list[Run]]
    comparable: bool = True

    def name(self, value: Any) -> str:
        """The setting and a value in words, e.g. "color separation 0.3"."""
        if self.setting == MASKED_SHARE:
            return f"{100 * value:g} % of prompts masked"
        if "," in self.setting:
            pairs = zip(self.setting.split(","), value, strict=True)
            return ", ".join(f"{in_words(name)} {value_text(each)}" for name, each in pairs)
        return f"{self.label} {value_text(value)}"

    @property
    def label(self) -> str:
        """The setting in words."""
        return " and ".join(in_words(name) for name in self.setting.split(","))


def in_words(setting: str) -> str:
    """A dotted name in words, e.g. "color separation"."""
    return setting.rpartition(".")[2].replace("_", " ")


def value_text(value: Any) -> str:
    """A setting's value as text."""
    if isinstance(value, tuple):
        return ",".join(map(value_text, value)) or "default"
    short = f"{value:g}" if isinstance(value, float) else ""
    return short if short and float(short) == value else str(value) or "none"


def conditions(runs: Sequence[Run]) -> Sweep:
    """Group runs by all settings, apart from the seed, in which they differ, and by their classes.

    Raises:
        UserError: a run is given twice.
    """
    paths = [run.path.resolve() for run in runs]
    if len(set(paths)) < len(paths):
        raise UserError(
            f"the run {max(runs, key=lambda r: paths.count(r.path.resolve())).path} is given twice"
        )
    varied = [name for name in setting_names(runs) if len(_values(runs, name)) > 1]
    found = _grouped(runs, varied)
    if any(len({_classes(run) for run in group}) > 1 for group in found.values()):
        varied = [*varied, SPACE]
        found = _grouped(runs, varied)
    if len(varied) != 1:
        order = sorted(found, key=lambda value: [(isinstance(v, str), str(v)) for v in value])
        groups = {value if varied else None: found[value] for value in order}
    else:
        groups = {value: found[value,] for (value,) in sorted(found, key=lambda v: _rising(v[0]))}
    same = len({_classes(run) for run in runs}) == 1
    return Sweep(",".join(varied), groups, same and len(varied) < 2)


def _grouped(runs: Sequence[Run], varied: Sequence[str]) -> dict[tuple[Any, ...], list[Run]]:
    """The runs of each combination of values."""
    groups: dict[tuple[Any, ...], list[Run]] = {}
    for run in runs:
        groups.setdefault(tuple(effective(run, name) for name in varied), []).append(run)
    return groups


def setting_names(runs: Sequence[Run]) -> list[str]:
    """Dotted names of all settings that runs have, without the seed and the preset."""
    names = dict.fromkeys(name for run in runs for name in run.settings)
    return [name for name in names if name not in ("seed", "preset")]


def effective(run: Run, name: str) -> Any:
    """The value of a setting; None where it has no effect. Of ``SPACE``, concepts and classes."""
    if name == SPACE:
        names, train, ood = _classes(run)
        return f"{', '.join(names)} ({' '.join(train)} without {' '.join(ood) or 'any'})"
    if name in MASKING and value_of(run, MASKED_SHARE) == 0:
        return None
    return value_of(run, name)


def value_of(run: Run, name: str) -> Any:
    """The value of a dotted setting; None if the run has no such setting."""
    return run.settings.get(name)


def masking_effect(
    found: Sweep, tables: Mapping[Any, pd.DataFrame], space: ConceptSpace
) -> Underspecification | None:
    """The effect of the masked share, if that is all that the runs differ in, and of a concept."""
    if found.setting != MASKED_SHARE or not found.comparable or not space.ood_classes:
        return None
    run = found.groups[max(found.groups)][0]
    masked_class, concept = (value_of(run, name) for name in MASKING)
    if concept not in space.names:
        return None  # another variable that prompts show
    flipped = ConceptClass(masked_class).flip(space.names.index(concept))
    ood = flipped if flipped in space.ood_classes else space.ood_classes[0]
    return underspecification(tables, str(ood), concept)


def effect_findings(effect: Underspecification | None) -> list[Finding]:
    """What masking does, as findings."""
    texts = sentences(effect) if effect else []
    return [Finding("underspecification", text[0].upper() + text[1:] + ".") for text in texts]


def prefixed(finding: Finding, prefix: str) -> Finding:
    """A finding with the name of its group in front."""
    text = finding.text
    return Finding(finding.topic, f"{prefix[0].upper()}{prefix[1:]}: {text[0].lower()}{text[1:]}")


def draw_sweep(
    found: Sweep,
    tables: Mapping[Any, pd.DataFrame],
    space: ConceptSpace,
    effect: Underspecification | None,
) -> dict[str, Figure]:
    """Figures that compare the groups, by the name of their file."""
    figures = {}
    worlds = {value: world_of(runs[0]) for value, runs in found.groups.items()}
    share = found.setting == MASKED_SHARE
    names = {value: f"{100 * value:g} %" if share else value_text(value) for value in worlds}
    pictures = {names[v]: images_of(found.groups[v][0], world) for v, world in worlds.items()}
    images = next(iter(pictures.values()))
    if effect is not None:
        labels = space.concepts[space.names.index(effect.concept)].labels
        figures["underspecification"] = underspecification_figure(effect, (labels[0], labels[1]))
    if len(space.concepts) > 1 and space.ood_classes:
        same = all(_equal(images, other) for other in pictures.values())
        figures["conditions"] = conditions_figure(
            {names[value]: table for value, table in tables.items()},
            space,
            images if same else pictures,
            label="masked prompts" if share else found.label,
        )
    measured = {
        found.name(value): (class_distances(data), class_images(data))
        for value, data in worlds.items()
        if isinstance(data, RenderedWorld)
    }
    if "separation" in found.setting or "spread" in found.setting:
        figures["signal"] = signal_figure(space, measured)
    return figures


def _equal(images: Mapping[str, Any], others: Mapping[str, Any]) -> bool:
    """Whether two settings have the same classes and pictures of them."""
    same = (np.array_equal(images[name], others[name]) for name in images if name in others)
    return images.keys() == others.keys() and all(same)


def _values(runs: Sequence[Run], name: str) -> set[Any]:
    masks = name in MASKING
    return {value_of(r, name) for r in runs if not masks or value_of(r, MASKED_SHARE) > 0}


def _rising(value: Any) -> tuple[Any, ...]:
    """Numbers by size before texts."""
    return (isinstance(value, str), value is not None, value)


def _classes(run: Run) -> tuple[tuple[str, ...], ...]:
    space = world_of(run).space
    return space.names, tuple(map(str, space.train_classes)), tuple(map(str, space.ood_classes))
