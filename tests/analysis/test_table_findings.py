"""What a table of skills says, against tables in which the truth was planted."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from conceptspace.analysis.levels import Levels
from conceptspace.analysis.quantities import each_setting
from conceptspace.analysis.reading import read_trajectory
from conceptspace.analysis.table_findings import table_findings
from conceptspace.errors import UserError


def rises(step, at):
    return 1 / (1 + np.exp(-(step - at) / 20))


def skills(at, seeds=(0, 1, 2), **more):
    """Each (way, skill) rises at its step, each seed 10 later than the one before."""
    rows = [
        (seed, step, way, skill, rises(step, late + 10 * seed))
        for seed in seeds
        for step in range(100, 2001, 100)
        for (way, skill), late in at.items()
    ]
    columns = ["seed", "step", "protocol", "concept", "accuracy"]
    return read_trajectory(pd.DataFrame(rows, columns=columns), **more)


def texts_on(table, topic):
    return [f.text for f in table_findings(table) if f.topic == topic]


NEVER = 9999


def test_a_planted_window_is_found_with_its_control():
    at = {("naive", "add"): 1550, ("five", "add"): 550, ("random", "add"): NEVER}
    answer, text = texts_on(skills(at, controls=["random"]), "verdict")
    assert answer == (
        'Hidden window of "add": yes in 3 of 3 seeds, from step 600 to 1500 (medians).'
    )
    assert text.startswith("There five reaches 0.99 on average, and the plain way of asking 0.01")
    assert "control random 0.00" in text
    assert text.endswith("the plain way is in 3 of 3 seeds at 0.8 or more.")


def test_a_control_that_does_as_well_takes_the_window():
    at = {("naive", "add"): 1550, ("five", "add"): 550, ("random", "add"): 550}
    first, _, third = texts_on(skills(at, controls=["random"]), "verdict")
    assert first == 'Hidden window of "add": no in any of 3 seeds.'
    assert third.startswith("Without the control there would be such a row in 3 of 3 seeds")


def test_without_a_window_no_is_the_answer():
    at = {("naive", "add"): 550, ("five", "add"): 550}
    first, _ = texts_on(skills(at), "verdict")
    assert first == 'Hidden window of "add": no in any of 3 seeds.'


def test_seeds_that_lack_a_way_of_asking_are_counted_apart():
    table = skills({("naive", "add"): 1550, ("five", "add"): 550})
    only = table[(table["protocol"] == "naive") | (table["seed"] == 1)]
    first, _ = texts_on(only, "verdict")
    assert "yes in 1 of 1 seeds that were asked otherwise, from step 600 to 1500" in first
    other = table[(table["protocol"] == "naive") | (table["step"] > 9000)]
    never = table[(table["protocol"] == "five") & (table["step"] == 100)].assign(step=150)
    (text,) = texts_on(pd.concat([other, never]), "verdict")
    assert text.endswith(
        "no checkpoint has both the plain way of asking and another one, so it is not known."
    )


def asked_at(controls=(), **ways):
    """A table of one seed: of each way the accuracy by step."""
    rows = [
        (step, way, value) for way, curve in ways.items() for step, value in sorted(curve.items())
    ]
    return read_trajectory(
        pd.DataFrame(rows, columns=["step", "protocol", "accuracy"]), controls=controls
    )


def curve(*values, at=range(100, 1001, 100)):
    return dict(zip(at, values, strict=True))


DIPS = curve(0.1, *[0.9] * 3, 0.1, *[0.9] * 4, 0.1)
LATE = curve(*[0.1] * 4, 0.2, 0.3, 0.9, *[0.95] * 3)
EARLY = curve(0.1, *[0.9] * 5, *[0.95] * 4)


def test_checkpoints_that_lack_a_control_are_not_skipped():
    control = curve(0.1, 0.1, 0.1, at=(100, 500, 1000))
    table = asked_at(["swap"], naive=DIPS, few=curve(*[0.9] * 10), swap=control)
    first, *_ = texts_on(table, "verdict")
    assert first == 'Hidden window of "accuracy": no.'
    (gap,) = [text for text in texts_on(table, "data") if "every checkpoint" in text]
    assert gap.startswith(
        'Not every way of asking has every checkpoint of "accuracy": control swap at 3 of 10 '
    )


def test_a_control_that_is_missing_in_a_window_leaves_it_undecided():
    control = curve(0.1, 0.1, 0.1, at=(100, 500, 1000))
    (text,) = texts_on(asked_at(["swap"], naive=LATE, few=EARLY, swap=control), "verdict")
    assert text == (
        'Hidden window of "accuracy": cannot be decided; control swap is missing at steps 200, '
        "300, 400 and 600, where another way reaches 0.8."
    )
    control = curve(*[0.1] * 9, at=[*range(100, 600, 100), *range(700, 1001, 100)])
    texts = texts_on(asked_at(["swap"], naive=LATE, few=EARLY, swap=control), "verdict")
    assert texts[0].endswith("yes, from step 200 to 500.")
    assert texts[-1] == (
        "Control swap is missing at step 600, where another way reaches 0.8, so the window may be "
        "longer."
    )


def test_another_way_counts_where_it_was_asked():
    without = texts_on(asked_at(naive=LATE, few=EARLY), "verdict")
    assert without[0] == 'Hidden window of "accuracy": yes, from step 200 to 600.'
    cot = curve(0.1, 0.95, at=(100, 1000))
    assert texts_on(asked_at(naive=LATE, few=EARLY, cot=cot), "verdict")[0] == without[0]


def test_the_plain_way_arrives_at_its_own_checkpoints():
    few = {step: value for step, value in EARLY.items() if step <= 600}
    texts = texts_on(asked_at(naive=LATE, few=few), "verdict")
    assert texts[0] == 'Hidden window of "accuracy": yes, from step 200 to 600.'
    assert texts[1].endswith("at the end the plain way is at 0.8 or more.")


def test_a_seed_that_lacks_the_control_is_left_out_of_the_count():
    at = {("naive", "add"): 1550, ("five", "add"): 550, ("random", "add"): NEVER}
    table = skills(at, controls=["random"])
    less = table[(table["protocol"] != "control random") | (table["seed"] != 1)]
    texts = texts_on(less, "verdict")
    assert texts[0].startswith('Hidden window of "add": yes in 2 of 2 seeds')
    assert texts[-1] == (
        "1 of 3 seeds is left out of the count, as it is not decided: control random is missing at "
        "10 steps from 600 to 1500, where another way reaches 0.8."
    )


def test_large_steps_are_whole_numbers():
    unit = 2_097_152
    at = [unit * n for n in range(1, 11)]
    late = dict(zip(at, LATE.values(), strict=True))
    early = dict(zip(at, EARLY.values(), strict=True))
    control = {step: 0.1 for step in at if step != 6 * unit}
    table = asked_at(["swap"], naive=late, few=early, swap=control)
    texts = [f.text for f in table_findings(table)]
    assert texts[0].endswith("yes, from step 4194304 to 10485760.")
    assert any("after step 12582912 and not after step 14680064" in text for text in texts)
    both = [table.assign(seed=seed, run=f"seed {seed}") for seed in (1, 2)]
    both[1] = both[1].assign(step=both[1]["step"] + 1)
    texts += [f.text for f in table_findings(pd.concat(both))]
    ways = table.assign(concept=table["concept"].replace({"accuracy": "add"}))
    carry = ways[ways["concept"] == "add"].assign(concept="carry")
    pair = pd.concat([ways[ways["concept"] == "add"], carry]).assign(concept_class="11")
    texts += [f.text for f in table_findings(pair)]
    assert any("(step 14680064)" in text for text in texts)
    assert not any("e+" in text for text in texts)
    never = asked_at(naive=dict.fromkeys(at, 0.1), few=dict.fromkeys(at, 0.1))
    texts = [f.text for f in table_findings(never)]
    assert any("by step 20971520" in text for text in texts)
    assert not any("e+" in text for text in texts)


def test_one_way_of_asking_cannot_say():
    table = skills({("naive", "add"): 550})
    assert texts_on(table, "verdict") == []
    assert any("no other way of asking" in text.lower() for text in texts_on(table, "data"))


def test_emergence_is_censored_and_ordered():
    at = {("naive", "add"): 550, ("naive", "carry"): 1050, ("naive", "root"): NEVER}
    texts = texts_on(skills(at), "emergence")
    assert texts[0].startswith('Asked plainly, "add" reaches 0.8 at step 600 (median of 3 seeds')
    assert texts[0].endswith("the median lies after step 500 and not after step 600, as "
                             "checkpoints go.")  # fmt: skip
    assert texts[2] == 'Asked plainly, "root" does not reach 0.8 by step 2000 in 3 of 3 seeds.'
    order = texts_on(skills(at), "order")
    assert order[0] == (
        'Order of emergence, asked plainly: "add" (step 600), then "carry" (step 1100); not by the '
        'end in half of the seeds: "root".'
    )
    assert order[1].startswith('"carry" reaches 0.8 500 steps after "add"')
    assert order[1].endswith('"add" is surely first in 3 of them, "carry" in 0.')


def test_the_first_checkpoint_is_that_of_the_way_of_asking():
    table = skills({("naive", "add"): 550, ("five", "add"): 0}, seeds=(0,))
    later = table[(table["protocol"] == "naive") | (table["step"] >= 300)]
    (text,) = texts_on(later, "elicitation")
    assert "reaches 0.8 at step 300; that is the first checkpoint, and it may have been" in text
    assert "after step 0" not in text


def test_what_was_there_at_the_first_checkpoint_may_be_older():
    texts = texts_on(skills({("naive", "add"): 0}, seeds=(0,)), "emergence")
    assert texts == [
        'Asked plainly, "add" reaches 0.8 at step 100; that is the first checkpoint, and it may '
        "have been there before."
    ]


def test_a_checkpoint_at_step_0_is_a_checkpoint():
    steps = (0, 100, 200, 300)
    late = [(0, step, "naive", "add", 0.9 if step else 0.0) for step in steps]
    both = [(s, step, "naive", c, 0.9) for s in (0, 1) for step in steps for c in ("add", "carry")]
    columns = ["seed", "step", "protocol", "concept", "accuracy"]
    (text,) = texts_on(read_trajectory(pd.DataFrame(late, columns=columns)), "emergence")
    assert text.endswith("it lies after step 0 and not after step 100, as checkpoints go.")
    order = texts_on(read_trajectory(pd.DataFrame(both, columns=columns)), "order")
    assert order[0] == 'Order of emergence, asked plainly: "add" (step 0) and "carry" (step 0).'
    assert order[1].endswith('"add" is surely first in 0 of them, "carry" in 0.')


def test_sentences_name_the_level_that_was_asked_for():
    at = {("naive", "add"): 1550, ("other", "add"): 550}
    table = skills(at, seeds=(0,))
    (text,) = [
        f.text for f in table_findings(table, Levels(0.6, 0.4, 0.4)) if f.topic == "elicitation"
    ]
    assert "the plain way of asking reaches 0.6 1000 steps after other" in text
    assert "0.8" not in text


def test_two_skills_between_the_same_checkpoints_have_no_order():
    texts = texts_on(skills({("naive", "add"): 550, ("naive", "carry"): 551}, (0,)), "order")
    assert texts[-1].endswith("which of them is first cannot be decided from these checkpoints.")


def test_the_turn_of_two_skills():
    at = {("naive", "add"): 550, ("naive", "carry"): 1550}
    (text,) = texts_on(skills(at), "turn")
    assert text.startswith('The trajectory of "add" and "carry" turns by 9')
    (text,) = texts_on(skills({("naive", "add"): 550}), "turn")
    assert text == "A turn needs two concepts, and the table has one."


def test_the_turn_does_not_depend_on_unknown_numbers_of_samples():
    """Their common size does not matter, so that any number may stand in for it."""
    at = {("naive", "add"): 550, ("naive", "carry"): 1550}
    unknown = skills(at)
    assert texts_on(unknown, "turn") == texts_on(unknown.assign(samples=100), "turn")


def test_a_joint_accuracy_is_the_one_that_decides():
    at = {("naive", "a"): 1450, ("naive", "all"): 1550, ("x", "a"): 450, ("x", "all"): 550}
    text, _ = texts_on(skills(at, joint="all"), "verdict")
    assert text.startswith("Hidden window of the joint accuracy: yes")


def test_names_that_give_a_part_are_said():
    at = {("naive", "a"): 1450, ("naive", "joint"): 1550, ("x", "a"): 450, ("x", "joint"): 550}
    texts = texts_on(skills(at), "data")
    assert any(text.startswith("The joint accuracy is that of the concept joint") for text in texts)
    alone = skills({("naive", "a"): 1450})
    assert not any("joint" in text or "valid" in text for text in texts_on(alone, "data"))
    (text,) = [t for t in texts_on(alone.assign(valid=1.0), "data") if "column valid counts" in t]
    assert "less than 0.5 of the samples of the other classes" in text


def test_of_many_skills_only_those_with_a_window_are_reported():
    at = {("naive", f"skill {n}"): 550 for n in range(20)}
    at |= {("naive", "late"): 1550, ("five", "late"): 550}
    texts = texts_on(skills(at), "verdict")
    assert texts[0] == "Of 21 accuracies 1 have a hidden window."
    assert texts[1].startswith('Hidden window of "late": yes')
    assert len(texts) == 3


def test_one_seed_has_no_interval():
    texts = texts_on(skills({("naive", "add"): 550}, seeds=(7,)), "data")
    assert "This is one seed: nothing has an interval, and other seeds may differ." in texts


def test_every_setting_is_a_way_of_its_own():
    table = skills({("naive", "add"): 1550, ("five", "add"): 550})
    swept = table.assign(setting=["" if p == "naive" else "k=5" for p in table["protocol"]])
    assert sorted(each_setting(swept)["protocol"].unique()) == ["five k=5", "naive"]


def test_a_setting_and_a_way_of_the_same_name_stay_apart():
    table = skills({("naive", "add"): 1550, ("few", "add"): 550, ("few b", "add"): 750})
    swept = table.assign(setting=["b" if p == "few" else "" for p in table["protocol"]])
    found = each_setting(swept)
    assert sorted(found["protocol"].unique()) == ["few b", 'few, setting "b"', "naive"]
    assert "yes in 3 of 3 seeds" in texts_on(found, "verdict")[0]


def test_the_only_setting_of_the_plain_way_is_the_plain_way():
    table = skills({("naive", "add"): 1550, ("few", "add"): 550}).assign(setting="0.5")
    found = each_setting(table)
    assert sorted(found["protocol"].unique()) == ["few 0.5", "naive"]
    assert "yes in 3 of 3 seeds" in texts_on(found, "verdict")[0]
    more = pd.concat([table, table[table["protocol"] == "naive"].assign(setting="0.7")])
    with pytest.raises(UserError, match=r"the plain way of asking has the settings 0\.5, 0\.7"):
        each_setting(more)
    more = pd.concat([table, table[table["protocol"] == "naive"].assign(setting="")])
    assert sorted(each_setting(more)["protocol"].unique()) == ["few 0.5", "naive", "naive 0.5"]


def test_too_few_checkpoints_and_mixed_runs_are_refused():
    table = skills({("naive", "add"): 550})
    with pytest.raises(UserError, match="there are 2 steps; what emerges has to stay for 3"):
        table_findings(table[table["step"] <= 200])
    both = pd.concat([table, table.assign(run=table["run"] + " again")])
    with pytest.raises(UserError, match="the runs seed 0 and seed 0 again both have seed 0"):
        table_findings(both)
