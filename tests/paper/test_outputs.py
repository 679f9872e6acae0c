"""Ledgers, provenance, kept runs and the page of all results."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from conceptspace import paper
from conceptspace.analysis.claims import Verdict, above, measure, open_question
from conceptspace.config import RunConfig
from conceptspace.errors import UserError
from conceptspace.files import sha256
from conceptspace.paper.framework.index import index, write_index
from conceptspace.paper.framework.keep import extras_of, keep
from conceptspace.paper.framework.ledger import markdown, read_ledger, write_ledger
from conceptspace.paper.framework.outputs import produce
from conceptspace.paper.framework.registry import FIGURES, chosen, found
from conceptspace.paper.framework.results import finished
from conceptspace.store import Run
from conceptspace.sweeps.cost import estimate, passes
from conceptspace.sweeps.plan import Plan
from planted import Behavior, plant, plant_all

FIG10 = FIGURES["fig10"]
RESULTS = Path(__file__).parents[2] / "results"


@pytest.fixture
def plans() -> list[Plan]:
    return FIG10.plans("quick", [0, 1, 2])


def behavior(plan: Plan) -> Behavior:
    return Behavior(1500 + 200 * plan.config.seed, protocols={"overprompting-color": 700.0})


def test_a_figure_leaves_picture_table_ledger_and_provenance(
    plans: list[Plan], tmp_path: Path
) -> None:
    plant_all(plans[:2], tmp_path, behavior, scores=True)
    pictures = produce(FIG10, "quick", tmp_path, plans)
    folder = tmp_path / "fig10"
    assert pictures == [folder / "fig10.png"]
    assert pictures[0].read_bytes().startswith(b"\x89PNG")
    ledger = read_ledger(folder / "ledger.json")
    assert ledger["missing"] == ["masked-50/seed-2"]
    table = plans[0].folder(tmp_path) / "trajectory.parquet"
    assert ledger["runs"]["masked-50/seed-0"] == sha256(table.read_bytes())
    assert {row["figure"] for row in ledger["rows"]} == {"10"}
    assert {row["verdict"] for row in ledger["rows"]} <= {str(v) for v in Verdict}
    origin = json.loads((folder / "provenance.json").read_text())
    assert origin["wall_seconds"] == 120.0
    assert set(origin["runs"]) == {"masked-50/seed-0", "masked-50/seed-1"}
    assert origin["runs"]["masked-50/seed-0"]["device"] == "cpu (x86_64)"
    assert origin["drawn"]["commit"]
    assert origin["drawn"]["processor"]
    kept = Run(plans[0].folder(tmp_path)).trajectory()
    assert len(finished(plans, tmp_path)[0].table) == len(kept)


DAMAGED = {
    "an unknown concept": ("config.toml", lambda text: text.replace(b'"color"', b'"texture"')),
    "a torn trajectory": ("trajectory.parquet", lambda content: content[:900]),
    "torn scores": ("scores/*/*.parquet", lambda content: content[:900]),
    "a torn record": ("run.json", lambda content: content[:20]),
    "diverged": ("run.json", lambda _: b'{"status": "diverged"}'),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_run_does_not_silence_a_figure(
    plans: list[Plan], tmp_path: Path, name: str
) -> None:
    plant_all(plans, tmp_path, behavior, scores=True, kept=name != "torn scores")
    pattern, change = DAMAGED[name]
    path = sorted(plans[1].folder(tmp_path).glob(pattern))[0]
    path.write_bytes(change(path.read_bytes()))
    assert estimate(plans, tmp_path, 1, steady) >= 0
    assert produce(FIG10, "quick", tmp_path, plans)
    ledger = read_ledger(tmp_path / "fig10" / "ledger.json")
    assert set(ledger["runs"]) == {"masked-50/seed-0", "masked-50/seed-2"}
    assert ledger["missing"] == ["masked-50/seed-1"]
    (sentence,) = ledger["left_out"]
    assert sentence.startswith("Left out: masked-50/seed-1: ")


def test_nothing_is_drawn_from_nothing(plans: list[Plan], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no run has finished"):
        produce(FIG10, "quick", tmp_path, plans)


def test_the_ledger_says_null_where_nothing_is_known(tmp_path: Path) -> None:
    rows = [
        above("a", "True.", measure([0.68, 0.7, 0.72]), 0.5, "of training"),
        above("b", "Open.", measure([(0.6, float("inf"))] * 3), 0.9, ""),
        open_question("c", "Unknown | piped.", "never", "no data"),
    ]
    write_ledger(tmp_path / "ledger.json", FIG10, rows, [], [])
    written = read_ledger(tmp_path / "ledger.json")["rows"]
    assert written[0]["interval"] == pytest.approx([rows[0].low, rows[0].high])
    assert written[1]["interval"] == [pytest.approx(0.6), None]
    assert (written[1]["effect"], written[2]["effect"]) == (pytest.approx(0.6), None)
    lines = markdown(written).splitlines()
    assert len(lines) == 5
    assert "**held**" in lines[2]
    assert "| at least 0.6 |" in lines[3]
    assert "**undecided**: censoring leaves 3 of 3 seeds open" in lines[3]
    assert r"Unknown \| piped." in lines[4]


def test_a_kept_run_is_small_and_draws_the_same_figure(tmp_path: Path) -> None:
    figure = FIGURES["fig09a"]
    plans = figure.plans("quick", [0])
    for plan in plans:
        share = plan.config.data.masked_share
        plant(plan, tmp_path / "a", Behavior(900, "01", (1 - share, 1.0)), scores=True)
    results = finished(plans, tmp_path / "a")
    for result in results:
        assert keep(result, tmp_path / "b", extras_of([figure], result.plan, "quick"))
    folder = plans[0].folder(tmp_path / "b")
    names = {p.name for p in folder.rglob("*") if p.is_file()}
    assert names == {"config.toml", "run.json", "trajectory.parquet", "step-00006000.png"}
    for out in ("a", "b"):
        produce(figure, "quick", tmp_path / out, plans)
    for name in ("fig09a.png", "fig07b.png", "trajectories.parquet"):
        one, two = (tmp_path / out / "fig09a" / name for out in ("a", "b"))
        assert one.read_bytes() == two.read_bytes()
    ledgers = [read_ledger(tmp_path / out / "fig09a" / "ledger.json") for out in ("a", "b")]
    assert ledgers[0] == ledgers[1]


def test_what_was_found_in_single_images_is_kept_with_a_run(tmp_path: Path) -> None:
    figure = FIGURES["fig06"]
    plans = figure.plans("quick", [0, 1, 2])
    turns = {"overprompting-color": 700.0, "latent-intervention": 600.0}
    turns |= {"latent-control-scaling": 9e9, "latent-control-random": 9e9}
    for plan in plans:
        late = 1400 + 100 * plan.config.seed
        plant(plan, tmp_path / "a", Behavior(late, "01", protocols=turns), scores=True)
    for result in finished(plans, tmp_path / "a"):
        keep(result, tmp_path / "b", ("training",))
    folder = plans[0].folder(tmp_path / "b")
    assert (folder / "best.parquet").exists()
    assert set(Run(folder).training()) == {"step", "loss", "diffusion", "reconstruction"}
    rows = [figure.checks(figure.analyse("quick", finished(plans, tmp_path / o))) for o in "ab"]
    assert rows[0] == rows[1]
    assert any(row.name.endswith("-plain") for row in rows[0])


def test_a_kept_run_is_never_overwritten(plans: list[Plan], tmp_path: Path) -> None:
    plant(plans[0], tmp_path / "a", Behavior(900))
    plant(plans[0], tmp_path / "other", Behavior(1900))
    (first,), (second,) = (finished(plans[:1], tmp_path / name) for name in ("a", "other"))
    assert keep(first, tmp_path / "b")
    before = (plans[0].folder(tmp_path / "b") / "trajectory.parquet").read_bytes()
    assert not keep(second, tmp_path / "b")
    assert (plans[0].folder(tmp_path / "b") / "trajectory.parquet").read_bytes() == before
    config = plans[0].folder(tmp_path / "b") / "config.toml"
    config.write_text(config.read_text().replace("steps = 6000", "steps = 6100"))
    with pytest.raises(UserError, match="another config"):
        keep(first, tmp_path / "b")


def test_the_index_shows_verdicts_and_says_what_was_not_run(
    plans: list[Plan], tmp_path: Path
) -> None:
    plant_all(plans, tmp_path / "quick", behavior, scores=True, kept=True)
    produce(FIG10, "quick", tmp_path / "quick", plans)
    text = index(tmp_path)
    assert "](quick/fig10/fig10.png)" in text
    assert "**held**" in text
    assert "- Fig. 3, Learning speed against concept signal: not drawn here. " in text
    assert "## paper" in text
    assert text.count("conceptspace reproduce fig10 --preset paper") == 1
    assert write_index(tmp_path).read_text() == text
    with pytest.raises(UserError, match="quick or paper"):
        index(tmp_path / "quick" / "fig10")


def test_the_kept_results_are_those_that_the_page_shows() -> None:
    assert (RESULTS / "README.md").read_text() == index(RESULTS), (
        "write it with: conceptspace reproduce --index results"
    )


def test_every_kept_figure_follows_from_the_kept_tables() -> None:
    ledgers = sorted(RESULTS.glob("*/*/ledger.json"))
    assert ledgers
    for path in ledgers:
        out, figure = path.parents[1], FIGURES[path.parent.name]
        results = finished(figure.plans(out.name, None), out)
        hashes = {
            r.plan.name: sha256((r.run.path / "trajectory.parquet").read_bytes()) for r in results
        }
        assert read_ledger(path)["runs"] == hashes, path


def steady(config: RunConfig) -> float:
    """A millisecond for each image to pass."""
    return 1e-3


def test_an_estimate_learns_from_the_runs_that_have_finished(
    plans: list[Plan], tmp_path: Path
) -> None:
    guess = estimate(plans, tmp_path, 1, steady)
    assert estimate(plans, tmp_path, 3, steady) == pytest.approx(guess / 3)
    plant(plans[0], tmp_path, Behavior(900))
    assert estimate(plans, tmp_path, 1, steady) == pytest.approx(120.0)
    assert passes(plans[0].config) > 3 * 4200 * 16


def test_a_wrong_name_of_a_figure_is_refused_with_the_nearest() -> None:
    with pytest.raises(UserError, match="did you mean fig04"):
        chosen(["fig4"])
    possible = [name for name, figure in FIGURES.items() if figure.possible("quick")]
    assert [f.name for f in chosen(["all"])] == possible
    assert len(possible) >= 14
    assert [f.name for f in chosen(["fig10", "fig03", "fig10"])] == ["fig10", "fig03"]


@pytest.mark.parametrize("preset", ["quick", "paper"])
def test_every_figure_plans_runs_that_can_be_built_and_several_seeds(preset: str) -> None:
    from conceptspace.experiment import parts
    from conceptspace.paper.fig14.runs import ADDED_SEEDS, QUICK_SEEDS
    from conceptspace.paper.settings import (
        COMPARED_SEEDS,
        HALF_MASKED_SEEDS,
        HIDDEN_SEEDS,
        LATER_SEEDS,
        MASKED_SEEDS,
        PATCHED_SEEDS,
        REPATCHED_SEEDS,
        SEEDS,
        SIZE_SEEDS,
        SPEED_SEEDS,
        STUDIED_SEEDS,
    )
    from conceptspace.sweeps.plan import unique

    everything = unique(p for figure in FIGURES.values() for p in figure.plans(preset, None))
    for plan in everything:
        if plan.config.seed == SEEDS[preset][0]:
            parts.validate(plan.config)
    faces = {"quick": {len(QUICK_SEEDS) + len(ADDED_SEEDS)}, "paper": set()}[preset]
    seeds = {len({p.config.seed for p in f.plans(preset, None)}) for f in FIGURES.values()}
    studied = {*STUDIED_SEEDS[preset]}
    hidden = studied | {*LATER_SEEDS[preset]} | {*HIDDEN_SEEDS[preset]} | {*COMPARED_SEEDS[preset]}
    masked = {*MASKED_SEEDS[preset]}
    half_masked = masked | {*HALF_MASKED_SEEDS[preset]}
    patched = studied | {*PATCHED_SEEDS[preset], *REPATCHED_SEEDS[preset]}
    speeds = {*SPEED_SEEDS[preset], *SIZE_SEEDS[preset]}
    counts = {len(of) for of in (studied, hidden, patched, masked, half_masked, speeds)}
    assert seeds == {0, len(SEEDS[preset]), *counts, *faces}
    for figure in FIGURES.values():
        assert figure.cost.keys() == {"quick", "paper"}


@pytest.mark.parametrize("preset", ["quick", "paper"])
@pytest.mark.parametrize("seeds", [None, range(3)])
def test_fig17_counts_no_seed_twice(preset: str, seeds: Sequence[int] | None) -> None:
    found = [plan.config.seed for plan in FIGURES["fig17"].plans(preset, seeds)]
    assert len(found) == len(set(found))


@pytest.mark.parametrize("preset", ["quick", "paper"])
def test_two_samplers_are_compared_on_the_same_training(preset: str) -> None:
    plans = FIGURES["sampler"].plans(preset, None)
    own, other = plans[: len(plans) // 2], plans[len(plans) // 2 :]
    for a, b in zip(own, other, strict=True):
        assert (a.config.seed, a.config.train) == (b.config.seed, b.config.train)
        sampling = ("sampler", "sampling_steps")
        assert a.config.model_dump(exclude={"evaluate"}) == b.config.model_dump(
            exclude={"evaluate"}
        )
        assert a.config.evaluate.model_dump(exclude=set(sampling)) == b.config.evaluate.model_dump(
            exclude=set(sampling)
        )
        assert all(
            getattr(a.config.evaluate, key) != getattr(b.config.evaluate, key) for key in sampling
        )


def test_every_figure_says_its_claim_its_cost_and_what_decides() -> None:
    for name, figure in FIGURES.items():
        assert figure.claim.endswith("."), name
        assert set(figure.cost) == {"quick", "paper"}, name
        assert figure.primary.startswith(name), name


def test_a_figure_is_found_by_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "fig98"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "figure.py").write_text(
        "from dataclasses import replace\n"
        "from conceptspace.paper.fig10.figure import FIGURE as OTHER\n"
        "FIGURE = replace(OTHER, name='fig98')\n"
    )
    monkeypatch.setattr(paper, "__path__", [*paper.__path__, str(tmp_path)])
    assert [*found()][-3:] == ["fig98", "clip", "sampler"]


def test_the_cubes_leave_a_page_that_the_index_links(tmp_path: Path) -> None:
    figure = FIGURES["fig15"]
    plans = figure.plans("quick", [0])
    plant_all(plans, tmp_path / "quick", lambda plan: Behavior(1500, "010"))
    produce(figure, "quick", tmp_path / "quick", plans)
    page = (tmp_path / "quick" / "fig15" / "fig15.html").read_text()
    assert all(f'"name": "{case}"' in page for case in ("success", "failure"))
    assert "[fig15.html](quick/fig15/fig15.html)" in index(tmp_path)
