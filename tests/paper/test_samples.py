"""Which seeds decide a claim, and what is said of the others."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from behaviors import clipping, hidden, patched_late, plain, sweep

from conceptspace.analysis.claims import Row, Verdict
from conceptspace.paper.fig09a import criteria as fig09a
from conceptspace.paper.fig15 import criteria as fig15
from conceptspace.paper.framework.registry import FIGURES
from conceptspace.paper.framework.results import finished
from conceptspace.paper.settings import (
    CLIPPED_SEEDS,
    COMPARED_SEEDS,
    HALF_MASKED_SEEDS,
    HIDDEN_SEEDS,
    LATER_SEEDS,
    MASKED_SEEDS,
    PATCHED_SEEDS,
    REPATCHED_SEEDS,
    SIZE_SEEDS,
    STUDIED_SEEDS,
    studied,
)
from conceptspace.store import Run
from conceptspace.sweeps.plan import Plan
from planted import Behavior, plant_all

HELD, FAILED = Verdict.HELD, Verdict.FAILED


def test_seeds_seen_before_a_criterion_was_fixed_do_not_serve_it(tmp_path: Path) -> None:
    """The duration is decided by the seeds from HIDDEN_SEEDS on, the comparisons by the last."""

    def only_seen(plan: Plan) -> Behavior:
        seen = (*HIDDEN_SEEDS["quick"], *COMPARED_SEEDS["quick"])
        return (plain if plan.config.seed in seen else hidden)(plan)

    def only_last(plan: Plan) -> Behavior:
        return (hidden if plan.config.seed in COMPARED_SEEDS["quick"] else plain)(plan)

    figure = FIGURES["fig06"]
    groups = (STUDIED_SEEDS, LATER_SEEDS, HIDDEN_SEEDS, COMPARED_SEEDS)
    plans = figure.plans("quick", [seed for group in groups for seed in group["quick"][:3]])

    def rows(does: Callable[[Plan], Behavior], count: int) -> dict[str, Row]:
        out = tmp_path / f"{does.__name__}-{count}"
        plant_all(plans[:count], out, does, scores=True, kept=True)
        for plan in plans[:count]:
            last = plan.config.seed in COMPARED_SEEDS["quick"]
            Run(plan.folder(out)).note(probe={"hash": "one" if last else "other"})
        found = figure.analyse("quick", finished(plans, out))
        return {row.name: row for row in figure.checks(found)}

    found = rows(only_seen, 12)
    duration, more = found["fig06-duration"], found["fig06-overprompting-color-more"]
    assert (duration.effect, duration.seeds) == (0, 6)
    note = (
        r"0 of 6 seeds have such a window\. Of 6 seeds seen before: held: 0\.\d+ of training, .*\."
    )
    assert re.fullmatch(note, duration.note.replace("\u00a0", " "))
    assert (more.verdict, more.seeds) == (FAILED, 3)
    assert "Of 9 seeds seen before: undecided" in more.note
    assert more.note.startswith("It reaches 0.8 first, or alone, in 0 of 3 seeds.")

    found = rows(only_last, 12)
    duration, more = found["fig06-duration"], found["fig06-overprompting-color-more"]
    assert duration.note.startswith("3 of 6 seeds have such a window. ")
    assert "Of 3 seeds by which the sample was enlarged: held" in duration.note
    assert (more.verdict, more.seeds) == (HELD, 3)
    assert more.note.startswith("It reaches 0.8 first, or alone, in 3 of 3 seeds.")
    for name, row in found.items():
        mixed = name.endswith("-plain") and row.seeds == 6
        assert ("Scored by 2 probes (3, 3 seeds)" in row.note) == mixed, name

    found = rows(only_seen, 3)
    duration, more = found["fig06-duration"], found["fig06-overprompting-color-more"]
    assert (duration.seeds, more.seeds) == (0, 0)
    assert "Of 3 seeds seen before: held" in more.note
    earlier = found["fig06-overprompting-color-earlier"]
    assert (earlier.effect, earlier.seeds) == (1, 3)


def test_how_much_is_made_is_by_each_statistic_and_only_when_ready(tmp_path: Path) -> None:
    figure = FIGURES["fig06"]
    plans = figure.plans("quick", (300, 301, 302))
    plant_all(plans, tmp_path, hidden, scores=True, kept=True)
    first = 0
    for plan in plans:
        path = plan.folder(tmp_path) / "best.parquet"
        best = pd.read_parquet(path)
        first = best["step"].min()
        unready = best["step"] == first
        best["probe"] = 0.5 * best["honest"]
        best.loc[unready, ["honest", "probe"]] = 1.0
        best.loc[unready & (best["protocol"] == "naive"), "valid"] = 0.1
        best.to_parquet(path)
    results = finished(plans, tmp_path)
    data = figure.analyse("quick", results)
    rows = {row.name: row for row in figure.checks(data)}
    for result in results:
        assert result.best is not None
        of = result.best[(result.best["concept"] == "joint") & (result.best["step"] > first)]
        of = of[(of["concept_class"] == "11") & (of["protocol"] == "latent-intervention")]
        mean = of["honest"].sum() / (len(of) + 1)
        judged, plain = (data.amounts[name] for name in ("judged", "plain probe"))
        assert judged.loc[result.seed, "latent-intervention"] == pytest.approx(mean)
        assert plain.loc[result.seed, "latent-intervention"] == pytest.approx(mean / 2)
    name = "fig06-latent-intervention-more-than-latent-control-random"
    assert rows[f"{name}-plain"].effect == pytest.approx(rows[name].effect / 2)
    unfair = [n for n in rows if "overprompting-color-more" in n and n.endswith("-plain")]
    assert unfair == [], "the best of several settings against that of fewer"


def test_one_half_has_more_seeds_where_images_and_overprompting_are_compared() -> None:
    first, added = MASKED_SEEDS["quick"], HALF_MASKED_SEEDS["quick"]

    def seeds(name: str, share: float) -> list[int]:
        plans = FIGURES[name].plans("quick", None)
        return [p.config.seed for p in plans if p.config.data.masked_share == share]

    for name in ("fig09a", "fig10"):
        assert seeds(name, 0.5) == [*first, *added]
    for name, share in (("fig08", 0.0), ("fig08", 0.5), ("fig09a", 0.0), ("fig09a", 1.0)):
        assert seeds(name, share) == [*first]


def test_what_the_added_seeds_say_alone_stands_in_the_note(tmp_path: Path) -> None:
    added = HALF_MASKED_SEEDS["quick"][:3]

    def does(plan: Plan) -> Behavior:
        return (hidden if plan.config.seed in added else plain)(plan)

    figure = FIGURES["fig10"]
    plans = figure.plans("quick", [*MASKED_SEEDS["quick"][:3], *added])
    plant_all(plans, tmp_path, does, scores=True, kept=True)
    (row, *_) = figure.checks(figure.analyse("quick", finished(plans, tmp_path)))
    assert (row.name, row.seeds) == ("fig10-advance", 6)
    assert "Of 3 seeds by which the sample was enlarged: held" in row.note


def test_the_sweep_of_sizes_has_seeds_that_the_sweep_of_colors_has_not(tmp_path: Path) -> None:
    """They learn in another order than the others, and say nothing of colors."""

    def does(plan: Plan) -> Behavior:
        if plan.config.seed in SIZE_SEEDS["quick"]:
            return Behavior(3000 * plan.config.data.size_separation + 300)
        return sweep(plan)

    figure = FIGURES["fig03"]
    plans = figure.plans("quick", None)
    plant_all(plans, tmp_path, does, scores=False, kept=True)
    rows = {
        row.name: row for row in figure.checks(figure.analyse("quick", finished(plans, tmp_path)))
    }
    color, size = rows["fig03-color"], rows["fig03-size"]
    assert (color.effect, color.seeds, color.verdict) == (1, 8, HELD)
    assert "over all 24 runs" in color.note
    assert "enlarged" not in color.note
    assert (size.effect, size.seeds) == (0, 16)
    assert "Of 8 seeds by which the sample was enlarged: did not hold: -1" in size.note


def test_a_learned_schedule_has_seeds_that_a_fixed_one_has_not(tmp_path: Path) -> None:
    """The added ones learn at once under any clip norm."""

    def does(plan: Plan) -> Behavior:
        added = plan.config.seed in CLIPPED_SEEDS["quick"]
        return replace(clipping(plan), train_turn=300.0) if added else clipping(plan)

    figure = FIGURES["clip"]
    plans = figure.plans("quick", None)
    plant_all(plans, tmp_path, does, kept=True)
    learned, fixed = figure.checks(figure.analyse("quick", finished(plans, tmp_path)))
    assert (learned.seeds, fixed.seeds) == (16, 8)
    assert "Of 8 seeds by which the sample was enlarged: undecided" in learned.note
    assert not fixed.note


def test_patched_seeds_that_were_added_stand_beside_all_of_them(tmp_path: Path) -> None:
    """Patching works in the added ones alone."""
    first, added = PATCHED_SEEDS["quick"][:3], REPATCHED_SEEDS["quick"][:3]

    def does(plan: Plan) -> Behavior:
        return (hidden if plan.config.seed in added else patched_late)(plan)

    figure = FIGURES["fig17"]
    plans = figure.plans("quick", [*first, *added])
    plant_all(plans, tmp_path, does, scores=True, kept=True)
    rows = {
        row.name: row for row in figure.checks(figure.analyse("quick", finished(plans, tmp_path)))
    }
    assert rows["fig17-stable"].seeds == rows["fig17-gain"].seeds == 6
    assert "Of 3 seeds by which the sample was enlarged: held" in rows["fig17-gain"].note
    assert {plan.config.seed for plan in figure.plans("quick", None)} >= {
        *PATCHED_SEEDS["quick"],
        *REPATCHED_SEEDS["quick"],
    }


def test_a_picture_shows_the_verdicts_of_its_own_runs(tmp_path: Path) -> None:
    """Fig. 17's stable seeds are of the larger separation, and so are two of its verdicts."""
    figure = FIGURES["fig17"]
    plans = [*figure.plans("quick", (200, 201, 202)), *studied("quick", (200, 201, 202))]
    plant_all(plans, tmp_path, hidden, scores=True, kept=True)
    data = figure.analyse("quick", finished(plans, tmp_path))
    rows = {row.name: row for row in figure.checks(data)}
    assert len(rows) == 3
    drawn = figure.draw(data, rows)
    told = {
        name: [key for key, row in rows.items() if row.claim in " ".join(text.split())]
        for name, text in ((name, of.get_suptitle()) for name, of in drawn.items())
    }
    assert told == {"fig17": [*rows], "fig17-0.15": ["fig17-unstable"]}
    alone = figure.analyse("quick", finished(plans[3:], tmp_path))
    rows = {row.name: row for row in figure.checks(alone)}
    assert [rows[f"fig17-{of}"].seeds for of in ("stable", "gain")] == [0, 0]
    assert [*figure.draw(alone, rows)] == ["fig17-0.15"]


def test_a_note_tells_what_each_seed_ends_with() -> None:
    ends = {0.5: dict(enumerate([0.9, 0.76, 0.1, 0.25, 0.5, 0.75]))}
    row = fig09a.purple({0.5: dict.fromkeys(range(6), 0.3)}, ends)
    assert row.note == "Runs end blue in 2, red in 1, between in 3 cases."
    assert fig15.success([0.1, 0.5], [3, 1]).note == "OOD classes at 0.8 or more, by seed: 1, 3."
