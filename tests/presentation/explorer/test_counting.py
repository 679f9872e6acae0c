"""A run counts once; what is damaged, has diverged or is a copy is named, and the rest is shown."""

from __future__ import annotations

import json
import os
import re
import shutil

import pandas as pd
import pytest
from evaluated import write_evaluated

from conceptspace.cli import main
from conceptspace.errors import UserError
from conceptspace.files import write_table
from conceptspace.presentation import page
from conceptspace.presentation.explorer.discover import runs_in
from conceptspace.presentation.explorer.library import Library
from conceptspace.recording.space import write_space
from conceptspace.space import Concept, ConceptSpace, paper_split


@pytest.fixture
def seeds(tmp_path):
    """Three seeds of one setting."""
    for seed in (0, 1, 2):
        write_evaluated(tmp_path / f"s{seed}", seed)
    return tmp_path


def served(folder):
    """The list of runs, and what they say together."""
    library = Library([folder])
    listed = library.index()
    tokens = [run["token"] for run in listed["runs"] if not run["apart"]]
    return listed, library.findings(tokens), library


def texts(findings):
    return " ".join(finding["text"] for finding in findings["findings"])


def written(folder, monkeypatch):
    """The findings on the page of everything in a folder, without its figures."""
    monkeypatch.setattr(page, "draw", lambda *_: {})
    runs, left_out = runs_in([folder])
    found = page.write_page(runs, folder / "page.html", left_out)
    return " ".join(finding.text for finding in found)


def test_copies_and_loops_are_no_seeds(seeds, monkeypatch):
    alone = texts(served(seeds)[1])
    for number in range(20):
        shutil.copytree(seeds / "s0", seeds / "copies" / f"c{number:02d}")
    (seeds / "loop").symlink_to(".")
    listed, findings, library = served(seeds)
    assert [run["name"] for run in listed["runs"]] == ["copies/c00", "s1", "s2"]
    assert listed["left_out"] == [
        "Left out as links to what is shown already: loop.",
        "Left out as copies of runs that count already: copies/c01, copies/c02, copies/c03 "
        "and 17 more.",
    ]
    assert texts(findings) == alone
    assert "means of 3 seeds" in alone
    everything = [found.token for found in library.shelf().runs]
    assert len(everything) == 23
    assert texts(library.findings(everything)) == alone
    assert (
        library.turns(everything)["11"] == library.turns([r["token"] for r in listed["runs"]])["11"]
    )
    text = written(seeds, monkeypatch)
    assert "means of 3 seeds" in text
    assert "copies of runs that count already" in text
    assert "to what is shown already: loop" in text


def test_the_copy_that_keeps_most_counts(seeds):
    kept = seeds / "a-kept"
    kept.mkdir()
    for name in ("config.toml", "trajectory.parquet"):
        shutil.copy(seeds / "s0" / name, kept / name)
    assert [run["name"] for run in served(seeds)[0]["runs"]] == ["s0", "s1", "s2"]


def test_another_run_of_one_seed_stands_apart(seeds, monkeypatch):
    half = seeds / "half"
    shutil.copytree(seeds / "s0", half)
    table = pd.read_parquet(half / "trajectory.parquet")
    write_table(half / "trajectory.parquet", table[table["step"] <= 1500])
    listed, _, library = served(seeds)
    apart = {run["name"]: run["apart"] for run in listed["runs"]}
    assert apart["half"] == "It has the settings and the seed of s0, but other scores."
    assert [name for name in apart if not apart[name]] == ["s0", "s1", "s2"]
    findings = library.findings([run["token"] for run in listed["runs"]])
    assert "means of 3 seeds" in texts(findings)
    assert "half: It has the settings and the seed of s0" in findings["problems"][0]
    text = written(seeds, monkeypatch)
    assert "means of 3 seeds" in text
    assert "Left out: half" in text


def bad_table(change):
    def damage(run):
        path = run / "trajectory.parquet"
        change(pd.read_parquet(path)).to_parquet(path)

    return damage


def diverged(run):
    (run / "run.json").write_text(json.dumps({"status": "diverged"}))


def torn(name):
    def damage(run):
        (path,) = [run / name] if (run / name).exists() else run.glob(name)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    return damage


def fifo(name):
    def damage(run):
        (run / name).unlink(missing_ok=True)
        os.mkfifo(run / name)

    return damage


def record(**information):
    return lambda run: (run / "run.json").write_text(json.dumps(information))


def edited(*changes):
    """A config in which text is replaced."""

    def damage(run):
        text = (run / "config.toml").read_text()
        for old, new in changes:
            assert old in text
            text = text.replace(old, new, 1)
        (run / "config.toml").write_text(text)

    return damage


DAMAGES = {
    "a concept that nobody knows": (edited(('"color"', '"texture"')), "'texture' is not possible"),
    "a condition that nobody knows": (
        edited(("conditioned = []", 'conditioned = ["texture"]')),
        "'texture' is not possible",
    ),
    "a concept twice": (edited(('"size"', '"color"')), "distinct names"),
    "classes of other concepts": (
        edited(('"size",', '"size", "background",')),
        "no row of the config's classes 000, ",
    ),
    "a class that is masked and not trained": (
        edited(('masked_class = ""', 'masked_class = "0x"')),
        "'0x' is not a training class",
    ),
    "a kind of data that nobody knows": (
        edited(("[data]", '[data]\nkind = "sound"')),
        "the world 'sound' is not loaded",
    ),
    "images that are not there": (
        edited(("[data]", '[data]\nkind = "folder"\npath = "/nowhere"')),
        "is not whole",
    ),
    "no TOML": (edited(("[data]", "[data")), "is not valid TOML"),
    "nested deeply": (
        lambda run: (run / "config.toml").write_text("a." * 5000 + "b = 1"),
        "nested too deeply",
    ),
    "torn table": (torn("trajectory.parquet"), "trajectory.parquet is damaged"),
    "lacking column": (bad_table(lambda t: t.drop(columns="samples")), "lacks the columns samples"),
    "text for numbers": (bad_table(lambda t: t.assign(accuracy="high")), "accuracy"),
    "numbers for text": (bad_table(lambda t: t.assign(concept_class=11)), "concept_class"),
    "not a number": (bad_table(lambda t: t.assign(accuracy=float("nan"))), "accuracies"),
    "percentages": (bad_table(lambda t: t.assign(accuracy=t["accuracy"] * 100)), "accuracies"),
    "rows twice": (bad_table(lambda t: pd.concat([t, t[:1]])), "has rows twice"),
    "another seed": (bad_table(lambda t: t.assign(seed=7)), "is of seed 7, config.toml of seed 1"),
    "nothing naive": (bad_table(lambda t: t.assign(protocol="x")), "no rows of naive prompting"),
    "no rows": (bad_table(lambda t: t[:0]), "trajectory.parquet"),
    "torn record": (torn("run.json"), "run.json is damaged"),
    "no record but a list": (
        lambda run: (run / "run.json").write_text("[1]"),
        "run.json is damaged",
    ),
    "text in the record": (record(probe={"accuracy": {"color": "high"}}), "run.json is damaged"),
    "time in words": (record(seconds="long"), "run.json is damaged"),
    "torn scores": (torn("scores/naive/*.parquet"), "is damaged"),
    "torn log": (torn("training.parquet"), "training.parquet is damaged"),
    "diverged": (diverged, "Its training diverged"),
    "table is a FIFO": (fifo("trajectory.parquet"), "trajectory.parquet is not a regular file"),
    "record is a FIFO": (fifo("run.json"), "run.json is not a regular file"),
    "log is a FIFO": (fifo("training.parquet"), "training.parquet is not a regular file"),
    "scores are a FIFO": (
        fifo("scores/naive/step-00000001.parquet"),
        "step-00000001.parquet is not a regular file",
    ),
    "not scored yet": (lambda run: (run / "trajectory.parquet").unlink(), "no trajectory.parquet"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_bad_run_is_left_out_and_says_why(tmp_path, name):
    damage, reason = DAMAGES[name]
    write_evaluated(tmp_path / "s1", 1)
    damage(tmp_path / "s1")
    library = Library([tmp_path])
    (run,) = library.index()["runs"]
    (problem,) = library.findings([run["token"]])["problems"]
    assert problem.startswith("no run is left that counts. Left out: s1: ")
    assert reason in problem
    with pytest.raises(UserError, match="no run is left that counts"):
        page.write_page(runs_in([tmp_path / "s1"])[0], tmp_path / "one.html")


def test_bad_runs_do_not_silence_the_others(seeds, monkeypatch):
    names = [f"bad-{number:02d}" for number in range(len(DAMAGES))]
    for number, (damage, _) in enumerate(DAMAGES.values()):
        write_evaluated(seeds / names[number], 10 + number)
        damage(seeds / names[number])
    listed, _, library = served(seeds)
    assert [run["name"] for run in listed["runs"]] == [*names, "s0", "s1", "s2"]
    tokens = [run["token"] for run in listed["runs"]]
    findings = library.findings(tokens)
    assert "means of 3 seeds" in texts(findings)
    problems = " ".join(findings["problems"])
    assert sorted(re.findall("Left out: (bad-..): ", problems)) == names
    assert "11" in library.turns(tokens)
    text = written(seeds, monkeypatch)
    assert "means of 3 seeds" in text
    assert sorted(re.findall("Left out: (bad-..): ", text)) == names


@pytest.mark.parametrize(
    "damage", [torn("run.json"), fifo("run.json"), lambda r: (r / "run.json").unlink()]
)
def test_a_scored_run_without_its_record_has_started(seeds, damage):
    damage(seeds / "s1")
    runs = {run["name"]: run for run in Library([seeds]).index()["runs"]}
    assert runs["s1"]["status"] == "unknown"


def test_info_does_not_take_a_scored_run_for_a_new_one(seeds, capsys):
    (seeds / "s1" / "run.json").unlink()
    assert main(["info", str(seeds / "s1")]) == 0
    assert re.search(r"^status +unknown$", capsys.readouterr().out, re.MULTILINE)
    (seeds / "s1" / "run.json").write_text('{"status": "fin')
    assert main(["info", str(seeds / "s1")]) == 2
    assert "run.json is damaged" in capsys.readouterr().err


def test_info_of_several_runs_names_the_bad_one(seeds, capsys):
    edited(('"color"', '"texture"'))(seeds / "s1")
    assert main(["info", str(seeds)]) == 0
    output = capsys.readouterr().out
    assert re.findall(r"^run +(s.)$", output, re.MULTILINE) == ["s0", "s1", "s2"]
    assert len(re.findall(r"^status +", output, re.MULTILINE)) == 2
    assert re.search(r"run +s1\nproblem +.*'texture' is not possible", output)
    fifo("run.json")(seeds / "s1")  # reading it would wait for ever
    edited(('"texture"', '"color"'))(seeds / "s1")
    assert main(["info", str(seeds)]) == 0
    assert re.search(r"run +s1\nproblem +.*not a regular file", capsys.readouterr().out)
    for name in ("s0", "s1", "s2"):
        edited(('"color"', '"texture"'))(seeds / name)
    assert main(["info", str(seeds)]) == 2


def test_a_folder_called_like_a_config_is_named(seeds, monkeypatch):
    (seeds / "odd" / "config.toml").mkdir(parents=True)
    runs = {run["name"]: run for run in Library([seeds]).index()["runs"]}
    assert "it has no config.toml" in runs["odd"]["problems"][0]
    assert "Left out: odd: " in written(seeds, monkeypatch)


def test_a_name_that_is_no_text_is_shown(seeds, monkeypatch):
    os.rename(seeds / "s1", os.fsencode(seeds) + b"/s\xff")
    listed, findings, library = served(seeds)
    assert [run["name"] for run in listed["runs"]] == ["s0", "s2", r"s\xff"]
    assert "means of 3 seeds" in texts(findings)
    content, without = library.table([run["token"] for run in listed["runs"]])
    assert (content[:4], without) == (b"PAR1", [])
    assert "means of 3 seeds" in written(seeds, monkeypatch)


def test_copies_of_a_checkpoints_scores_do_not_count(seeds):
    before = texts(served(seeds)[1])
    (path,) = (seeds / "s1" / "scores" / "naive").glob("*.parquet")
    shutil.copy(path, path.with_name(f"{path.stem} (copy).parquet"))
    assert texts(served(seeds)[1]) == before


def test_the_command_shows_the_rest(seeds, capsys, monkeypatch):
    monkeypatch.setattr(page, "draw", lambda *_: {})
    torn("trajectory.parquet")(seeds / "s1")
    assert main(["report", str(seeds), "-o", str(seeds / "out.html")]) == 0
    output = capsys.readouterr().out
    assert "Left out: s1: " in output
    assert "means of 2 seeds" in output
    assert main(["report", str(seeds / "s1")]) == 2
    assert "trajectory.parquet is damaged" in capsys.readouterr().err


@pytest.mark.usefixtures("unrendered")
def test_the_page_of_a_run_lies_where_it_is_asked_for(seeds, tmp_path_factory):
    run = seeds / "s0"
    before = sorted(run.rglob("*"))
    for place in (run, *run.rglob("*")):
        place.chmod(0o555 if place.is_dir() else 0o444)
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    assert main(["report", str(run), "-o", str(elsewhere / "p.html")]) == 0
    assert sorted(run.rglob("*")) == before
    assert {path.name for path in elsewhere.iterdir()} == {"p.html", "p-figures"}


@pytest.mark.usefixtures("unrendered")
def test_a_world_of_ones_own_is_reported(tmp_path, capsys):
    train, ood = paper_split(2)
    concepts = [Concept(n, ("0", "1"), ((0.0,), (1.0,))) for n in ("hue", "a scale")]
    for seed in (0, 1):
        run = write_evaluated(tmp_path / f"own-{seed}", seed)
        for path in (run.path / "trajectory.parquet", *run.path.glob("scores/*/*.parquet")):
            table = pd.read_parquet(path)
            # "a scale" comes first in the table, but is the second bit
            names = {"color": "hue", "size": "a scale"}
            table["concept"] = table["concept"].replace(names)
            table.sort_values("concept", kind="stable").to_parquet(path)
        assert main(["report", str(run.path), "-o", str(tmp_path / "p.html")]) == 2, "a guess"
        assert "there is no space.json that tells what they are" in capsys.readouterr().err
        write_space(run.path, ConceptSpace(tuple(concepts), train, ood))
    assert main(["report", str(tmp_path), "-o", str(tmp_path / "p.html")]) == 0
    assert main(["report", str(tmp_path / "own-0"), "-o", str(tmp_path / "q.html")]) == 0
    listed, findings, _ = served(tmp_path)
    assert [c["name"] for c in listed["spaces"][0]["concepts"]] == ["hue", "a scale"]
    assert findings["problems"] == []
    assert "means of 2 seeds" in texts(findings)
