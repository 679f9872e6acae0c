"""What is found by other ways of asking counts from when the training classes are valid."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from tables import trajectory

from conceptspace.analysis.elicitation import best_settings, honest_emergence, is_control
from conceptspace.analysis.findings import findings
from conceptspace.tables import JOINT

STEPS = [100 * k for k in range(1, 9)]
LABELS = {"00": "red large", "11": "blue small"}


def planted(ready_from: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Overprompting makes class 11 at once, plain prompting never; class 00 is valid late."""
    parts = {
        ("naive", "", "11"): 0.1,
        ("over", "2", "11"): 0.95,
        ("over", "3", "11"): 0.5,
        ("naive", "", "00"): 0.1,
    }
    table = pd.concat(
        trajectory(
            np.full((1, len(STEPS), 2), value),
            STEPS,
            concept_class=name,
            protocol=protocol,
            setting=setting,
        ).assign(valid=1.0)
        for (protocol, setting, name), value in parts.items()
    )
    early = (table["concept_class"] == "00") & (table["step"] < ready_from)
    table = table.assign(valid=table["valid"].mask(early, 0.1), probe=table["accuracy"])
    single = table[table["concept"] != JOINT]
    scores = pd.concat([single.assign(sample=i) for i in range(4)], ignore_index=True)
    return table.reset_index(drop=True), scores


def test_a_sweep_emerges_when_the_training_classes_are_ready() -> None:
    for ready_from in (0, 500):
        best = best_settings(*planted(ready_from))
        for column in ("honest", "probe"):
            (run,) = honest_emergence(best, "11", "over", column)
            assert run.upper == max(100, ready_from)


def test_the_sentences_say_the_same() -> None:
    texts = [f.text for f in findings(*planted(500), ["00"], ["11"], LABELS)]
    assert (
        "Under over, joint accuracy on 11 reaches 0.8 at step 500, with settings chosen on one "
        "half of the images and scored on the other; by the plain probe, best of the sweep, it "
        "reaches 0.8 at step 500." in texts
    )
    assert texts[0].startswith("Hidden capability: yes. From step 500 to 800")


def test_checkpoints_that_do_not_follow_each_other_are_not_called_all() -> None:
    """Else it would seem to contradict the verdict, which asks for three in a row."""
    table, scores = planted(0)
    for data in (table, scores):
        gap = (data["protocol"] == "over") & data["step"].isin([300, 600, 700, 800])
        data.loc[gap, "accuracy"] = 0.2
    texts = [f.text for f in findings(table, scores, ["00"], ["11"], LABELS)]
    assert texts[0].startswith("Hidden capability: no.")
    assert (
        "Some other protocol makes 11 with a joint accuracy of 0.8 or more (honest) where naive "
        "prompting stays below that: at 4 of the 5 checkpoints from step 100 to 500." in texts
    )


def test_the_probes_best_setting_is_its_own() -> None:
    """The judge sees nothing valid at setting 3, where the plain probe is surest."""
    table, scores = planted(0)
    probe = {"2": 0.6, "3": 0.99}
    for data in (table, scores):
        swept = data["protocol"] == "over"
        data.loc[swept, "probe"] = data.loc[swept, "setting"].map(probe)
    best = best_settings(table, scores)
    joint = best[(best["protocol"] == "over") & (best["concept"] == JOINT)]
    assert (joint["probe"] == 0.99).all()
    assert np.allclose(joint["accuracy"], 0.95**2)
    assert np.allclose(joint["honest"], 0.95**2)
    assert (joint["setting"] == "best").all()


def test_tables_of_before_have_no_probe() -> None:
    table, scores = planted(0)
    old = [data.drop(columns=["probe", "valid"]) for data in (table, scores)]
    assert best_settings(*old)["probe"].isna().all()
    texts = [f.text for f in findings(*old, ["00"], ["11"], LABELS)]
    assert not any("plain probe" in text for text in texts)


@pytest.mark.parametrize(
    ("name", "control"),
    [
        ("latent-control-random", True),
        ("Random Control", True),
        ("CONTROLS", True),
        ("randomControl", True),
        ("control2", True),
        ("controlnet", False),
        ("uncontrolled", False),
    ],
)
def test_a_control_has_the_word_in_its_name(name: str, control: bool) -> None:
    assert is_control(name) == control
