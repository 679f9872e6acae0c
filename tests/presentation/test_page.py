"""Whole pages: of one run, of several seeds, of a sweep; and what is refused."""

from __future__ import annotations

import json
import re
import shutil

import pytest
from evaluated import write_evaluated

from conceptspace.analysis.verdict import windows
from conceptspace.errors import UserError
from conceptspace.presentation import drawing, page
from conceptspace.presentation.explorer.run_findings import best_of, single_scores
from conceptspace.presentation.figures import learning_curves
from conceptspace.presentation.page import write_page
from conceptspace.presentation.sweep import conditions, value_text
from conceptspace.recording.space import write_space
from conceptspace.space import Concept, ConceptSpace, paper_split
from conceptspace.store import Run
from conceptspace.tables import NAIVE

ALL = {
    NAIVE: {"": 1900.0},
    "overprompting-color": {"2.5": 1100.0, "4.5": 900.0},
    "latent-control-random": {"alpha=1,beta=1": 1950.0, "alpha=4,beta=1": 2000.0},
    "guidance": {"1": 1900.0, "3": 1850.0},
}


def inside(path) -> dict:
    """What the script of a page finds in it."""
    text = re.search(
        r'<script type="application/json" id="payload">(.*?)</script>', path.read_text()
    )
    assert text is not None
    return json.loads(text[1])


def captions(path) -> list[str]:
    return [figure["name"] for figure in inside(path)["figures"]]


def saved(folder) -> set[str]:
    assert {p.suffix for p in folder.iterdir()} == {".png", ".svg"}
    return {p.stem for p in folder.iterdir()}


@pytest.fixture(scope="module")
def masked(tmp_path_factory):
    """Two seeds of each of three masked shares; the folders of the seeds share their names."""
    folder = tmp_path_factory.mktemp("masked")
    runs = []
    for share, turn in ((0.0, 700.0), (0.5, 1500.0), (1.0, 9000.0)):
        settings = {"data.masked_share": share}
        settings |= {"data.masked_class": "01"} if share else {}
        for seed in (0, 1):
            place = folder / f"share-{share:g}" / f"s{seed}"
            runs.append(write_evaluated(place, seed, settings, {NAIVE: {"": turn}}))
    return runs


def test_the_figure_of_the_verdict_says_when_it_cannot_be_decided(tmp_path):
    run = write_evaluated(tmp_path / "one", 0, {}, ALL)
    best = best_of([run], run.trajectory(), single_scores([run]))
    (whole,) = windows(best, "11")
    assert drawing.answer(whole).startswith("yes, from step")
    (short,) = windows(best[best["step"] > whole.last], "11")
    assert drawing.answer(short) == "no"
    control = best["protocol"] == "latent-control-random"
    (undecided,) = windows(best[~control | (best["step"] < whole.first)], "11")
    assert drawing.answer(undecided) == "cannot be decided"


def test_page_of_one_run_with_every_protocol(tmp_path):
    run = write_evaluated(tmp_path / "one", 0, {"train.condition_dropout": 0.2}, ALL)
    findings = write_page([run], tmp_path / "page.html")
    assert write_page([str(run.path), run.path], tmp_path / "again.html")[1:] == findings
    text = " ".join(f.text for f in findings)
    names = {"trajectory", "story", "curves", "elicitation", "timeline", "guidance", "signal"}
    assert saved(tmp_path / "page-figures") == names
    assert "Trajectories by guidance weight" in captions(tmp_path / "page.html")
    assert re.search(r"Naive prompting reaches 0\.8 \d+ steps after overprompting-color\.", text)
    assert text.startswith("Hidden capability: yes. From step")
    assert "Control: under latent-control-random, joint accuracy on 11 reaches" in text
    assert "of 2 seeds" not in text
    assert not (run.path / "figures").exists()


def test_page_of_several_seeds(tmp_path, monkeypatch):
    def only_curves(runs, table, scores, shapes):
        return {"curves": learning_curves(table, None, shapes.space)}

    monkeypatch.setattr(page, "draw", only_curves)
    protocols = {k: ALL[k] for k in (NAIVE, "overprompting-color")}
    runs = [write_evaluated(tmp_path / f"s{k}", k, turns=protocols) for k in range(2)]
    findings = write_page(runs, tmp_path / "page.html")
    text = " ".join(f.text for f in findings)
    assert "means of 2 seeds" in text
    assert "stays below that: in 2 of 2 seeds" in text
    assert "the lowest of all runs" in text
    assert saved(tmp_path / "page-figures") == {"curves"}
    assert captions(tmp_path / "page.html") == ["Loss and accuracies against steps"]
    assert not (runs[0].path / "figures").exists()


def test_page_of_masked_shares(masked, tmp_path):
    findings = write_page(masked, tmp_path / "page.html")
    assert [f.topic for f in findings[:2]] == ["underspecification"] * 2
    assert findings[0].text.startswith(
        "By the share of masked prompts, the color coordinate of 11 ends"
    )
    assert "with 100 % not by step 3000 in 2 of 2 seeds" in findings[1].text
    assert any(f.text.startswith("50 % of prompts masked: under naive prompting") for f in findings)
    assert captions(tmp_path / "page.html") == [
        "Effect of masked prompts",
        "OOD trajectories by setting",
    ]
    assert saved(tmp_path / "page-figures") == {"underspecification", "conditions"}
    assert "<h1>Masked share: 6 runs</h1>" in (tmp_path / "page.html").read_text()
    data = inside(tmp_path / "page.html")
    assert "share-0.5/s1" in [run["name"] for run in data["index"]["runs"]]
    groups = [finding["group"] for finding in data["findings"]["*"]["findings"]]
    assert list(dict.fromkeys(groups)) == [
        "",
        *(f"{share} % of prompts masked" for share in (0, 50, 100)),
    ]


def test_page_of_any_other_setting(tmp_path):
    runs = [
        write_evaluated(tmp_path / f"d{d}", 0, {"data.color_separation": d}, {NAIVE: {"": turn}})
        for d, turn in ((0.6, 700.0), (0.3, 1500.0))
    ]
    findings = write_page(runs, tmp_path / "page.html")
    assert findings[0].text == "Color separation 0.3: hidden capability: cannot be decided."
    texts = [f.text for f in findings]
    assert any(t.startswith("Color separation 0.3: training classes end with") for t in texts)
    assert any(f.text.startswith("Color separation 0.6: the probe is right") for f in findings)
    assert saved(tmp_path / "page-figures") == {"conditions", "signal"}


def test_page_of_runs_that_differ_in_several_settings(masked, tmp_path):
    other = {"data.color_separation": 0.21, "data.masked_share": 0.5, "data.masked_class": "01"}
    run = write_evaluated(tmp_path / "other", 0, other)
    findings = write_page([masked[0], run], tmp_path / "page.html")
    assert findings[0].text == (
        "The runs differ in color separation and masked share, so no sentence compares one setting "
        "with another."
    )
    assert captions(tmp_path / "page.html") == []
    data = inside(tmp_path / "page.html")
    assert len(data["index"]["runs"]) == 2
    groups = [finding["group"] for finding in data["findings"]["*"]["findings"]]
    assert list(dict.fromkeys(groups)) == [
        "",
        "color separation 0.15, masked share 0",
        "color separation 0.21, masked share 0.5",
    ]


def test_page_of_kept_runs(masked, tmp_path):
    for run in masked[:2]:
        kept = tmp_path / run.path.name
        kept.mkdir()
        for name in ("config.toml", "run.json", "trajectory.parquet"):
            shutil.copy(run.path / name, kept / name)
    runs = [Run(tmp_path / run.path.name) for run in masked[:2]]
    findings = write_page(runs, tmp_path / "page.html")
    assert findings[1].text == "No other way of asking than plain prompting was tried."
    assert captions(tmp_path / "page.html")[0] == "Learning trajectory in concept space"
    details = inside(tmp_path / "page.html")["details"].values()
    assert all("This run keeps no images." in d["notes"] for d in details)


def test_page_of_runs_with_other_concepts(masked, tmp_path):
    """Each has findings of its own, and nothing compares them."""
    other = write_evaluated(tmp_path / "shape", 0, {"data.concepts": ("shape", "size")})
    findings = write_page([masked[0], other], tmp_path / "page.html")
    assert findings[0].text.startswith("The runs differ in concepts, so no sentence compares")
    assert any(f.text.startswith("Concepts color,size: training classes end") for f in findings)
    assert any(f.text.startswith("Concepts shape,size: training classes end") for f in findings)
    assert captions(tmp_path / "page.html") == []
    names = [
        [c["name"] for c in s["concepts"]]
        for s in inside(tmp_path / "page.html")["index"]["spaces"]
    ]
    assert sorted(names) == [["color", "size"], ["shape", "size"]]


def test_runs_that_differ_in_their_classes_alone_are_not_averaged(tmp_path):
    """Runs of a world of one's own: their configs do not say which concepts it has."""
    runs = [write_evaluated(tmp_path / f"s{seed}", seed) for seed in range(4)]
    train, ood = paper_split(2)
    for run, names in zip(
        runs, ("color size", "color size", "size color", "size color"), strict=True
    ):
        concepts = tuple(Concept(n, ("0", "1"), ((0.0,), (1.0,))) for n in names.split())
        write_space(run.path, ConceptSpace(concepts, train, ood))
    findings = write_page(runs, tmp_path / "page.html")
    groups = {f["group"] for f in inside(tmp_path / "page.html")["findings"]["*"]["findings"]}
    assert groups == {
        "",
        "concepts color, size (00 01 10 without 11)",
        "concepts size, color (00 01 10 without 11)",
    }
    assert not any("of 4 seeds" in finding.text for finding in findings)


def test_masking_a_variable_that_is_no_concept_has_no_effect(tmp_path):
    shown = ("color", "size", "background")
    runs = [
        write_evaluated(
            tmp_path / f"m{share}",
            0,
            {
                "data.conditioned": shown,
                "data.masked_concept": "background",
                "data.masked_class": "01",
                "data.masked_share": share,
            },
        )
        for share in (0.0, 1.0)
    ]
    findings = write_page(runs, tmp_path / "page.html")
    assert not [f for f in findings if f.topic == "underspecification"]
    assert any(f.text.startswith("100 % of prompts masked: training classes") for f in findings)


def test_a_run_is_not_given_twice(masked):
    with pytest.raises(UserError, match="is given twice"):
        conditions([masked[0], masked[0]])


def test_values_that_differ_are_written_differently() -> None:
    assert [value_text(value) for value in (0.30, 2.0, 1e-4)] == ["0.3", "2", "0.0001"]
    assert value_text((0.12345678, 0.12345679)) == "0.12345678,0.12345679"
