"""What finished runs say, and what is refused where they say too little."""

from __future__ import annotations

from pathlib import Path

import pytest

from conceptspace.errors import UserError
from conceptspace.paper.framework.results import (
    PLAIN,
    emerged,
    finished,
    joined,
    late,
    levels,
    require,
    scored_images,
    world,
)
from conceptspace.sweeps.plan import Plan, plans
from planted import Behavior, plant, plant_all
from tiny import tiny_config

OVER = "overprompting-color"


def plan(seed: int = 0, separation: float = 0.4) -> Plan:
    changes = {"data__color_separation": separation, "evaluate__protocols": (OVER,)}
    steps = tuple(range(100, 1001, 100))
    changes |= {"train__steps": 1000, "train__checkpoint_steps": steps}
    return Plan(f"color-{separation:g}/seed-{seed}", tiny_config(seed=seed, **changes))


@pytest.fixture
def both(tmp_path: Path) -> list[Plan]:
    plans = [plan(0), plan(1), plan(0, 0.6)]
    plant_all(plans, tmp_path, lambda p: Behavior(400 + 200 * p.config.seed, protocols={OVER: 200}))
    return plans


def test_only_runs_that_have_finished_count(tmp_path: Path, both: list[Plan]) -> None:
    results = finished([*both, plan(2)], tmp_path)
    assert [result.plan for result in results] == both
    assert set(joined(results)["run"]) == {p.name for p in both}
    assert {level: len(of) for level, of in levels(results, _separation).items()} == {
        0.4: 2,
        0.6: 1,
    }
    with pytest.raises(UserError, match="runs of 1 of its settings have finished"):
        levels(results[:2], _separation)
    for ask in (require, world):
        with pytest.raises(UserError, match="no run has finished, it needs at least 1"):
            ask([])


def test_emergence_of_a_sweep_is_by_settings_chosen_on_other_images(tmp_path: Path) -> None:
    plans = [plan(0), plan(1)]
    does = lambda p: Behavior(400 + 200 * p.config.seed, protocols={OVER: 200})  # noqa: E731
    plant_all(plans, tmp_path, does, scores=True)
    results = finished(plans, tmp_path)
    naive, over = emerged(results, "11"), emerged(results, "11", OVER)
    assert {seed: run.upper for seed, run in naive.items()} == {0: 500.0, 1: 700.0}
    assert {run.upper for run in over.values()} == {300.0}
    assert emerged(results, "11", OVER, statistic=PLAIN) == over
    color = emerged(results, "11", OVER, concept="color")
    assert {run.upper for run in color.values()} <= {200.0, 300.0}


def test_what_single_images_say_is_missing_where_none_was_kept(
    tmp_path: Path, both: list[Plan]
) -> None:
    results = finished(both[:1], tmp_path)
    assert not scored_images(results)
    assert results[0].last_sheet() is None
    assert results[0].log is None
    assert emerged(results, "11")[0].upper == 500.0
    for missing in ({"protocol": OVER}, {"statistic": PLAIN}):
        with pytest.raises(UserError, match=r"color-0\.4/seed-0 kept no scores of single images"):
            emerged(results, "11", **missing)
    plant(both[0], tmp_path / "whole", Behavior(400, protocols={OVER: 200}), scores=True)
    whole = finished(both[:1], tmp_path / "whole")
    assert scored_images(whole)
    assert whole[0].last_sheet() is not None
    assert emerged(whole, "11", statistic=PLAIN)[0].upper == 500.0


def test_the_last_checkpoints_are_the_last_three(tmp_path: Path, both: list[Plan]) -> None:
    (result,) = finished(both[:1], tmp_path)
    assert sorted(late(result.table)["step"].unique()) == [800, 900, 1000]


def _separation(config: object) -> float:
    return config.data.color_separation  # type: ignore[attr-defined]


def test_a_seed_named_twice_is_one_run() -> None:
    assert [found.config.seed for found in plans("", "quick", [3, 0, 3])] == [3, 0]
    for seed in (-1, 2**31):
        with pytest.raises(UserError, match=f"seed = {seed} is not possible"):
            plans("", "quick", [seed])
