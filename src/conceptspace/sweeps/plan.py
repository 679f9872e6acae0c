"""One run of a sweep: its folder's name and its config."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from conceptspace.config import RunConfig, merged, nested
from conceptspace.experiment.completeness import unscored
from conceptspace.presets import PRESETS
from conceptspace.store import run_in


@dataclass(frozen=True)
class Plan:
    """One run: where it goes and what it is.

    Attributes:
        name: folder below ``OUT/runs``; the setting and the seed, e.g. ``masked-50/seed-0``.
        config: the whole run.
    """

    name: str
    config: RunConfig

    def folder(self, out: Path) -> Path:
        """Where the run lies below an output folder."""
        return out / "runs" / self.name

    def exists(self, out: Path) -> bool:
        """Whether its trajectory covers every planned checkpoint and protocol.

        A kept run, which has no more than config, information and trajectory, exists as well.

        Raises:
            UserError: the folder holds another run, something else, or a damaged table.
        """
        run = run_in(self.folder(out), self.config)
        if run is None or not run.folder.trajectory.exists():
            return False
        return not unscored(run.trajectory(), self.config)


def plans(
    setting: str, preset: str, seeds: Sequence[int], changes: dict[str, Any] | None = None
) -> list[Plan]:
    """One plan for each seed of a setting.

    Args:
        setting: first part of the folders' names; empty for the preset as it is.
        preset: where the config starts from.
        seeds: one run each, a repeated one only once.
        changes: dotted settings in place of the preset's.

    Raises:
        UserError: a change or a seed is not possible.
    """
    base = merged(PRESETS[preset](), nested(changes or {}), setting or preset)
    return [
        Plan(f"{setting}/seed-{seed}" if setting else f"seed-{seed}", _seeded(base, seed))
        for seed in dict.fromkeys(seeds)
    ]


def unique(several: Iterable[Plan]) -> list[Plan]:
    """The plans without repetition, in order.

    Raises:
        ValueError: two different runs want the same folder.
    """
    found: dict[str, Plan] = {}
    for plan in several:
        if found.setdefault(plan.name, plan) != plan:
            raise ValueError(f"two figures plan different runs in {plan.name}")
    return list(found.values())


def _seeded(config: RunConfig, seed: int) -> RunConfig:
    return merged(config, {"seed": seed}, "seeds")
