"""Judge, read-out and probe against generated images that were labelled three times by eye.

labelled/index.html shows the images, docs/judge.md the numbers.
"""

from __future__ import annotations

import re
from dataclasses import replace
from hashlib import sha256
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from labelled import page
from labelled.page import HALF_WAY, SURE, in_words, of_each_other, of_majority, of_unanimous

from conceptspace.experiment import parts
from conceptspace.judges import judge as judging
from conceptspace.judges.judge import ShapesJudge
from conceptspace.judges.probe import load_or_train
from conceptspace.presets import PRESETS

NUMBER = re.compile(r"\d+(?:\.\d+)?")
DOCS = Path(__file__).parents[2] / "docs" / "judge.md"


@pytest.fixture(scope="module")
def table():
    return page.labels()


@pytest.fixture(scope="module")
def read(table):
    return page.read(table)


@pytest.fixture(scope="module")
def judged(read):
    return read[0]


@pytest.fixture(scope="module")
def places(read):
    return read[1]


@pytest.fixture(scope="module")
def probed(table, probe_cache_folder):
    """The plain probe's probability of bit 1; it has no other answer, so every image is valid."""
    config = PRESETS["quick"]()
    cpu = torch.device("cpu")
    trained = load_or_train(page.world(0.2), parts.probe(config), cpu, probe_cache_folder)
    found = trained.probe.coordinates(page.images().float() / 255).double().numpy()
    return pd.DataFrame(found, table.index, [*page.WORDS]).assign(valid="yes")


def of_two(values, table, aspect):
    """Two answers, on valid images that all labels give one of the two values."""
    same = of_unanimous(in_words(values, 0.5), table, aspect)
    return same[page.unanimous(table, aspect) != "neither"]


def test_the_images_are_those_that_were_labelled(table):
    images = page.images()
    assert images.shape == (360, 3, 16, 16)
    digest = "1780ce0b47914d4e09820a5474b01cbc1e1aa1c8abcd3181d458ac3ddc95982c"
    assert sha256(images.numpy().tobytes()).hexdigest() == digest
    assert table.index.tolist() == list(range(360))
    assert table["separation"].value_counts().to_dict() == {0.2: 180, 0.4: 180}
    for aspect, words in {**page.WORDS, "valid": ("yes", "no")}.items():
        known = {*words, "neither"} if aspect in page.WORDS else {*words}
        assert set(page.votes(table, aspect).to_numpy().ravel()) == known


@pytest.mark.parametrize(
    ("aspect", "expected"), [("valid", 0.957), ("color", 0.944), ("size", 0.961)]
)
def test_the_labels_agree_among_themselves(table, aspect, expected):
    """The ceiling: nothing can agree with single labels much better than they do."""
    assert of_each_other(table, aspect).mean() == pytest.approx(expected, abs=0.001)


def test_validity_is_agreed_on_by_two_labels_in_92_to_98_percent(table):
    votes = page.votes(table, "valid")
    by_pair = [
        (part[a] == part[b]).mean()
        for _, part in votes.groupby(table["separation"])
        for a, b in [(1, 2), (1, 3), (2, 3)]
    ]
    assert min(by_pair) == pytest.approx(0.922, abs=0.001)
    assert max(by_pair) == pytest.approx(0.983, abs=0.001)


@pytest.mark.parametrize(("aspect", "least"), [("valid", 0.97), ("color", 0.95), ("size", 0.95)])
def test_the_judge_says_what_all_labels_say(table, judged, aspect, least):
    same = of_unanimous(in_words(judged, SURE), table, aspect)
    assert len(same) > 200
    assert same.mean() >= least


@pytest.mark.parametrize("aspect", page.WORDS)
def test_the_judge_tells_two_values_apart(table, judged, aspect):
    same = of_two(judged, table, aspect)
    assert len(same) > 180
    assert same.mean() >= 0.99


@pytest.mark.parametrize(("aspect", "least"), [("valid", 0.95), ("color", 0.94), ("size", 0.925)])
def test_the_judge_says_what_most_labels_say(table, judged, aspect, least):
    assert of_majority(in_words(judged, SURE), table, aspect).mean() >= least


def test_the_judge_agrees_with_one_label_as_two_labels_do(table, judged):
    """Label 2 was made after the judge's thresholds were set."""
    pairs = of_each_other(table, "valid").mean()
    votes = page.votes(table, "valid")
    single = {k: (votes[k] == judged["valid"]).mean() for k in votes}
    assert single[2] >= 0.95
    assert np.mean([*single.values()]) == pytest.approx(pairs, abs=0.01)


@pytest.mark.parametrize("aspect", page.ASPECTS)
@pytest.mark.parametrize("half", [0, 1])
def test_either_half_of_the_images_gives_the_same_picture(table, judged, aspect, half):
    same = of_unanimous(in_words(judged, SURE), table, aspect)
    assert same[same.index % 2 == half].mean() >= 0.95


def test_thresholds_set_on_one_half_hold_on_the_other(table, monkeypatch):
    """Thresholds of validity by the even numbers, tried on the odd ones, and the other way.

    Several are equally good on one half; the other half has the mean over them.
    """
    pixels = page.images().float() / 255
    wanted = page.unanimous(table, "valid")
    worlds = []
    for separation, part in table.groupby("separation"):
        judge = ShapesJudge(page.world(float(separation)))
        chosen = pixels[part.index.tolist()]
        worlds.append((judge, judge.quality(judge.readout(chosen), chosen), part.index))
    tried = []
    for residual, contrast, uneven, stray in product(
        np.arange(0.3, 0.81, 0.05), (0.05, 0.1, 0.15, 0.2), np.arange(0.06, 0.301, 0.02), (0, 1, 2)
    ):
        monkeypatch.setattr(judging, "LARGEST_RESIDUAL", residual)
        monkeypatch.setattr(judging, "LEAST_CONTRAST", contrast)
        monkeypatch.setattr(judging, "UNEVEN", uneven)
        valid = [
            pd.Series(judge.valid(replace(q, stray=(q.stray - stray).clamp(min=0))).numpy(), index)
            for judge, q, index in worlds
        ]
        tried.append(pd.concat(valid).loc[wanted.index] == (wanted == "yes"))
    right = pd.concat(tried, axis=1).to_numpy()
    odd = (wanted.index % 2 == 1).astype(bool)
    across = []
    for half in (odd, ~odd):
        on_half = right[half].mean(axis=0)
        best = np.isclose(on_half, on_half.max())
        across.append(right[~half][:, best].mean())
    assert across == pytest.approx([0.965, 0.969], abs=0.003)


@pytest.mark.parametrize("aspect", page.WORDS)
def test_the_read_out_gets_the_same_test(table, places, aspect):
    """The judge's color and size are the read-out's, so the numbers are the same."""
    assert of_unanimous(in_words(places, 0.5 + HALF_WAY), table, aspect).mean() >= 0.95
    assert of_two(places, table, aspect).mean() >= 0.99


@pytest.mark.slow  # a probe is trained for it
class TestThePlainProbe:
    """It is right about objects and says as much of what is no object."""

    def test_calls_every_image_valid(self, table, probed):
        same = of_unanimous(in_words(probed, SURE), table, "valid")
        assert same.mean() == (page.unanimous(table, "valid") == "yes").mean()
        assert same.mean() == pytest.approx(0.671, abs=0.001)

    @pytest.mark.parametrize(("aspect", "expected"), [("color", 0.93), ("size", 0.94)])
    def test_knows_color_and_size(self, table, probed, aspect, expected):
        same = of_unanimous(in_words(probed, SURE), table, aspect)
        assert same.mean() == pytest.approx(expected, abs=0.05)
        assert of_two(probed, table, aspect).mean() >= 0.99

    def test_finds_a_class_in_what_is_no_object(self, table, probed, judged):
        """Share of images that all labels call invalid with joint probability 1/2 of a class."""
        valid = page.unanimous(table, "valid")
        invalid = valid.index[valid == "no"]

        def taken(said):
            surest = said[[*page.WORDS]].clip(lower=1 - said[[*page.WORDS]])
            return ((surest.prod(axis=1) >= 0.5) & (said["valid"] == "yes"))[invalid].mean()

        assert taken(judged) <= 0.05
        assert taken(probed) >= 0.8


def test_the_page_is_what_its_script_writes():
    """But for what one image in a hundred says on another processor: some lie at a threshold."""
    kept, made = page.PAGE.read_text().splitlines(), page.page().splitlines()
    assert len(kept) == len(made)
    other = [line for line, old in zip(made, kept, strict=True) if line != old]
    assert len(other) <= 10, "refresh it: python tests/judges/labelled/page.py"


def test_the_docs_have_these_numbers(table, judged):
    """But for one image that lies at a threshold, and falls to its other side elsewhere."""
    lines = DOCS.read_text().splitlines()
    for row in page.markdown(table, in_words(judged, SURE)).splitlines():
        (kept,) = [line for line in lines if line.count("|") == 9 and line[:6] == row[:6]]
        made, there = (np.array(NUMBER.findall(text), float) for text in (row, kept))
        np.testing.assert_allclose(made, there, atol=1.1, err_msg=row)
