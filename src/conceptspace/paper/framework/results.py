"""What finished runs say: their tables, as the figures want them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd

from conceptspace.analysis.elicitation import best_settings, honest_emergence
from conceptspace.analysis.emergence import Emergence, find_emergence
from conceptspace.config import RunConfig
from conceptspace.contact_sheet import Sheet
from conceptspace.errors import UserError
from conceptspace.experiment import parts
from conceptspace.presentation import series
from conceptspace.presentation.explorer.left_out import LeftOut
from conceptspace.store import Run
from conceptspace.sweeps.plan import Plan
from conceptspace.tables import JOINT, NAIVE, PROBE
from conceptspace.worlds.shapes.building import shapes_world
from conceptspace.worlds.shapes.config import ShapesData
from conceptspace.worlds.shapes.world import ShapesWorld

JUDGED = "judged"
"""Statistic that decides: by the judge, settings of a sweep chosen on other images."""

PLAIN = "plain probe"
"""Statistic of the paper: the setting that is best by the plain probe; optimistic for a sweep."""


@dataclass(frozen=True)
class Result:
    """A finished run.

    Attributes:
        plan: what it is.
        run: its folder.
    """

    plan: Plan
    run: Run

    @property
    def seed(self) -> int:
        """Its seed."""
        return self.plan.config.seed

    @property
    def config(self) -> RunConfig:
        """Its config."""
        return self.plan.config

    @property
    def probe(self) -> str:
        """The hash of the plain probe that scored it; empty where it is not known."""
        return str(self.run.information().get("probe", {}).get("hash", ""))

    @cached_property
    def table(self) -> pd.DataFrame:
        """Its trajectory, under the plan's name."""
        return self.run.trajectory().assign(run=self.plan.name)

    @cached_property
    def best(self) -> pd.DataFrame | None:
        """The best setting of each protocol and checkpoint, chosen on other images as well.

        None where the run kept neither the scores of single images nor what was found in them.
        """
        if (self.run.path / "scores").is_dir():
            return best_settings(self.run.trajectory(), self.run.scores()).assign(
                run=self.plan.name
            )
        found = self.run.kept_best()
        return None if found is None else found.assign(run=self.plan.name)

    @cached_property
    def log(self) -> pd.DataFrame | None:
        """Its training log; None where it was not kept."""
        there = self.run.folder.training.exists()
        return self.run.training() if there else None

    def last_sheet(self) -> Sheet | None:
        """The images of the last checkpoint; None where they were not kept."""
        sheets = self.run.sheets()
        last = parts.checkpoints(self.config)[-1]
        return sheets.get(last)


def finished(plans: Sequence[Plan], out: Path) -> list[Result]:
    """The plans whose runs exist and can be read."""
    return readable(plans, out)[0]


def readable(plans: Sequence[Plan], out: Path) -> tuple[list[Result], list[LeftOut]]:
    """The plans whose runs exist, and those whose folders hold one that cannot be used.

    That is another run, a damaged one, or one that diverged.
    """
    found, left_out = [], []
    for plan in plans:
        try:
            if plan.exists(out):
                run = Run(plan.folder(out))
                if run.information().get("status") == "diverged":
                    raise UserError("it diverged: a loss, weight, image or score was not finite")
                found.append(Result(plan, run))
        except (UserError, OSError) as error:
            left_out.append(LeftOut(plan.name, str(error)))
    return found, left_out


def whole(results: Sequence[Result]) -> tuple[list[Result], list[LeftOut]]:
    """The results of which every file can be read, and the others; this takes its time."""
    found, left_out = [], []
    for result in results:
        try:
            _ = result.table, result.best, result.log, result.last_sheet()
            found.append(result)
        except (UserError, OSError) as error:
            left_out.append(LeftOut(result.plan.name, str(error)))
    return found, left_out


def world(results: Sequence[Result]) -> ShapesWorld:
    """The data-generating process of the first run.

    Raises:
        UserError: no run has finished.
    """
    return shapes_world(ShapesData.of(require(results)[0].config.data))


def require(results: Sequence[Result]) -> Sequence[Result]:
    """The results, if there are any.

    Raises:
        UserError: no run has finished.
    """
    if not results:
        raise UserError("no run has finished, it needs at least 1")
    return results


def joined(results: Sequence[Result]) -> pd.DataFrame:
    """All trajectories in one table."""
    return pd.concat([result.table for result in require(results)], ignore_index=True)


def joined_best(results: Sequence[Result]) -> pd.DataFrame | None:
    """The best setting by checkpoint and protocol of all runs; None if one kept no scores."""
    kept = [result.best for result in require(results) if result.best is not None]
    return pd.concat(kept, ignore_index=True) if len(kept) == len(results) else None


def levels(
    results: Sequence[Result], value: Callable[[RunConfig], float]
) -> dict[float, list[Result]]:
    """Results by the value of a setting, in rising order.

    Raises:
        UserError: fewer than two values.
    """
    found: dict[float, list[Result]] = {}
    for result in results:
        found.setdefault(value(result.config), []).append(result)
    if len(found) < 2:
        raise UserError(f"runs of {len(found)} of its settings have finished, it needs at least 2")
    return {level: found[level] for level in sorted(found)}


def emerged(
    results: Sequence[Result],
    ood_class: str,
    protocol: str = NAIVE,
    *,
    statistic: str = JUDGED,
    concept: str = JOINT,
) -> dict[int, Emergence]:
    """The emergence of each seed.

    Args:
        results: runs of one setting.
        ood_class: e.g. ``"11"``.
        protocol: e.g. ``"naive"``.
        statistic: :data:`JUDGED` or, for the joint accuracy, :data:`PLAIN`.
        concept: a concept's name, or ``joint``; of single concepts the best setting by the judge.

    Raises:
        UserError: runs kept nothing about single images, and the protocol has several settings.
    """
    found: dict[int, Emergence] = {}
    for result in results:
        rows = result.table[result.table["protocol"] == protocol]
        if concept == JOINT and (statistic == PLAIN or rows["setting"].nunique() > 1):
            best = result.best
            if best is None:
                raise UserError(f"{result.plan.name} kept no scores of single images")
            column = "probe" if statistic == PLAIN else "honest"
            (run,) = honest_emergence(best, ood_class, protocol, column)
        else:
            asked = series.highest(rows).assign(setting="best", protocol=protocol)
            naive = result.table[result.table["protocol"] == NAIVE].assign(setting="best")
            table = asked if protocol == NAIVE else pd.concat([asked, naive])
            (run,) = find_emergence(table, ood_class, protocol, concept=concept)
        found[result.seed] = run
    return found


def scored_images(results: Sequence[Result]) -> bool:
    """Whether all runs know which setting is best on other images, and what the probe says."""
    return all(
        result.best is not None and bool(result.best[PROBE].notna().any()) for result in results
    )


def by_seed(results: Sequence[Result], value: Callable[[Result], float]) -> dict[int, float]:
    """A number of each run, by its seed."""
    return {result.seed: value(result) for result in results}


def late(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of the last three checkpoints of a run."""
    steps = sorted(table["step"].unique())[-3:]
    return table[table["step"].isin(steps)]


def merged_tables(groups: Mapping[float, Sequence[Result]]) -> dict[float, pd.DataFrame]:
    """The joined trajectories of each level."""
    return {level: joined(of) for level, of in groups.items()}
