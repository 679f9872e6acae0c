"""Fig. 14 on planted trajectories, and on runs with drawn faces."""

from __future__ import annotations

from pathlib import Path

import pytest

from conceptspace.analysis.claims import Verdict
from conceptspace.config import RunConfig, merged, nested
from conceptspace.errors import UserError
from conceptspace.experiment import parts
from conceptspace.experiment.session import Session
from conceptspace.paper.fig14 import figure as fig14
from conceptspace.paper.fig14 import runs
from conceptspace.paper.fig14.runs import PAIRS, VARIABLE, planned, protocols
from conceptspace.paper.framework.keep import OVER_TRAINING, extras_of, keep
from conceptspace.paper.framework.outputs import produce
from conceptspace.paper.framework.registry import FIGURES, chosen
from conceptspace.paper.framework.results import finished
from conceptspace.protocols import registry
from conceptspace.store import open_or_create
from conceptspace.sweeps.plan import Plan
from planted import Behavior, plant_all
from tiny import CPU, tiny_config

HELD, FAILED = Verdict.HELD, Verdict.FAILED


def test_without_the_folder_there_are_no_photographs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    assert planned("paper") == []
    assert "fig14" not in [figure.name for figure in chosen(["all"], "paper")]
    assert chosen(["fig14"], "paper") == [FIGURES["fig14"]]
    with pytest.raises(UserError, match="set CONCEPTSPACE_CELEBA to the folder"):
        fig14.analyse("paper", [])


def test_drawn_faces_need_no_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    plans = planned("quick")
    assert [plan.name for plan in plans] == [
        f"faces-{pair}/seed-{seed}" for pair in ("hat", "mouth") for seed in range(300, 316)
    ]
    assert "fig14" in [figure.name for figure in chosen(["all"], "quick")]
    for plan in plans[::6]:
        parts.validate(plan.config)
        assert registry.completed(plan.config).digest() == plan.config.digest()
    with pytest.raises(UserError, match=r"no run has finished$"):
        fig14.analyse("quick", [])


def test_the_papers_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    """App. C.3, and the pair of the later version."""
    monkeypatch.setenv(VARIABLE, "faces")
    assert "fig14" in [figure.name for figure in chosen(["all"], "paper")]
    plans = planned("paper")
    seeds = (0, 100, 200, 300, 400)
    assert [plan.name for plan in plans] == [f"faces-{p}/seed-{s}" for p in PAIRS for s in seeds]
    config = plans[0].config
    data, probe, train = config.data, config.probe, config.train
    assert (data.kind, data.root, data.resolution) == ("celeba", "faces", 64)
    assert (data.images_per_class, data.validation_share) == (30_000, 0)
    assert (data.jitter, data.flips) == (0.1, 0.5)
    assert data.attributes == ("Not_Male", "Wearing_Hat")
    assert plans[-1].config.data.attributes == ("Not_Male", "Smiling")
    assert (train.steps, train.batch_size, train.learning_rate) == (1_000_000, 64, 1e-3)
    assert (probe.steps, probe.learning_rate, probe.weight_decay) == (10_000, 1e-3, 1e-5)
    assert (probe.pooling, probe.held_out_per_class) == ("average", 3_000)


def elicited(pair: str, step: float, idle: float) -> dict[str, float]:
    """At which step each protocol turns: other ways of asking at one, controls at another."""
    return {name: idle if "control" in name else step for name in protocols(pair)}


@pytest.mark.parametrize(
    ("step", "idle", "behavior", "verdicts"),
    [
        (
            600,
            9e9,
            {"turn": 1500, "corner": "10", "end": (1.0, 0.4)},
            {"hidden": FAILED, "stronger": HELD, "memorization": HELD, "incomplete": HELD},
        ),
        (
            400,
            9e9,
            {"turn": 1700, "corner": "10"},
            {"hidden": HELD, "stronger": HELD, "turn": HELD, "specific": HELD},
        ),
        (
            400,
            400,
            {"turn": 1700, "corner": "10"},
            {"hidden": FAILED, "gain": HELD, "specific": FAILED},
        ),
        (
            1200,
            1200,
            {"turn": 1200, "corner": "01"},
            {"hidden": FAILED, "stronger": FAILED, "memorization": FAILED, "gain": FAILED},
        ),
    ],
)
def test_it_finds_what_was_planted(
    step: float,
    idle: float,
    behavior: dict[str, object],
    verdicts: dict[str, Verdict],
    tmp_path: Path,
) -> None:
    plans = [plan for plan in planned("quick") if plan.name.startswith("faces-hat")]
    does = Behavior(**behavior, protocols=elicited("hat", step, idle))
    plant_all(plans, tmp_path, lambda plan: does, scores=True, kept=True)
    data = fig14.analyse("quick", finished(plans, tmp_path))
    checks = {row.name: row for row in fig14.checks(data)}
    found = {name: checks[f"fig14-hat-{name}"].verdict for name in verdicts}
    assert found == verdicts, checks
    if verdicts["hidden"] == HELD:
        assert list(fig14.draw(data, checks)) == ["fig14a-hat", "fig14b-hat"]
        assert checks[fig14.FIGURE.primary].verdict == HELD


def test_what_the_added_seeds_say_alone_stands_beside_each_claim(tmp_path: Path) -> None:
    """Here they say the opposite, where the class is never made; whole samples decide."""

    def does(plan: Plan) -> Behavior:
        made = 400.0 if plan.config.seed < 306 else 9e9
        return Behavior(1700.0, "10", protocols=elicited("hat", made, 9e9))

    plans = [plan for plan in planned("quick", range(302, 309)) if "hat" in plan.name]
    plant_all(plans, tmp_path, does, scores=True, kept=True)
    checks = {
        row.name: row for row in fig14.checks(fig14.analyse("quick", finished(plans, tmp_path)))
    }
    hidden = checks["fig14-hat-hidden"]
    assert (hidden.effect, hidden.seeds) == (4 / 7, 7)
    assert hidden.note.startswith("Of 3 seeds by which the sample was enlarged: undecided: 0 of")
    fresh = fig14.analyse("quick", finished(plans[4:], tmp_path))
    assert not any("enlarged" in row.note for row in fig14.checks(fresh))


def ran(config: RunConfig, setting: str, out: Path) -> Plan:
    plan = Plan(f"{setting}/seed-{config.seed}", config)
    run, _ = open_or_create(plan.folder(out), config)
    list(Session(run, CPU, out / "probes").execute())
    return plan


@pytest.mark.slow
def test_from_images_to_the_figure_and_from_what_is_kept(tmp_path: Path) -> None:
    """Tiny: training means nothing here, every part is used."""
    changes = runs.changes("quick", "mouth") | {
        "data.images_per_class": 20,
        "probe.images_per_class": 10,
        "probe.held_out_per_class": 10,
        "probe.steps": 2,
        "train.steps": 9,
        "train.checkpoint_steps": (0, 1, 3, 5, 7, 9),
        "evaluate.samples": 2,
        "evaluate.elicitation_samples": 2,
        "evaluate.sampling_steps": 2,
    }
    for name in ("train.checkpoints", "train.first_checkpoint"):
        del changes[name]
    plan = ran(merged(tiny_config(), nested(changes), "test"), "faces-mouth", tmp_path / "a")
    pictures = produce(fig14.FIGURE, "quick", tmp_path / "a", [plan])
    names = ["fig14a-mouth.png", "fig14b-mouth.png", "images-mouth.png"]
    assert [path.name for path in pictures] == names
    assert all(path.stat().st_size > 10_000 for path in pictures)
    (result,) = finished([plan], tmp_path / "a")
    data = fig14.analyse("quick", [result])
    assert set(data.pairs["mouth"].images) == {"00", "01", "10", "11"}
    rows = fig14.checks(data)
    assert {row.verdict for row in rows} == {Verdict.UNDECIDED}
    assert keep(result, tmp_path / "b", ("images",))
    again = fig14.analyse("quick", finished([plan], tmp_path / "b"))
    assert [*map(repr, fig14.checks(again))] == [*map(repr, rows)]
    assert set(again.pairs["mouth"].images) == set(data.pairs["mouth"].images)
    assert len(again.pairs["mouth"].sheets) == 1
    assert keep(result, tmp_path / "b", ("images", OVER_TRAINING))
    names = ["fig14a-mouth.png", "fig14b-mouth.png", "images-mouth.png"]
    drawn = produce(fig14.FIGURE, "quick", tmp_path / "b", [plan])
    assert [path.name for path in drawn] == names
    assert drawn[-1].read_bytes() == pictures[-1].read_bytes()


def test_images_are_kept_of_its_runs_and_all_of_the_first() -> None:
    first, second = planned("quick")[:2]
    assert extras_of([fig14.FIGURE], first, "quick") == ["images", OVER_TRAINING]
    assert extras_of([fig14.FIGURE], second, "quick") == ["images"]
