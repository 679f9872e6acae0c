"""Exact sentences of small planted runs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import pytest
from tables import scores, trajectory

from conceptspace.analysis.elicitation import behind, best_settings
from conceptspace.analysis.emergence import Emergence, survival
from conceptspace.analysis.findings import (
    change_points,
    findings,
    require_distinct_seeds,
    turn_of,
    turn_sentence,
)
from conceptspace.analysis.sentences import CHAIN, arrival, delay
from conceptspace.analysis.turning import Turn
from conceptspace.errors import UserError

STEPS = [100 * k for k in range(1, 13)]
INF = math.inf
LABELS = {"00": "red large", "01": "red small", "10": "blue large", "11": "blue small"}
TRAIN = ("00", "01", "10")


def path(color_from: float, steps: Sequence[int] = STEPS) -> np.ndarray:
    """Class 11: small from step 300, blue from a later step."""
    when = np.array(steps)
    return np.stack([np.where(when >= color_from, 0.98, 0.02), np.where(when >= 300, 0.98, 0.4)], 1)


def planted(
    protocols: Mapping[str, Mapping[str, Sequence[float]]], steps: Sequence[int] = STEPS
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Trajectories and scores: of each protocol and setting, when each seed turns blue."""
    parts, images = [], []
    for protocol, settings in protocols.items():
        for setting, seeds in settings.items():
            points = np.stack([path(when, steps) for when in seeds])
            parts.append(trajectory(points, steps, protocol=protocol, setting=setting, samples=4))
            for seed, curve in enumerate(points):
                for step, point in zip(steps, curve, strict=True):
                    at = {"seed": seed, "step": step, "protocol": protocol}
                    images.append(scores({setting: np.tile(point, (4, 1))}, **at))
    count = len(next(iter(next(iter(protocols.values())).values())))
    for name in TRAIN:
        bits = np.array([0.98 if bit == "1" else 0.02 for bit in name])
        points = np.tile(bits, (count, len(steps), 1))
        parts.append(trajectory(points, steps, concept_class=name))
    return pd.concat(parts, ignore_index=True), pd.concat(images, ignore_index=True)


def by_topic(
    protocols: Mapping[str, Mapping[str, Sequence[float]]], steps: Sequence[int] = STEPS
) -> dict[str, list[str]]:
    found = findings(*planted(protocols, steps), TRAIN, ["11"], LABELS)
    topics: dict[str, list[str]] = {}
    for finding in found:
        topics.setdefault(finding.topic, []).append(finding.text)
    return topics


def test_one_seed_is_not_counted_and_has_no_interval() -> None:
    text = by_topic({"naive": {"": [700]}})
    assert text["in-distribution"] == [
        "Training classes end with a joint accuracy of 0.96 on 00, 0.96 on 01, 0.96 on 10; 3 of 3 "
        "are at 0.9 or above."
    ]
    assert text["order"] == [
        "Size accuracy on 11 reaches 0.8 at step 300; color accuracy on 11 reaches 0.8 at step 700."
    ]
    assert text["emergence"] == [
        "Under naive prompting, joint accuracy on 11 reaches 0.8 at step 700.",
    ]
    assert "seed" not in str(text)


def test_memorization_is_reported_up_to_the_turn() -> None:
    first, lean = by_topic({"naive": {"": [700]}}, STEPS[:5])["memorization"]
    assert first == (
        "11 (blue small) is taken for 01 (red small), with a probability of up to 0.96, from step "
        "300 to 500."
    )
    assert lean == (
        "Up to step 500 the trajectory of 11 leans towards size: its accuracy is 0.73 above that "
        "of color on average."
    )
    first, lean = by_topic({"naive": {"": [700, 700, 800]}})["memorization"]
    assert first.startswith(
        "11 (blue small) is taken for 01 (red small) in 3 of 3 seeds, with a probability of up to "
        "0.96 (mean over seeds), from step 300 to 600 (medians)"
    )
    assert "95 % interval" in lean


def test_a_class_that_is_made_at_once_is_not_memorized() -> None:
    steps = [300, 400, 500]
    assert by_topic({"naive": {"": [0]}}, steps)["memorization"] == [
        "11 (blue small) is not taken for a training class at any checkpoint."
    ]
    assert by_topic({"naive": {"": [0, 0]}}, steps)["memorization"] == [
        "11 (blue small) is not taken for a training class in any of 2 seeds."
    ]


def test_hidden_gap_and_controls_of_one_seed() -> None:
    text = by_topic(
        {
            "naive": {"": [INF]},
            "latent-intervention": {"a": [700], "b": [INF]},
            "latent-control-random": {"a": [INF], "b": [INF]},
            "patching": {"": [INF]},
        }
    )
    assert text["elicitation"] == [
        "Some other protocol makes 11 with a joint accuracy of 0.8 or more (honest) where naive "
        "prompting stays below that: at all 6 checkpoints from step 700 to 1200.",
        "Under latent-intervention, joint accuracy on 11 reaches 0.8 at step 700, with settings "
        "chosen on one half of the images and scored on the other.",
        "Under patching, joint accuracy on 11 does not reach 0.8 by step 1200.",
    ]
    assert text["emergence"] == [
        "Under naive prompting, joint accuracy on 11 does not reach 0.8 by step 1200.",
        "Naive prompting reaches 0.8 at least 500 steps after latent-intervention.",
        "Neither naive prompting nor patching reaches 0.8 by step 1200.",
    ]
    assert text["control"] == [
        "Control: under latent-control-random, joint accuracy on 11 does not reach 0.8 by step "
        "1200, with settings chosen on one half of the images and scored on the other.",
        "Neither naive prompting nor latent-control-random reaches 0.8 by step 1200.",
        "Control: in the first quarter of the checkpoints (up to step 300) the best joint accuracy "
        "of any protocol on 11 is 0.02 (latent-control-random, honest): no protocol elicits what "
        "is not there yet.",
    ]


def test_a_control_that_succeeds_is_said_to() -> None:
    text = by_topic({"naive": {"": [900]}, "latent-control-random": {"a": [200], "b": [800]}})[
        "control"
    ]
    assert text[0].startswith(
        "Control: under latent-control-random, joint accuracy on 11 reaches 0.8 at step 300"
    )
    assert text[1] == "Naive prompting reaches 0.8 600 steps after latent-control-random."
    assert text[2].endswith("of any protocol on 11 is 0.96 (latent-control-random, honest).")


def test_the_verdict_comes_first() -> None:
    table, images = planted({"naive": {"": [INF]}, "overprompting-color": {"a": [500]}}, STEPS)
    found = findings(table, images, TRAIN, ["11"], LABELS)
    assert [f.topic for f in found[:3]] == ["verdict"] * 3
    assert found[0].text.startswith("Hidden capability: yes. From step 500 to 1200 another way")
    ranks = [CHAIN.index(f.topic) for f in found if f.topic != "verdict"]
    assert ranks == sorted(ranks)


def test_why_a_verdict_cannot_be_decided() -> None:
    def verdict(table: pd.DataFrame, images: pd.DataFrame | None) -> list[str]:
        found = findings(table, images, TRAIN, ["11"], LABELS)
        return [f.text for f in found if f.topic == "verdict"]

    asked = {"naive": {"": [INF]}, "overprompting-color": {"a": [500]}}
    table, images = planted(asked, STEPS)
    undecided, why = verdict(table, None)
    assert undecided == "Hidden capability: cannot be decided."
    assert why.startswith("No scores of single images were kept")
    assert verdict(planted({"naive": {"": [500]}}, STEPS)[0], None) == [
        undecided,
        "No other way of asking than plain prompting was tried.",
    ]
    few = [part[part["step"] <= STEPS[1]] for part in (table, images)]
    assert verdict(*few) == [undecided, "A window needs 3 scored checkpoints, and there are 2."]
    best = best_settings(table, images)
    kept = findings(table, None, TRAIN, ["11"], LABELS, best=best)
    assert [f.text for f in kept if f.topic == "verdict"] == verdict(table, images)


def run(upper: float, seed: int = 0, last: float = 1000, lower: float | None = None) -> Emergence:
    below = upper - 100 if math.isfinite(upper) else last
    return Emergence(seed, float(below if lower is None else lower), float(upper), float(last))


def runs(*uppers: float) -> list[Emergence]:
    return [run(upper, seed) for seed, upper in enumerate(uppers)]


def test_arrivals() -> None:
    said = [arrival(survival(runs(*u)), "it") for u in ((300.0,), (INF,), (300.0, INF, INF))]
    assert said == [
        "it reaches 0.8 at step 300",
        "it does not reach 0.8 by step 1000",
        "it does not reach 0.8 by step 1000 in 2 of 3 seeds",
    ]
    assert arrival(survival(runs(400, 500, 600, 700, INF)), "it").startswith(
        "it reaches 0.8 at step 600 (median of 5 seeds, 95 % interval 400 to "
    )
    assert arrival(survival(runs(400, 500, INF)), "it").endswith(
        "but not by step 1000 in 1 of 3 seeds"
    )
    pending = run(INF, lower=900.0)
    assert arrival(survival([pending]), "it") == (
        "it does not reach 0.8 by step 1000 (it is there at the end, but for fewer than 3 "
        "checkpoints)"
    )
    assert "(1 of them is there at the end" in arrival(survival([pending, run(INF, 1)]), "it")


def test_hidden_times_of_several_seeds() -> None:
    assert behind(runs(900, 800), runs(500, 600), "naive prompting", "x") == (
        "naive prompting reaches 0.8 300 steps after x (mean of 2 seeds, range 200 to 400, "
        "steps counted up to 1000)"
    )
    assert behind(runs(900, INF), runs(500, 600), "naive prompting", "x") == (
        "naive prompting reaches 0.8 at least 400 steps after x (mean of 2 seeds, range "
        "400 to 400, steps counted up to 1000); in 1 of 2 seeds only x arrives"
    )
    mixed = behind(runs(900, INF, 400), runs(500, INF, INF), "naive prompting", "x")
    assert "67 steps before x" in mixed
    assert mixed.endswith("in 1 of 3 seeds only naive prompting arrives; in 1 of 3 seeds neither "
                          "arrives")  # fmt: skip


@pytest.mark.parametrize(
    ("steps", "kind", "words"),
    [
        (500, "exact", "500 steps after"),
        (-500, "exact", "500 steps before"),
        (0, "exact", "at the same step as"),
        (0, "at least", "no earlier than"),
        (0, "at most", "no later than"),
        (-500, "at most", "at least 500 steps before"),
        (-100, "at least", "at most 100 steps before"),
    ],
)
def test_delays(steps: int, kind: str, words: str) -> None:
    assert delay(float(steps), kind) == words


def test_where_several_seeds_hide_it_is_counted_by_seed() -> None:
    asked = {"naive": {"": [1200, 1200]}, "over": {"2": [300, 700]}}
    (text,) = [t for t in by_topic(asked)["elicitation"] if t.startswith("Some other protocol")]
    assert text.endswith(
        "naive prompting stays below that: in 2 of 2 seeds, at 5 to 9 of the 9 checkpoints from "
        "step 300 to 1100."
    )


@pytest.mark.parametrize(
    ("turns", "where"),
    [
        ([400, 400], "in 2 of 2 seeds, at step 300."),
        ([400, 200], "in 1 of 2 seeds, at step 300."),
        ([700, 700], "in 2 of 2 seeds, at all 4 checkpoints from step 300 to 600."),
    ],
)
def test_few_checkpoints_are_named_and_all_are_called_so(turns: list[int], where: str) -> None:
    asked = {"naive": {"": turns}, "over": {"2": [300, 300]}}
    (text,) = [t for t in by_topic(asked)["elicitation"] if t.startswith("Some other protocol")]
    assert text.endswith(f"naive prompting stays below that: {where}")


def test_seeds_of_other_lengths_are_compared_where_all_have_checkpoints() -> None:
    table, _ = planted({"naive": {"": [700, 800]}})
    shorter = table[~((table["seed"] == 1) & (table["step"] > 1000))]
    assert turn_of(shorter, "11") == turn_of(table[table["step"] <= 1000], "11")
    found = change_points(shorter, TRAIN, {})
    assert set(found) == {f"accuracy of {name}" for name in TRAIN}
    apart = table[(table["step"] <= 400) | ((table["seed"] == 1) & (table["step"] > 400))]
    assert turn_of(apart, "11") is None
    assert change_points(apart, TRAIN, {}) == {}


def test_turns() -> None:
    turn = Turn(True, 0.0004, 700.0, (600.0, 812.5), 88.4, (80.0, 99.0), 0.4, (0.1, 0.9), 3)
    assert turn_sentence(turn, "11") == (
        "the trajectory of 11 turns by 88° at step 700 (95 % interval 600 to 812, p < 0.001)"
    )
    none = Turn(False, 0.23, 700.0, (600.0, 800.0), 20.0, (0.0, 30.0), 0.1, (0.1, 0.9), 1)
    assert turn_sentence(none, "11") == "no turn of the trajectory of 11 was detected (p = 0.230)"
    slight = Turn(False, 0.01, 700.0, (600.0, 800.0), 20.0, (0.0, 30.0), 0.1, (0.1, 0.9), 1)
    assert "its corner lies 10 % of its length aside" in turn_sentence(slight, "11")


def test_two_runs_of_one_seed_are_refused() -> None:
    table = trajectory(np.full((2, 3, 2), 0.5), [1, 2, 3]).assign(seed=4)
    with pytest.raises(UserError, match="the same seed 4"):
        require_distinct_seeds(table)


def test_the_plain_probe_is_reported_apart() -> None:
    table, images = planted({"naive": {"": [INF]}, "patching": {"": [900]}}, STEPS)
    early = (images["protocol"] == "patching") & (images["step"] >= 500)
    images["probe"] = images["accuracy"].where(~early, 0.98)
    joint = images.groupby(["seed", "step", "protocol", "setting", "concept_class", "sample"])
    product = joint["probe"].prod().groupby(level=[0, 1, 2, 3, 4]).mean().rename("probe")
    keys = ["seed", "step", "protocol", "setting", "concept_class"]
    table = table.merge(product.reset_index(), on=keys)
    texts = [f.text for f in findings(table, images, TRAIN, ["11"], LABELS)]
    assert (
        "Under patching, joint accuracy on 11 reaches 0.8 at step 900; by the plain probe, best of "
        "the sweep, it reaches 0.8 at step 500." in texts
    )
    assert "Naive prompting reaches 0.8 at least 300 steps after patching." in texts
