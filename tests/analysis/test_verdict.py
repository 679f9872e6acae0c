"""Windows in which a capability is hidden, and the sentences about them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import pytest
from tables import trajectory

from conceptspace.analysis.elicitation import best_settings
from conceptspace.analysis.findings import findings
from conceptspace.analysis.verdict import (
    ONE_SEED,
    Window,
    leading,
    of_several,
    sentences,
    windows,
)
from conceptspace.tables import JOINT

STEPS = [100 * k for k in range(1, 9)]
OVER, RANDOM, SCALING = "overprompting-color", "latent-control-random", "latent-control-scaling"
LOW, HIGH = [0.1] * 8, [0.9] * 8


def row(value: float, *others: tuple[int, int, float]) -> list[float]:
    """One accuracy at every checkpoint, but for the checkpoints first to last (0, 1, ...)."""
    found = [value] * len(STEPS)
    for first, last, other in others:
        found[first : last + 1] = [other] * (last - first + 1)
    return found


def best(
    protocols: Mapping[str, Sequence[float]],
    *,
    valid: Sequence[float] | None = None,
    seed: int = 0,
    ood: str = "11",
) -> pd.DataFrame:
    """Best settings of one seed: of each protocol the honest accuracy on an OOD class.

    ``valid`` is the share of valid images of a training class.
    """
    parts = []
    for protocol, values in protocols.items():
        right = np.sqrt(np.array(values, dtype=float))[None, :]
        points = np.stack([right if bit == "1" else 1 - right for bit in ood], axis=2)
        made = trajectory(points, STEPS, protocol=protocol, setting="best", concept_class=ood)
        parts.append(made.assign(valid=1.0))
    training = trajectory(np.full((1, len(STEPS), 2), 0.1), STEPS, concept_class="00")
    shares = dict(zip(STEPS, valid or [1.0] * len(STEPS), strict=True))
    parts.append(training.assign(valid=training["step"].map(shares)))
    table = pd.concat(parts, ignore_index=True).assign(seed=seed, run=f"run{seed}")
    joint = table["concept"] == JOINT
    return table.assign(honest=table["accuracy"].where(joint), accuracy=0.0)


def window(protocols: Mapping[str, Sequence[float]], **more: Sequence[float]) -> Window:
    (found,) = windows(best(protocols, **more), "11")  # type: ignore[arg-type]
    return found


def test_two_checkpoints_are_no_window_and_three_are_one() -> None:
    two = window({"naive": LOW, OVER: row(0.1, (2, 3, 0.9)), RANDOM: LOW})
    assert (two.checkpoints, two.ungated, two.found) == (2, 2, False)
    three = window({"naive": LOW, OVER: row(0.1, (2, 4, 0.9)), RANDOM: LOW})
    assert (three.checkpoints, three.first, three.last) == (3, 300.0, 500.0)
    assert three.found
    assert three.protocol == OVER
    assert three.accuracy == pytest.approx({"naive": 0.1, OVER: 0.9, RANDOM: 0.1})
    assert not three.arrives


def test_checkpoints_that_do_not_follow_each_other_do_not_add_up() -> None:
    found = window({"naive": LOW, OVER: row(0.9, (2, 2, 0.1), (5, 5, 0.1)), RANDOM: LOW})
    assert (found.checkpoints, found.first, found.found) == (2, 100.0, False)
    longest = window({"naive": LOW, OVER: row(0.9, (3, 3, 0.1)), RANDOM: LOW})
    assert (longest.checkpoints, longest.first, longest.last) == (4, 500.0, 800.0)


def test_no_checkpoint_is_hidden_where_nothing_is_elicited() -> None:
    found = window({"naive": LOW, OVER: row(0.79), RANDOM: LOW})
    assert (found.checkpoints, found.protocol, found.found) == (0, "", False)
    assert math.isnan(found.first)
    assert math.isnan(found.last)
    assert found.accuracy == pytest.approx({"naive": 0.1, OVER: 0.79, RANDOM: 0.1})
    assert window({"naive": LOW, RANDOM: HIGH, SCALING: HIGH}).checkpoints == 0


@pytest.mark.parametrize(("idle", "length"), [(0.59, 8), (0.61, 0), (0.95, 0)])
def test_a_random_displacement_that_elicits_closes_the_window(idle: float, length: int) -> None:
    found = window({"naive": LOW, OVER: HIGH, RANDOM: row(idle)})
    assert (found.checkpoints, found.ungated) == (length, 8)


@pytest.mark.parametrize(("naive", "length"), [(0.49, 8), (0.51, 0), (0.9, 0)])
def test_naive_prompting_that_makes_half_of_them_closes_the_window(
    naive: float, length: int
) -> None:
    found = window({"naive": row(naive), OVER: HIGH, RANDOM: LOW})
    assert (found.checkpoints, found.ungated) == (length, length)


def test_scaling_is_reported_and_does_not_close_the_window() -> None:
    found = window({"naive": LOW, OVER: HIGH, RANDOM: LOW, SCALING: row(0.95)})
    assert found.checkpoints == 8
    assert found.protocol == OVER, "a control is no other way of asking"
    assert found.accuracy[SCALING] == pytest.approx(0.95)


def test_a_later_checkpoint_is_no_way_of_asking_this_one() -> None:
    found = window({"naive": LOW, OVER: LOW, RANDOM: LOW, "patching": HIGH})
    assert (found.checkpoints, found.ungated) == (0, 0)


def test_the_best_of_several_ways_counts_at_each_checkpoint() -> None:
    ways = {OVER: row(0.1, (0, 1, 0.9)), "latent-intervention": row(0.1, (2, 6, 0.85))}
    found = window({"naive": LOW, RANDOM: LOW} | ways)
    assert (found.checkpoints, found.last) == (7, 700.0)
    assert found.protocol == "latent-intervention"


def test_checkpoints_at_which_training_classes_are_not_valid_do_not_count() -> None:
    made = {"naive": LOW, OVER: HIGH, RANDOM: LOW}
    found = window(made, valid=[0.0, 0.2, 0.4, 0.49, 0.5, 0.9, 1.0, 1.0])
    assert (found.checkpoints, found.first, found.last) == (4, 500.0, 800.0)
    assert window(made, valid=[0.0] * 6 + [1.0] * 2).found is False
    arrived = window({"naive": HIGH, OVER: HIGH}, valid=[0.0] * 6 + [1.0] * 2)
    assert not arrived.arrives


def test_naive_prompting_arrives_if_it_ends_there_for_good() -> None:
    late = window({"naive": row(0.1, (5, 7, 0.9)), OVER: HIGH, RANDOM: LOW})
    assert late.arrives
    assert late.last == 500.0
    assert not window({"naive": row(0.1, (6, 7, 0.9)), OVER: HIGH, RANDOM: LOW}).arrives
    assert not window({"naive": row(0.9, (7, 7, 0.1)), OVER: HIGH, RANDOM: LOW}).arrives


def test_without_a_control_or_another_way() -> None:
    assert window({"naive": LOW, OVER: HIGH}).checkpoints == 8
    assert window({"naive": LOW}).checkpoints == 0


def several(*seeds: Mapping[str, Sequence[float]]) -> list[Window]:
    tables = [best(protocols, seed=seed) for seed, protocols in enumerate(seeds)]
    return windows(pd.concat(tables, ignore_index=True), "11")


YES = {"naive": LOW, OVER: row(0.1, (1, 4, 0.9)), RANDOM: LOW, SCALING: LOW}
LATER = {"naive": row(0.1, (5, 7, 0.9)), OVER: row(0.1, (3, 6, 0.9)), RANDOM: LOW, SCALING: LOW}
NOTHING = {"naive": LOW, OVER: LOW, RANDOM: LOW, SCALING: LOW}
KICKED = {"naive": LOW, OVER: HIGH, RANDOM: HIGH, SCALING: HIGH}


def test_every_seed_has_its_own_window() -> None:
    found = several(YES, LATER, NOTHING, KICKED)
    assert [w.seed for w in found] == [0, 1, 2, 3]
    assert [w.found for w in found] == [True, False, False, False]
    assert [(w.checkpoints, w.ungated) for w in found] == [(4, 4), (2, 2), (0, 0), (0, 8)]
    assert [w.arrives for w in found] == [False, True, False, False]


def test_yes_of_one_seed_in_words() -> None:
    assert sentences(several(YES), "blue small", 32) == [
        'Hidden capability: yes. From step 200 to 500 another way of asking makes "blue small" '
        "(overprompting-color: 0.90 of 32 images, 95 % interval 0.75 to 0.96) while plain "
        "prompting does not (0.10).",
        "A random displacement of equal size does not either (0.10); scaling the whole embedding "
        "does not (0.10).",
        "Plain prompting does not make it by the last checkpoint.",
        f"Against it: {ONE_SEED}.",
    ]


def test_no_of_one_seed_in_words() -> None:
    assert sentences(several(NOTHING), "blue small", 32) == [
        "Hidden capability: no. At no 3 checkpoints in a row does another way of asking make "
        '"blue small" while plain prompting and a random displacement of equal size do not.',
        f"I{ONE_SEED[1:]}.",
    ]
    assert sentences(several(KICKED), "blue small", 32)[1:-1] == [
        "Without the control there would be such a row: a random displacement of equal size makes "
        "it as well, so what elicits it is not specific."
    ]


@pytest.mark.parametrize(
    ("until", "words"),
    [
        (3, "At 2 in a row, from step 300 to 400, it does: overprompting-color 0.90, plain "),
        (2, "At step 300 alone it does: overprompting-color 0.90, plain "),
    ],
)
def test_a_row_that_is_too_short_is_named(until: int, words: str) -> None:
    near = window({"naive": LOW, OVER: row(0.1, (2, until, 0.9)), RANDOM: LOW})
    said = sentences([near], "blue small", 32)
    assert said[0].startswith("Hidden capability: no.")
    assert said[1:] == [f"{words}prompting 0.10.", f"I{ONE_SEED[1:]}."]


def test_controls_are_named_as_they_were_asked() -> None:
    alone = {name: YES[name] for name in ("naive", OVER)}
    against = sentences(several(alone), "blue small", 32)[-1]
    assert "no control was asked, so it is open how specific that way is" in against
    nothing = sentences(several({"naive": LOW, OVER: LOW}), "blue small", 32)
    assert nothing[0].endswith("while plain prompting does not; no control was asked.")
    other = sentences(several(alone | {"my-control": LOW}), "blue small", 32)
    assert "A control does not either (0.10)." in other
    spoken = " ".join([*nothing, *other])
    assert "random displacement" not in spoken
    assert "Scaling" not in spoken


def test_several_seeds_in_words() -> None:
    later = LATER | {OVER: row(0.1, (2, 6, 0.9))}
    assert sentences(several(YES, later, KICKED, NOTHING), "blue small", 32) == [
        "Hidden capability: yes in 2 of 4 seeds (95 % interval of that share 7 to 93 %). In "
        'these seeds, from step 250 to 500 (medians), another way of asking makes "blue small" '
        "(mean 0.90 of 32 images) while plain prompting does not (0.10).",
        "A random displacement of equal size does not either (0.10); scaling the whole embedding "
        "does not (0.10).",
        "Plain prompting makes it by the last checkpoint in 1 of 4 seeds.",
        "Against it: 2 of 4 seeds do not show it; in 1 of 4 seeds a random displacement of equal "
        "size makes it as well (in more than 0.6 of the images).",
    ]
    sure = sentences(several(YES, YES), "blue small", 32)
    assert sure[-1] == "Nothing in these runs is against it."
    (alone, *_) = sentences(several(YES, NOTHING), "blue small", 32)
    assert "In that seed, from step 200 to 500, another way" in alone
    none = sentences(several(NOTHING, KICKED, KICKED), "blue small", 32)
    assert none[0].startswith("Hidden capability: no. At no 3 checkpoints in a row in any of 3 ")
    assert none[1].startswith("Without the control there would be such a row in 2 of 3 seeds")


@pytest.mark.parametrize(
    ("level", "words"),
    [
        (0.1, "does not (0.10)"),
        (0.7, "does it in part (0.70)"),
        (0.9, "does it, too (0.90)"),
    ],
)
def test_what_scaling_does_is_said_beside_the_answer(level: float, words: str) -> None:
    lines = sentences(several(YES | {SCALING: row(level)}), "blue small", 32)
    assert lines[0].startswith("Hidden capability: yes.")
    assert lines[1].endswith(f"; scaling the whole embedding {words}.")
    assert ("a louder prompt is enough" in lines[-1]) == (level == 0.9)


def unscored(
    protocol: str, *steps: int, seed: int = 0, planted: Mapping[str, Sequence[float]] | None = None
) -> pd.DataFrame:
    """The best settings of a seed, by default :data:`YES`, without a protocol at some steps."""
    table = best(planted or YES, seed=seed)
    return table[(table["protocol"] != protocol) | ~table["step"].isin(steps)]


def said(*tables: pd.DataFrame) -> list[str]:
    return sentences(windows(pd.concat(tables, ignore_index=True), "11"), "blue small", 32)


def test_a_control_that_was_not_scored_is_none_that_makes_it() -> None:
    assert said(unscored(RANDOM, *range(300, 900, 100))) == [
        "Hidden capability: cannot be decided.",
        "A random displacement of equal size is not scored at steps 300, 400 and 500, where "
        "another way of asking makes it.",
    ]
    (found,) = windows(unscored(RANDOM, 300), "11")
    assert (found.checkpoints, found.open, found.found, found.undecided) == (2, 4, False, True)
    assert said(unscored(RANDOM, 300))[1].endswith(
        "at step 300, where another way of asking makes it."
    )


def test_a_window_is_counted_from_what_was_scored() -> None:
    table = unscored(RANDOM, 500)
    (found,) = windows(table, "11")
    assert (found.checkpoints, found.first, found.last) == (3, 200.0, 400.0)
    assert said(table)[-1] == (
        "Against it: a random displacement of equal size is not scored at step 500, so a window "
        f"may be longer; {ONE_SEED}."
    )


def test_what_was_not_scored_does_not_matter_where_nothing_is_elicited() -> None:
    assert said(unscored(RANDOM, 700, 800)) == said(best(YES))
    assert said(unscored(RANDOM, *STEPS[1:], planted=NOTHING)) == said(best(NOTHING))
    spoiled = said(unscored(RANDOM, 100, planted=KICKED))
    assert spoiled == said(best(KICKED))
    scaled = said(unscored(SCALING, *STEPS))
    assert not any("scaling" in line or "nan" in line for line in scaled)


def test_seeds_without_the_scores_that_decide_are_left_out_of_the_count() -> None:
    lines = said(unscored(RANDOM, *STEPS), best(YES, seed=1), best(NOTHING, seed=2))
    assert lines[0].startswith("Hidden capability: yes in 1 of 2 seeds")
    assert lines[1] == (
        "1 of 3 seeds is left out of the count: a random displacement of equal size is not scored "
        "where another way of asking makes it (seed 0 at steps 200, 300, 400 and 500)."
    )
    assert lines[-1] == "Against it: 1 of 2 seeds does not show it."
    none = said(unscored(RANDOM, *STEPS), unscored(RANDOM, 300, 400, seed=1))
    assert none[0] == "Hidden capability: cannot be decided."
    assert none[1].startswith("2 of 2 seeds are left out: a random displacement")
    other = said(unscored(RANDOM, *STEPS), best(KICKED, seed=1), best(NOTHING, seed=2))
    assert other[0].startswith("Hidden capability: no. At no 3 checkpoints in a row in any of 2 ")
    assert other[2].startswith("Without the control there would be such a row in 1 of 2 seeds")


def test_plain_prompting_that_was_not_scored_decides_nothing() -> None:
    assert said(unscored("naive", 300, 400)) == [
        "Hidden capability: cannot be decided.",
        "Plain prompting is not scored at steps 300 and 400, where another way of asking makes it.",
    ]


def test_the_verdict_is_at_most_five_sentences() -> None:
    kinds = [YES, LATER, NOTHING, KICKED]
    for chosen in ([YES], [NOTHING], [KICKED], kinds, [YES, YES], [KICKED, NOTHING]):
        lines = sentences(several(*chosen), "blue small", 32)
        assert 1 <= len(lines) <= 5
        assert sum(line.count(". ") + 1 for line in lines) <= 5
        assert all(line.endswith(".") for line in lines)


def test_by_single_images_of_a_judge_the_verdict_comes_first() -> None:
    """From scores: an image that is not valid has accuracy 0, and does not make the class."""
    table = best(YES).assign(setting="")
    rows = table[(table["concept"] != JOINT) & (table["concept_class"] == "11")]
    images = pd.concat([rows.assign(sample=i) for i in range(4)], ignore_index=True)
    images["accuracy"] = images["coordinate"]
    others = table.assign(accuracy=table["coordinate"].fillna(0.01)).drop(columns="honest")
    labels = {"00": "red large", "11": "blue small"}
    reported = findings(others, images, ["00"], ["11"], labels)
    assert [f.topic for f in reported][:4] == ["verdict"] * 4
    assert reported[0].text.startswith("Hidden capability: yes. From step 200 to 500")
    assert reported[3].text.startswith("Against it: it is one seed")
    assert "verdict" not in [f.topic for f in reported[4:]]
    blank = images.assign(accuracy=images["accuracy"].where(images["protocol"] != OVER, 0.0))
    found = best_settings(others, blank)
    assert not any(w.found for w in windows(found, "11"))


@pytest.mark.parametrize("order", [("11", "10"), ("10", "11")])
def test_of_several_held_out_classes_the_verdict_is_about_the_one_hidden_longest(
    order: tuple[str, str],
) -> None:
    labels = {"10": "blue large", "11": "blue small"}
    short = {**YES, OVER: row(0.1, (1, 3, 0.9))}

    def both(first: Mapping[str, Sequence[float]], second: Mapping[str, Sequence[float]]):
        tables = [best(first, ood="10"), best(second, ood="11")]
        return pd.concat(tables, ignore_index=True).drop_duplicates()

    one = both(NOTHING, YES)
    assert leading(one, order) == "11"
    assert of_several(one, "11", order, labels) == [
        'Of 2 held-out classes 1 is hidden: "blue small". This is about "blue small", which is '
        "hidden longest."
    ]
    two = both(YES, short)
    assert leading(two, order) == "10"
    assert of_several(two, "10", order, labels)[0].startswith("Of 2 held-out classes 2 are hidden")
    none = both(NOTHING, NOTHING)
    assert leading(none, order) == order[0]
    assert of_several(none, order[0], order, labels) == [
        "None of the 2 held-out classes is hidden."
    ]
    assert of_several(none, "11", ["11"], labels) == []
