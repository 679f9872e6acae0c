"""Every figure from planted runs: drawn, checked, written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from planted import Behavior, plant_all

from conceptspace.analysis.claims import Row, Verdict
from conceptspace.paper.figure import PaperFigure
from conceptspace.paper.plan import Plan
from conceptspace.paper.registry import FIGURES
from conceptspace.paper.results import finished

HELD, FAILED = Verdict.HELD, Verdict.FAILED


def early(plan: Plan) -> float:
    """A little of everything by seed, at most one checkpoint."""
    return 35.0 * (plan.config.seed % 3)


def sweep(plan: Plan) -> Behavior:
    """Larger separations are faster; color overtakes size at 0.35."""
    data = plan.config.data
    turn = 2300 - 2500 * data.color_separation - 2000 * (data.size_separation - 0.4)
    corner = "01" if data.color_separation < 0.35 else "10"
    return Behavior(turn + early(plan), corner)


def flat(plan: Plan) -> Behavior:
    """Nothing depends on the separation, and nothing turns but the training classes."""
    return Behavior(1200, None, train_turn=1200)


def hidden(plan: Plan) -> Behavior:
    """Elicited at step 700, where the trajectory turns; naive prompting is slower by far."""
    at = 700 + early(plan)
    turns = {"overprompting-color": at, "latent-intervention": at, "patching": at}
    naive = {0: 1300.0, 1: 1700.0, 2: 1500.0, 3: 1900.0}[plan.config.seed]
    return Behavior(naive, "01", protocols=turns | {"latent-control": 9999.0})


def plain(plan: Plan) -> Behavior:
    """No protocol makes more than naive prompting does, the control makes it first."""
    later = dict.fromkeys(("overprompting-color", "latent-intervention", "patching"), 2000.0)
    return Behavior(1000 + early(plan), "01", protocols=later | {"latent-control": 200.0})


def masking(plan: Plan) -> Behavior:
    """The color's end moves linearly with the share, and so does the step."""
    share = plan.config.data.masked_share
    turn = 500 + 1500 * share + early(plan)
    faster = {"overprompting-color": 400.0}
    return Behavior(turn, "01", (1 - share, 1.0), protocols=faster)


def delay(plan: Plan) -> Behavior:
    """The step grows with the share; where everything is masked it never comes."""
    share = plan.config.data.masked_share
    return Behavior(500 + 1500 * share + early(plan), "01", (0.0, 1.0) if share == 1 else None)


def no_masking(plan: Plan) -> Behavior:
    """The share makes it faster, if anything, and ends where it would without."""
    return Behavior(1200 - 400 * plan.config.data.masked_share + early(plan), "01")


def three(plan: Plan) -> Behavior:
    """The success arrives; in the failure the background stays bright."""
    if plan.name.startswith("three-success"):
        return Behavior(1500 + early(plan), "010")
    return Behavior(1500 + early(plan), "010", (1.0, 0.05, 1.0))


def three_swapped(plan: Plan) -> Behavior:
    """The other way round, and taken for another class."""
    failing = plan.name.startswith("three-success")
    return Behavior(1500 + early(plan), "001", (1.0, 0.05, 1.0) if failing else None)


def turning(plan: Plan) -> Behavior:
    """All turn, and all weights at the same step; the loss is smooth."""
    return Behavior(1150, "01", protocols={"guidance": 1150})


def patched_late(plan: Plan) -> Behavior:
    """Patching works long after the other protocols do."""
    turns = {"overprompting-color": 400.0, "latent-intervention": 400.0, "patching": 1600.0}
    return Behavior(1000 + early(plan), "01", protocols=turns)


def clipping(plan: Plan) -> Behavior:
    """A learned schedule and a tight clip norm delay everything; alone neither does."""
    tight = plan.config.train.clip_norm < 1 and plan.config.model.schedule == "learned_linear"
    return Behavior(1000, "01", rise=(900.0 if tight else 150.0) + early(plan) / 10)


def clipping_anyway(plan: Plan) -> Behavior:
    """The clip norm alone delays; with a learned schedule it speeds up."""
    tight, fixed = plan.config.train.clip_norm < 1, plan.config.model.schedule == "fixed_linear"
    return Behavior(1000, "01", rise=(900.0 if tight == fixed else 150.0) + early(plan) / 10)


CLAIMS: list[tuple[str, Callable[[Plan], Behavior], dict[str, Verdict]]] = [
    ("fig01c", hidden, {"fig01c-order": HELD}),
    ("fig02", hidden, {"fig02-signal": HELD}),
    ("fig03", sweep, {"fig03-color": HELD, "fig03-size": HELD}),
    ("fig03", flat, {"fig03-color": FAILED, "fig03-size": FAILED}),
    (
        "fig04",
        sweep,
        {
            "fig04-rise": HELD,
            "fig04-weak-color": HELD,
            "fig04-strong-color": HELD,
            "fig04-turn": HELD,
            "fig13-straight": HELD,
        },
    ),
    (
        "fig04",
        flat,
        {"fig04-weak-color": FAILED, "fig04-strong-color": FAILED, "fig04-turn": FAILED},
    ),
    ("fig05", sweep, {"fig05-fit": HELD, "fig05-rotation": HELD}),
    (
        "fig06",
        hidden,
        {
            "fig06-overprompting-color-earlier-probe": HELD,
            "fig06-latent-intervention-earlier-confirmed": HELD,
            "fig06-overprompting-color-same-step-probe": HELD,
            "fig06-latent-control": HELD,
        },
    ),
    (
        "fig06",
        plain,
        {
            "fig06-overprompting-color-earlier-probe": FAILED,
            "fig06-latent-intervention-earlier-confirmed": FAILED,
            "fig06-latent-control": FAILED,
        },
    ),
    ("fig08", delay, {"fig08-delay": HELD}),
    ("fig08", no_masking, {"fig08-delay": FAILED}),
    (
        "fig09a",
        masking,
        {"fig09a-trend": HELD, "fig09a-shift": HELD, "fig09a-purple": HELD},
    ),
    (
        "fig09a",
        no_masking,
        {"fig09a-shift": FAILED, "fig09a-purple": FAILED},
    ),
    ("fig09b", masking, {"fig09b-shift": HELD}),
    ("fig09b", no_masking, {"fig09b-shift": FAILED}),
    (
        "fig10",
        masking,
        {"fig10-complete": FAILED, "fig10-naive-fails": HELD},
    ),
    ("fig12", turning, {"fig12-smooth": HELD}),
    (
        "fig15",
        three,
        {"fig15-success": HELD, "fig15-memorization": HELD, "fig15-failure": HELD},
    ),
    (
        "fig15",
        three_swapped,
        {"fig15-success": FAILED, "fig15-memorization": FAILED, "fig15-failure": FAILED},
    ),
    ("fig16", turning, {"fig16-turn": HELD, "fig16-before": HELD}),
    ("fig17", hidden, {"fig17-stable": HELD}),
    ("fig17", patched_late, {"fig17-stable": FAILED}),
    ("clip", clipping, {"clip-learned": HELD}),
    ("clip", clipping_anyway, {"clip-learned": FAILED, "clip-fixed": HELD}),
]


def checked(figure: PaperFigure, out: Path, does: Callable[[Plan], Behavior]) -> dict[str, Row]:
    plans = figure.plans("quick", None)
    if figure.name == "fig05":
        plans = [plan for plan in plans if plan.config.data.color_separation in (0.1, 0.6)]
    plant_all(plans, out, does, scores=figure.name in ("fig06", "fig09a", "fig12"))
    data = figure.analyse("quick", finished(plans, out))
    drawn = figure.draw(data)
    assert drawn
    assert all(np.isfinite(f.get_figwidth()) for f in drawn.values())
    return {row.name: row for row in figure.checks(data)}


@pytest.mark.parametrize(
    ("name", "does", "verdicts"),
    [
        pytest.param(
            *case,
            id=f"{case[0]}-{case[1].__name__}",
            marks=[pytest.mark.slow] if case[0] == "fig05" else [],
        )
        for case in CLAIMS
    ],
)
def test_a_figure_finds_in_runs_what_was_planted_there(
    name: str, does: Callable[[Plan], Behavior], verdicts: dict[str, Verdict], tmp_path: Path
) -> None:
    rows = checked(FIGURES[name], tmp_path, does)
    found = {key: rows[key].verdict for key in verdicts}
    assert found == verdicts, {key: rows[key] for key in verdicts if found[key] != verdicts[key]}
