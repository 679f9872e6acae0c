"""Every criterion on data in which its claim is true, false, and undecidable."""

from __future__ import annotations

from collections.abc import Callable
from math import inf

import pytest

from conceptspace.analysis.claims import Row, Verdict
from conceptspace.analysis.emergence import Emergence
from conceptspace.analysis.kinks import Kink
from conceptspace.analysis.turning import Turn
from conceptspace.paper.fig01c import criteria as fig01c
from conceptspace.paper.fig02 import criteria as fig02
from conceptspace.paper.fig03 import criteria as fig03
from conceptspace.paper.fig04 import criteria as fig04
from conceptspace.paper.fig05 import criteria as fig05
from conceptspace.paper.fig06 import criteria as fig06
from conceptspace.paper.fig08 import criteria as fig08
from conceptspace.paper.fig09a import criteria as fig09a
from conceptspace.paper.fig09b import criteria as fig09b
from conceptspace.paper.fig10 import criteria as fig10
from conceptspace.paper.fig12 import criteria as fig12
from conceptspace.paper.fig15 import criteria as fig15
from conceptspace.paper.fig16 import criteria as fig16
from conceptspace.paper.fig17 import criteria as fig17
from conceptspace.paper.sampler import criteria as sampler

LAST = 2400.0


def at(step: float) -> Emergence:
    return Emergence(0, step - 100.0, float(step), LAST)


NEVER = Emergence(0, LAST, inf, LAST)
PENDING = Emergence(0, LAST - 200, inf, LAST)
EARLY, MIDDLE, LATE = [at(s) for s in (500, 600, 700)], [at(1200)] * 3, [at(2000)] * 3
SCATTERED = [at(300), at(1200), at(2300)]


def levels(*runs: list[Emergence]) -> dict[float, dict[int, Emergence]]:
    return {0.1 * i: dict(enumerate(of)) for i, of in enumerate(runs, start=1)}


def numbers(*values: list[float]) -> dict[float, dict[int, float]]:
    return {float(i): dict(enumerate(of)) for i, of in enumerate(values)}


def turn(detected: bool = True) -> Turn:
    return Turn(detected, 0.01, 1000.0, (900.0, 1100.0), 80.0, (60.0, 100.0), 0.4, (1.0, 0.2), 3)


def kinks(loss: tuple[float, float] | None, detected: bool = True) -> dict[str, Kink]:
    flat = Kink(False, 0.6, 500.0, (300.0, 2000.0), 0.0, 0.01, 3)
    curves = {"accuracy of 00": flat}
    if loss is not None:
        curves["loss"] = Kink(detected, 0.01, sum(loss) / 2, loss, -0.5, 0.3, 3)
    return curves


def known(*numbers: float) -> list[tuple[float, float]]:
    return [(number, number) for number in numbers]


def smooth(case: list[tuple[Turn | None, dict[str, Kink]]]) -> Row:
    return fig12.smooth_loss(*case[0], case)


FAR, NEAR = kinks((1500.0, 1700.0)), kinks((950.0, 1050.0))
LATER = (0.5, inf)
YES, NO = [True] * 6, [False] * 6
MIXED = [True, False, True, False]

Case = tuple[Callable[[], Row], Verdict]
CASES: dict[str, list[Case]] = {
    "order": [
        (lambda: fig01c.learning_order(EARLY, LATE), Verdict.HELD),
        (lambda: fig01c.learning_order(EARLY, [NEVER] * 3), Verdict.HELD),
        (lambda: fig01c.learning_order(MIDDLE, EARLY), Verdict.FAILED),
        (lambda: fig01c.learning_order(MIDDLE, MIDDLE), Verdict.FAILED),
        (lambda: fig01c.learning_order(EARLY, SCATTERED), Verdict.UNDECIDED),
        (lambda: fig01c.learning_order([NEVER] * 3, [NEVER] * 3), Verdict.UNDECIDED),
    ],
    "signal": [
        (lambda: fig02.signals([0.8, 0.9, 0.85], [0.5, 0.5, 0.6]), Verdict.HELD),
        (lambda: fig02.signals([0.8, 0.9, 0.85], [-0.5, -0.5, -0.6]), Verdict.FAILED),
        (lambda: fig02.signals([0.8, 0.9], [0.5, 0.5]), Verdict.UNDECIDED),
    ],
    "speed": [
        (lambda: fig03.speed("color", levels(LATE, MIDDLE, EARLY)), Verdict.HELD),
        (lambda: fig03.speed("color", levels([NEVER] * 3, MIDDLE, EARLY)), Verdict.HELD),
        (lambda: fig03.speed("color", levels(EARLY, MIDDLE, LATE)), Verdict.FAILED),
        (lambda: fig03.speed("color", levels(MIDDLE, MIDDLE, MIDDLE)), Verdict.FAILED),
        (lambda: fig03.speed("color", levels(*[[NEVER] * 3] * 3)), Verdict.UNDECIDED),
        (lambda: fig03.speed("color", levels([NEVER] * 3, [NEVER] * 3, EARLY)), Verdict.HELD),
        (lambda: fig03.speed("size", levels(LATE[:2], EARLY[:2])), Verdict.UNDECIDED),
    ],
    "sides: rise": [
        (lambda: fig04.sides(numbers([-0.3] * 3, [0.0] * 3, [0.3] * 3))[0], Verdict.HELD),
        (lambda: fig04.sides(numbers([0.3] * 3, [0.0] * 3, [-0.3] * 3))[0], Verdict.FAILED),
        (
            lambda: fig04.sides(numbers([0.0] * 3, [0.1, -0.1, 0.1], [0.2, -0.2, 0.2]))[0],
            Verdict.UNDECIDED,
        ),
    ],
    "sides: weak color": [
        (lambda: fig04.sides(numbers([-0.3, -0.2, -0.25], [0.3] * 3))[1], Verdict.HELD),
        (lambda: fig04.sides(numbers([0.3, 0.2, 0.25], [0.3] * 3))[1], Verdict.FAILED),
        (lambda: fig04.sides(numbers([0.0, 0.0, 0.01], [0.3] * 3))[1], Verdict.FAILED),
        (lambda: fig04.sides(numbers([-0.3, 0.2, 0.0], [0.3] * 3))[1], Verdict.UNDECIDED),
    ],
    "sides: strong color": [
        (lambda: fig04.sides(numbers([-0.3] * 3, [0.2, 0.3, 0.25]))[2], Verdict.HELD),
        (lambda: fig04.sides(numbers([-0.3] * 3, [-0.2, -0.3, -0.25]))[2], Verdict.FAILED),
        (lambda: fig04.sides(numbers([-0.3] * 3, [-0.2, 0.3, 0.0]))[2], Verdict.UNDECIDED),
    ],
    "turn": [
        (lambda: fig04.turns(dict.fromkeys(range(6), YES), {})[0], Verdict.HELD),
        (lambda: fig04.turns(dict.fromkeys(range(6), NO), {})[0], Verdict.FAILED),
        (lambda: fig04.turns({0: YES, 1: MIXED, 2: NO}, {})[0], Verdict.UNDECIDED),
    ],
    "straight": [
        (lambda: fig04.turns({}, dict.fromkeys(range(6), NO))[1], Verdict.HELD),
        (lambda: fig04.turns({}, dict.fromkeys(range(6), YES))[1], Verdict.FAILED),
        (lambda: fig04.turns({}, {0: YES, 1: MIXED, 2: NO})[1], Verdict.UNDECIDED),
    ],
    "smooth loss": [
        (lambda: smooth([(turn(), FAR)] * 3), Verdict.HELD),
        (lambda: smooth([(turn(), kinks((950.0, 1050.0), detected=False))] * 3), Verdict.HELD),
        (lambda: smooth([(turn(), NEAR)] * 3), Verdict.FAILED),
        (lambda: smooth([(turn(), FAR), (turn(), NEAR), (turn(), FAR)]), Verdict.UNDECIDED),
        (lambda: smooth([(turn(detected=False), FAR)] * 3), Verdict.UNDECIDED),
        (lambda: smooth([(None, FAR)] * 3), Verdict.UNDECIDED),
        (lambda: smooth([(turn(), kinks(None))] * 3), Verdict.UNDECIDED),
        (lambda: smooth([(turn(), FAR)] * 2), Verdict.UNDECIDED),
    ],
    "equation": [
        (lambda: fig05.equation_fits("fig05", "Eq. 1", dict.fromkeys(range(6), YES)), Verdict.HELD),
        (
            lambda: fig05.equation_fits("fig05", "Eq. 1", dict.fromkeys(range(6), NO)),
            Verdict.FAILED,
        ),
        (
            lambda: fig05.equation_fits("fig05", "Eq. 1", dict.fromkeys(range(3), YES)),
            Verdict.UNDECIDED,
        ),
        (
            lambda: fig05.equation_fits("fig05", "Eq. 1", {0: YES, 1: NO, 2: MIXED}),
            Verdict.UNDECIDED,
        ),
    ],
    "rotation": [
        (lambda: fig05.rotation_agrees(dict.fromkeys(range(6), YES)), Verdict.HELD),
        (lambda: fig05.rotation_agrees(dict.fromkeys(range(6), NO)), Verdict.FAILED),
        (lambda: fig05.rotation_agrees({0: YES, 1: NO, 2: MIXED}), Verdict.UNDECIDED),
    ],
    "hidden": [
        (lambda: fig06.duration([0.0, 0.1, 0.2, 0.3]), Verdict.UNDECIDED),
        (lambda: fig06.duration([0.1, 0.12, 0.2, 0.14]), Verdict.HELD),
        (lambda: fig06.duration([0.0, 0.0, 0.0, 0.01]), Verdict.FAILED),
        (lambda: fig06.duration([]), Verdict.UNDECIDED),
    ],
    "earlier": [
        (lambda: fig06.earlier("fig06", "p", LATE * 4, EARLY * 4), Verdict.HELD),
        (lambda: fig06.earlier("fig06", "p", [NEVER] * 12, EARLY * 4), Verdict.HELD),
        (lambda: fig06.earlier("fig06", "p", EARLY * 4, LATE * 4), Verdict.FAILED),
        (lambda: fig06.earlier("fig06", "p", MIDDLE * 4, MIDDLE * 4), Verdict.FAILED),
        (lambda: fig06.earlier("fig06", "p", SCATTERED * 4, MIDDLE * 4), Verdict.UNDECIDED),
        (lambda: fig06.earlier("fig06", "p", [NEVER] * 12, [NEVER] * 12), Verdict.FAILED),
        (lambda: fig06.earlier("fig06", "p", LATE, EARLY), Verdict.UNDECIDED),
    ],
    "fails where elicited": [
        (
            lambda: fig06.fails_where_elicited("p", [NEVER, *LATE], [*EARLY, NEVER]),
            Verdict.HELD,
        ),
        (lambda: fig06.fails_where_elicited("p", LATE * 2, EARLY * 2), Verdict.FAILED),
        (lambda: fig06.fails_where_elicited("p", [NEVER] * 6, [NEVER] * 6), Verdict.FAILED),
        (lambda: fig06.fails_where_elicited("p", LATE, EARLY), Verdict.UNDECIDED),
    ],
    "same step": [
        (lambda: fig06.same_step("p", EARLY), Verdict.HELD),
        (
            lambda: fig06.same_step("p", [at(100), at(800), at(1500), at(2300)] * 4),
            Verdict.FAILED,
        ),
        (lambda: fig06.same_step("p", SCATTERED), Verdict.UNDECIDED),
        (lambda: fig06.same_step("p", [at(500), at(600), NEVER]), Verdict.UNDECIDED),
        (lambda: fig06.same_step("p", [NEVER] * 3), Verdict.UNDECIDED),
        (lambda: fig06.same_step("p", [*[at(500)] * 5, PENDING]), Verdict.UNDECIDED),
    ],
    "at the turn": [
        (lambda: fig06.at_the_turn("p", EARLY, [500.0, 620.0, 690.0]), Verdict.HELD),
        (lambda: fig06.at_the_turn("p", LATE, [500.0, 620.0, 690.0]), Verdict.FAILED),
        (lambda: fig06.at_the_turn("p", [NEVER] * 3, [500.0, 620.0, 690.0]), Verdict.FAILED),
        (
            lambda: fig06.at_the_turn("p", [NEVER] * 3, [2300.0, 2200.0, 2250.0]),
            Verdict.UNDECIDED,
        ),
        (lambda: fig06.at_the_turn("p", SCATTERED, [1200.0] * 3), Verdict.UNDECIDED),
    ],
    "more": [
        (lambda: fig06.more("p", "naive", [0.2, 0.3, 0.25], EARLY, LATE), Verdict.HELD),
        (lambda: fig06.more("p", "c", [0.0, 0.01, -0.01], EARLY, EARLY), Verdict.FAILED),
        (lambda: fig06.more("p", "c", [-0.2, -0.3, -0.25], LATE, EARLY), Verdict.FAILED),
        (lambda: fig06.more("p", "c", [0.0, 0.3, 0.1], EARLY, SCATTERED), Verdict.UNDECIDED),
        (lambda: fig06.more("p", "c", [0.2, 0.2], EARLY[:2], LATE[:2]), Verdict.UNDECIDED),
        (lambda: fig06.more("p", "c", [], [], []), Verdict.UNDECIDED),
    ],
    "advanced": [
        (lambda: fig10.advanced("overprompting", [NEVER] * 3, EARLY), Verdict.HELD),
        (lambda: fig10.advanced("overprompting", MIDDLE, LATE), Verdict.FAILED),
        (lambda: fig10.advanced("overprompting", [NEVER] * 3, [NEVER] * 3), Verdict.FAILED),
        (lambda: fig10.advanced("overprompting", MIDDLE, SCATTERED), Verdict.UNDECIDED),
        (lambda: fig10.advanced("overprompting", LATE[:2], EARLY[:2]), Verdict.UNDECIDED),
    ],
    "complete": [
        (lambda: fig10.complete([0.99, 1.0, 0.98]), Verdict.HELD),
        (lambda: fig10.complete([0.5, 0.6, 0.55]), Verdict.FAILED),
        (lambda: fig10.complete([1.0, 0.8, 0.9]), Verdict.UNDECIDED),
    ],
    "naive fails": [
        (lambda: fig10.naive_fails([NEVER, at(500), at(500)]), Verdict.HELD),
        (lambda: fig10.naive_fails([at(500)] * 5), Verdict.FAILED),
        (lambda: fig10.naive_fails([at(500)] * 3), Verdict.UNDECIDED),
        (lambda: fig10.naive_fails([PENDING, *[at(500)] * 4]), Verdict.UNDECIDED),
    ],
    "two samplers: ahead by as much": [
        (lambda: sampler.same_gap([0.02, -0.03, 0.01], "both"), Verdict.HELD),
        (lambda: sampler.same_gap([0.3, 0.25, 0.28], "both"), Verdict.FAILED),
        (lambda: sampler.same_gap([0.3, 0.0, -0.2], "both"), Verdict.UNDECIDED),
        (lambda: sampler.same_gap([0.0, 0.0], "both"), Verdict.UNDECIDED),
    ],
    "two samplers: hidden for as long": [
        (lambda: sampler.same_duration([0.02, -0.03, 0.01], "both"), Verdict.HELD),
        (lambda: sampler.same_duration([-0.3, -0.25, -0.28], "both"), Verdict.FAILED),
        (lambda: sampler.same_duration([0.3, 0.0, -0.2], "both"), Verdict.UNDECIDED),
    ],
    "guided turn": [
        (lambda: fig16.guided_turn(known(0.02, -0.03, 0.0), "1 to 5"), Verdict.HELD),
        (lambda: fig16.guided_turn(known(0.4, 0.5, 0.45), "1 to 5"), Verdict.FAILED),
        (lambda: fig16.guided_turn(known(0.4, -0.3, 0.0), "1 to 5"), Verdict.UNDECIDED),
        (lambda: fig16.guided_turn([*known(0.0, 0.01), LATER], "1 to 5"), Verdict.UNDECIDED),
    ],
    "guided before": [
        (lambda: fig16.guided_before([0.02, 0.03, 0.01]), Verdict.HELD),
        (lambda: fig16.guided_before([0.5, 0.4, 0.45]), Verdict.FAILED),
        (lambda: fig16.guided_before([0.5, 0.0, 0.02]), Verdict.UNDECIDED),
    ],
    "patched, stable": [
        (lambda: fig17.patched_when_stable(known(0.02, -0.03, 0.0)), Verdict.HELD),
        (lambda: fig17.patched_when_stable(known(0.4, 0.5, 0.45)), Verdict.FAILED),
        (lambda: fig17.patched_when_stable([LATER] * 3), Verdict.FAILED),
        (lambda: fig17.patched_when_stable(known(0.0)), Verdict.UNDECIDED),
        (lambda: fig17.patched_when_stable([*known(0.0, 0.01), LATER]), Verdict.UNDECIDED),
    ],
    "patching gains": [
        (lambda: fig17.patching_gains([0.3, 0.25, 0.4]), Verdict.HELD),
        (lambda: fig17.patching_gains([0.0, 0.02, -0.05]), Verdict.FAILED),
        (lambda: fig17.patching_gains([0.0, 0.3, 0.15]), Verdict.UNDECIDED),
        (lambda: fig17.patching_gains([]), Verdict.UNDECIDED),
    ],
    "patched, unstable": [
        (lambda: fig17.patched_when_unstable(NO), Verdict.HELD),
        (lambda: fig17.patched_when_unstable(YES), Verdict.FAILED),
        (lambda: fig17.patched_when_unstable(MIXED), Verdict.UNDECIDED),
        (lambda: fig17.patched_when_unstable(NO[:3]), Verdict.UNDECIDED),
        (lambda: fig17.patched_when_unstable([]), Verdict.UNDECIDED),
    ],
    "delay": [
        (lambda: fig08.delayed(levels(EARLY, MIDDLE, LATE)), Verdict.HELD),
        (lambda: fig08.delayed(levels(EARLY, MIDDLE, [NEVER] * 3)), Verdict.HELD),
        (lambda: fig08.delayed(levels(LATE, MIDDLE, EARLY)), Verdict.FAILED),
        (lambda: fig08.delayed(levels(*[[NEVER] * 3] * 3)), Verdict.UNDECIDED),
    ],
    "color: trend": [
        (lambda: fig09a.color_shift(numbers([0.9] * 3, [0.5] * 3, [0.1] * 3))[0], Verdict.HELD),
        (lambda: fig09a.color_shift(numbers([0.1] * 3, [0.5] * 3, [0.9] * 3))[0], Verdict.FAILED),
        (
            lambda: fig09a.color_shift(numbers([0.9] * 3, [0.5, 0.95, 0.9], [0.1, 0.97, 1.0]))[0],
            Verdict.UNDECIDED,
        ),
    ],
    "color: crossing": [
        (lambda: fig09a.color_shift(numbers([0.9] * 3, [0.1, 0.2, 0.1]))[1], Verdict.HELD),
        (lambda: fig09a.color_shift(numbers([0.9] * 3, [0.8, 0.9, 0.85]))[1], Verdict.FAILED),
        (lambda: fig09a.color_shift(numbers([0.9] * 3, [0.1, 0.9, 0.4]))[1], Verdict.UNDECIDED),
        (lambda: fig09a.color_shift(numbers([0.3] * 3, [0.1, 0.0, 0.1]))[1], Verdict.FAILED),
        (
            lambda: fig09a.color_shift(numbers([0.3, 0.9, 0.5], [0.1, 0.0, 0.1]))[1],
            Verdict.UNDECIDED,
        ),
        (
            lambda: fig09a.color_shift({0.0: {1: 0.9, 2: 0.8, 3: 0.9}, 1.0: {}})[1],
            Verdict.UNDECIDED,
        ),
    ],
    "purple": [
        (lambda: fig09a.purple(numbers([0.8, 0.9, 0.85]), {}), Verdict.HELD),
        (lambda: fig09a.purple(numbers([0.1, 0.0, 0.05]), {}), Verdict.FAILED),
        (lambda: fig09a.purple(numbers([0.1, 0.9, 0.5]), {}), Verdict.UNDECIDED),
        (lambda: fig09a.purple({}, {}), Verdict.UNDECIDED),
    ],
    "target shift": [
        (lambda: fig09b.target_shift([0.009, 0.01, 0.008]), Verdict.HELD),
        (lambda: fig09b.target_shift([0.001, 0.0, 0.002]), Verdict.FAILED),
        (lambda: fig09b.target_shift([0.001, 0.01, 0.005]), Verdict.UNDECIDED),
    ],
    "three: success": [
        (lambda: fig15.success([0.95, 0.97, 0.99], [1, 2, 3]), Verdict.HELD),
        (lambda: fig15.success([0.3, 0.4, 0.2], [1, 2, 3]), Verdict.FAILED),
        (lambda: fig15.success([0.3, 1.0, 0.9], [1, 2, 3]), Verdict.UNDECIDED),
    ],
    "three: failure": [
        (lambda: fig15.failure([0.1, 0.2, 0.1]), Verdict.HELD),
        (lambda: fig15.failure([0.9, 0.95, 0.99]), Verdict.FAILED),
        (lambda: fig15.failure([0.1, 0.9, 0.3]), Verdict.UNDECIDED),
    ],
    "three: memorization": [
        (lambda: fig15.taken_for([0.9, 1.0, 0.95]), Verdict.HELD),
        (lambda: fig15.taken_for([0.1, 0.0, 0.2]), Verdict.FAILED),
        (lambda: fig15.taken_for([0.1, 1.0, 0.5]), Verdict.UNDECIDED),
    ],
}


@pytest.mark.parametrize(
    ("check", "verdict"),
    [
        pytest.param(*case, id=f"{name} {i}")
        for name, of in CASES.items()
        for i, case in enumerate(of)
    ],
)
def test_a_criterion_tells_true_from_false_and_from_undecidable(
    check: Callable[[], Row], verdict: Verdict
) -> None:
    row = check()
    assert row.verdict == verdict, row
    assert bool(row.reason) == (verdict == Verdict.UNDECIDED)
    assert row.low <= row.high


def test_every_criterion_is_tested_with_all_three_verdicts() -> None:
    for name, cases in CASES.items():
        assert {verdict for _, verdict in cases} == set(Verdict), name


def test_a_run_is_stable_if_it_stays_where_it_arrived() -> None:
    steps = [800.0, 900.0, 1000.0, 1100.0]
    assert fig17.is_stable([0.1, 0.9, 1.0, 0.9], at(900), steps)
    assert not fig17.is_stable([0.1, 0.9, 0.3, 0.9], at(900), steps)
    assert not fig17.is_stable([0.1, 0.2, 0.3, 0.4], NEVER, steps)
