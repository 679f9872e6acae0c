"""Fig. 14 on planted trajectories, and on runs with generated faces."""

from __future__ import annotations

from pathlib import Path

import pytest

from conceptspace.analysis.claims import Verdict
from conceptspace.config import RunConfig, merged, nested
from conceptspace.errors import UserError
from conceptspace.experiment.session import Session
from conceptspace.paper.fig14 import figure as fig14
from conceptspace.paper.framework.outputs import produce
from conceptspace.paper.framework.registry import FIGURES, chosen
from conceptspace.paper.framework.results import finished
from conceptspace.paper.thresholds import LEANING, MOST
from conceptspace.presets import quick
from conceptspace.store import open_or_create
from conceptspace.sweeps.plan import Plan
from faces import write_folder
from planted import Behavior, plant_all
from tiny import CPU, tiny_config

HELD, FAILED = Verdict.HELD, Verdict.FAILED


def test_without_the_folder_there_is_nothing_to_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(fig14.VARIABLE, raising=False)
    assert fig14.plans("quick") == []
    assert "fig14" not in [figure.name for figure in chosen(["all"])]
    assert chosen(["fig14"]) == [FIGURES["fig14"]]
    with pytest.raises(UserError, match="set CONCEPTSPACE_CELEBA to the folder"):
        fig14.analyse("quick", [])


def test_the_papers_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    """App. C.3."""
    monkeypatch.setenv(fig14.VARIABLE, "faces")
    assert "fig14" in [figure.name for figure in chosen(["all"])]
    plans = fig14.plans("paper")
    assert [plan.name for plan in plans] == [f"faces/seed-{s}" for s in (0, 100, 200, 300, 400)]
    config = plans[0].config
    data, probe, train = config.data, config.probe, config.train
    assert (data.kind, data.root, data.resolution) == ("celeba", "faces", 64)
    assert (data.images_per_class, data.validation_share) == (30_000, 0)
    assert (data.jitter, data.flips) == (0.1, 0.5)
    assert data.attributes == ("Not_Male", "Smiling")
    assert (train.steps, train.batch_size, train.learning_rate) == (1_000_000, 64, 1e-3)
    assert (probe.steps, probe.learning_rate, probe.weight_decay) == (10_000, 1e-3, 1e-5)
    assert (probe.pooling, probe.held_out_per_class) == ("average", 3_000)


@pytest.mark.parametrize(
    ("behavior", "verdicts"),
    [
        (
            Behavior(1200, "10", (1.0, 0.4)),
            {"stronger": HELD, "memorization": HELD, "turn": HELD, "incomplete": HELD},
        ),
        (
            Behavior(1200, "01", train_turn=1200),
            {"stronger": FAILED, "memorization": FAILED, "turn": HELD, "incomplete": FAILED},
        ),
        (Behavior(1200, "10", (1.0, 0.0)), {"turn": FAILED, "incomplete": HELD}),
    ],
)
def test_it_finds_what_was_planted(
    behavior: Behavior,
    verdicts: dict[str, Verdict],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(fig14.VARIABLE, "nowhere")
    plans = fig14.plans("quick")
    plant_all(plans, tmp_path, lambda plan: behavior)
    data = fig14.analyse("quick", finished(plans, tmp_path))
    checks = {row.name: row for row in fig14.checks(data)}
    rows = {name.removeprefix("fig14-"): row for name, row in checks.items()}
    assert {name: rows[name].verdict for name in verdicts} == verdicts, rows
    assert list(fig14.draw(data, checks)) == ["fig14"]


def ran(config: RunConfig, out: Path) -> Plan:
    plan = Plan(f"faces/seed-{config.seed}", config)
    run, _ = open_or_create(plan.folder(out), config)
    list(Session(run, CPU, out / "probes").execute())
    return plan


def test_from_images_to_the_figure(tmp_path: Path) -> None:
    """Tiny: training means nothing here, every part is used."""
    root = write_folder(tmp_path / "faces", 16)
    config = tiny_config(
        data__kind="celeba",
        data__root=str(root),
        data__images_per_class=16,
        train__checkpoint_steps=(0, 1, 2, 3, 5, 7, 8, 9),
    )
    plan = ran(config, tmp_path)
    pictures = produce(fig14.FIGURE, "quick", tmp_path, [plan])
    assert [path.name for path in pictures] == ["fig14.png", "images.png"]
    assert all(path.stat().st_size > 10_000 for path in pictures)
    data = fig14.analyse("quick", finished([plan], tmp_path))
    assert set(data.images) == {"00", "01", "10", "11"}
    assert {row.verdict for row in fig14.checks(data)} == {Verdict.UNDECIDED}


@pytest.mark.slow
def test_the_claim_on_generated_faces(tmp_path: Path) -> None:
    """Three seeds of 400 steps, under a minute each on an idle core; too few for verdicts."""
    root = write_folder(tmp_path / "faces", 200)
    changes = {
        "data.kind": "celeba",
        "data.root": str(root),
        "data.images_per_class": 200,
        "train.steps": 400,
        "train.checkpoints": 8,
        "train.first_checkpoint": 50,
        "probe.images_per_class": 160,
        "probe.held_out_per_class": 40,
        "probe.steps": 120,
        "evaluate.samples": 16,
        "evaluate.sampling_steps": 12,
        "evaluate.protocols": (),
    }
    plans = [
        ran(merged(quick(), nested(changes | {"seed": seed}), "test"), tmp_path)
        for seed in range(3)
    ]
    data = fig14.analyse("quick", finished(plans, tmp_path))
    assert min(data.leanings) > LEANING
    assert sum(data.taken_for) / len(data.taken_for) > MOST
    assert len(fig14.checks(data)) == 4
