"""`conceptspace analyze`: from anybody's file to findings and one page."""

from __future__ import annotations

import json
import os
import re
from threading import Thread

import pytest

from conceptspace.cli import main
from conceptspace.files import sha256

GOOD = "step,skill,acc,few\n" + "".join(
    f"{step},{skill},{plain},{few}\n"
    for step, plain, few in [
        (1, 5, 5),
        (2, 6, 90),
        (3, 7, 95),
        (4, 8, 95),
        (5, 99, 99),
        (6, 99, 99),
    ]
    for skill in ("add", "carry")
)
FLAGS = ["--concept", "skill", "--accuracy", "plain=acc", "--accuracy", "few=few", "--percent"]


def analyze(tmp_path, content, *flags, suffix=".csv"):
    path = tmp_path / f"evals{suffix}"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return main(["analyze", str(path), *flags])


def test_findings_on_the_terminal_and_on_the_page(tmp_path, capsys):
    page = tmp_path / "page.html"
    assert analyze(tmp_path, GOOD, *FLAGS, "-o", str(page)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == '- Hidden window of "add": yes, from step 2 to 4.'
    assert lines[1].startswith("- There few reaches 0.93 on average")
    html = page.read_text()
    (text,) = re.findall(r'<script type="application/json" id="payload">(.*?)</script>', html)
    payload = json.loads(text)
    findings = [row["text"] for row in payload["findings"]["*"]["findings"]]
    assert [f"- {text}" for text in findings] == lines
    (token,) = payload["trajectory"]
    naive, few = payload["trajectory"][token]["protocols"]
    assert (naive["name"], few["name"]) == ("naive", "few")
    assert few["classes"]["11"]["accuracy"][0] == [0.05, 0.9, 0.95, 0.95, 0.99, 0.99]
    assert naive["classes"]["11"]["joint"] == [None] * 6
    assert payload["details"][token]["provenance"]["file"] == "evals.csv"


def payload_of(page):
    (text,) = re.findall(r'id="payload">(.*?)</script>', page.read_text())
    return json.loads(text)


def test_seeds_of_one_run_name_are_runs_of_their_own_on_the_page(tmp_path):
    page = tmp_path / "page.html"
    rows = "".join(f"{s},main,{seed},.{seed}{s}\n" for seed in (1, 2) for s in (1, 2, 3))
    assert analyze(tmp_path, "step,run,seed,accuracy\n" + rows, "-o", str(page)) == 0
    payload = payload_of(page)
    runs = {run["name"]: run for run in payload["index"]["runs"]}
    assert list(runs) == ["main, seed 1", "main, seed 2"]
    curves = {
        run["seed"]: payload["trajectory"][run["token"]]["protocols"][0]["classes"]["1"]["joint"]
        for run in runs.values()
    }
    assert curves == {1: [0.11, 0.12, 0.13], 2: [0.21, 0.22, 0.23]}


def test_without_a_page_nothing_is_written(tmp_path, capsys):
    assert analyze(tmp_path, GOOD, *FLAGS) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["evals.csv"]


PLAIN = "step,accuracy\n1,0.1\n2,0.2\n3,0.9\n"

BAD = {
    "a column that is not there": (PLAIN, ["--step", "iteration"], "no column 'iteration'"),
    "no column of accuracies": ("step,acc\n1,0.1\n", [], "lacks the columns accuracy"),
    "two names for one column": (PLAIN, ["--seed", "step", "--step", "step"], "named by two"),
    "columns without names": (GOOD, ["--accuracy", "acc", "--accuracy", "few"], "need names"),
    "a name without a column": (PLAIN, ["--accuracy", "x="], "takes NAME=COLUMN"),
    "missing": ("step,accuracy\n1,0.1\n2,\n3,1\n", [], "no number in 1 of 3 rows; --skip-empty"),
    "nan": ("step,accuracy\n1,0.1\n2,nan\n3,1\n", [], "no number in 1 of 3 rows"),
    "infinite": ("step,accuracy\n1,0.1\n2,inf\n3,1\n", [], "missing or infinite values"),
    "text": ("step,accuracy\n1,0.1\n2,good\n3,1\n", [], "holds no numbers"),
    "duplicates": ("step,accuracy\n1,0.1\n2,0.2\n2,0.3\n", [], "nothing tells them apart"),
    "steps that start anew": (PLAIN + "1,0.1\n2,0.2\n3,0.9\n", [], "nothing tells them apart"),
    "one step": ("step,accuracy\n1,0.1\n", [], "there is 1 step"),
    "half steps": ("step,accuracy\n0.5,0.1\n1,0.1\n2,0.1\n", [], "must hold whole numbers"),
    "a step beyond counting": (PLAIN + "1e300,0.1\n", [], "whole numbers from 0 to 10^15"),
    "seeds that a number cannot tell apart": (
        "step,seed,accuracy\n"
        + "".join(f"{s},1234567890123456789{k},.1\n" for s in (1, 2, 3) for k in "12"),
        [],
        "the column seed must hold whole numbers from 0 to 10^15",
    ),
    "a step before the first": (PLAIN + "-5,0.1\n", [], "whole numbers from 0 to 10^15"),
    "unsaid percent": ("step,accuracy\n1,10\n2,20\n3,30\n", [], "on the command line --percent"),
    "no percent": (PLAIN, ["--percent"], "are no percentages"),
    "percent beside shares": (
        "step,acc,few\n1,.1,20\n2,.3,90\n3,.9,90\n",
        ["--naive", "acc", "--elicited", "few", "--percent"],
        "no accuracy in the column acc exceeds 1, and others do",
    ),
    "no skill": ("step,concept,accuracy\n1,,0.1\n2,a,0.1\n", [], "1 of 2 rows have no concept"),
    "a comma too many in a row": (
        "step,acc,few\n1,.1,.2,\n2,.1,.9,\n3,.1,.9,\n",
        ["--naive", "acc", "--elicited", "few"],
        "evals.csv: line 2 has 4 fields, and the header 3",
    ),
    "a comma too many in some row": (PLAIN + "4,.9,.8\n", [], "line 5 has 3 fields"),
    "two columns of one name": (
        "step,acc,few,few\n1,.1,.2,.3\n2,.1,.9,.9\n3,.1,.9,.9\n",
        ["--naive", "acc", "--elicited", "few"],
        "evals.csv has the column 'few' twice",
    ),
    "no rows": ("step,accuracy\n", [], "has no rows"),
    "nothing": ("", [], "cannot be read as a table"),
    "bytes": (b"\x00\xff\xfe", [], "cannot be read as a table"),
    "two conditions": (
        "step,seed,run,accuracy\n" + "".join(f"{s},0,{r},.1\n" for s in (1, 2, 3) for r in "ab"),
        [],
        "the runs a and b both have seed 0",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_table_is_refused_in_one_sentence(tmp_path, capsys, case):
    content, flags, message = BAD[case]
    page = tmp_path / "page.html"
    assert analyze(tmp_path, content, *flags, "-o", str(page)) == 2
    streams = capsys.readouterr()
    assert message in streams.err
    assert streams.err.startswith("conceptspace: ")
    assert streams.err.count("\n") == 1
    assert streams.out == ""
    assert not page.exists()


def test_the_page_does_not_replace_the_table(tmp_path, capsys):
    path = tmp_path / "evals.csv"
    assert analyze(tmp_path, PLAIN, "-o", str(path)) == 2
    assert "is no page, so it is not replaced" in capsys.readouterr().err
    assert path.read_text() == PLAIN


def test_a_table_from_another_program_is_read_once(tmp_path, capsys):
    """As a shell gives it, `analyze <(program)`: a pipe cannot be read again."""
    path = tmp_path / "evals.csv"
    os.mkfifo(path)
    Thread(target=path.write_text, args=(PLAIN,), daemon=True).start()
    assert main(["analyze", str(path), "-o", str(tmp_path / "page.html")]) == 0
    assert sha256(PLAIN.encode()) in (tmp_path / "page.html").read_text()


def test_other_files_are_no_tables(tmp_path, capsys):
    assert analyze(tmp_path, PLAIN, suffix=".txt") == 2
    assert "has to end in .csv or .parquet" in capsys.readouterr().err
    assert analyze(tmp_path, b"none", suffix=".parquet") == 2
    assert main(["analyze", str(tmp_path / "none.csv")]) == 2


def test_the_threshold_is_the_one_that_is_asked_for(tmp_path, capsys):
    page = tmp_path / "page.html"
    rows = "".join(f"{s},{a},{b}\n" for s, a, b in [(1, 10, 75), (2, 10, 75), (3, 10, 75)])
    table, flags = "step,acc,few\n" + rows, ["--accuracy", "plain=acc", "--accuracy", "few=few"]
    assert analyze(tmp_path, table, *flags, "--percent") == 0
    assert ": no." in capsys.readouterr().out.splitlines()[0]
    lower = ["--percent", "--threshold", "0.7", "--idle", "0.5", "--fails", "0.3"]
    assert analyze(tmp_path, table, *flags, *lower, "-o", str(page)) == 0
    output = capsys.readouterr().out
    assert 'Hidden window of "accuracy": yes, from step 1 to 3.' in output
    assert '"accuracy" does not reach 0.7 by step 3' in output
    assert "emerged is what holds 0.7 for 3 checkpoints" in output
    (text,) = re.findall(r'id="payload">(.*?)</script>', page.read_text())
    payload = json.loads(text)
    assert payload["index"]["threshold"] == 0.7
    (token,) = payload["trajectory"]
    upper = {
        (row["protocol"], row["concept"]): row["upper"]
        for row in payload["trajectory"][token]["emergence"]
    }
    assert upper == {
        ("naive", "accuracy"): None,
        ("naive", "joint"): None,
        ("few", "accuracy"): 1,
        ("few", "joint"): 1,
    }
    assert payload["details"][token]["provenance"]["counts as there"] == "from 0.7 on"


def test_every_level_that_is_not_the_usual_one_is_said(tmp_path, capsys):
    page = tmp_path / "page.html"
    assert analyze(tmp_path, PLAIN, "--fails", "0.7", "--idle", "0.75", "-o", str(page)) == 0
    payload = payload_of(page)
    (details,) = payload["details"].values()
    assert details["provenance"]["the plain way fails"] == "up to 0.7"
    assert details["provenance"]["a control is idle"] == "up to 0.75"
    assert "counts as there" not in details["provenance"]
    said = "Levels that are not the usual ones: the plain way fails: up to 0.7; a control is idle: "
    assert said in capsys.readouterr().out
    assert any(said in row["text"] for row in payload["findings"]["*"]["findings"])
    assert analyze(tmp_path, PLAIN) == 0
    assert "usual" not in capsys.readouterr().out


def test_a_plain_way_that_does_better_than_it_may_has_no_window(tmp_path, capsys):
    rows = "step,plain,few,none\n" + "".join(f"{s},.4,.9,.5\n" for s in (1, 2, 3))
    flags = ["--naive", "plain", "--elicited", "few", "--control", "none"]
    assert analyze(tmp_path, rows, *flags) == 0
    assert ": yes, from step 1 to 3" in capsys.readouterr().out
    for stricter in (["--fails", "0.3"], ["--idle", "0.4"]):
        assert analyze(tmp_path, rows, *flags, *stricter) == 0
        out = capsys.readouterr().out
        assert 'window of "accuracy": no.' in out
        assert f"at {stricter[1]} or less" in out


def test_columns_by_what_they_are_for(tmp_path, capsys):
    rows = "step,a,b,c,d\n" + "".join(f"{s},.1,.9,.2,.3\n" for s in (1, 2, 3))
    flags = ["--naive", "a", "--elicited", "b", "--elicited", "c", "--control", "d"]
    assert analyze(tmp_path, rows, *flags) == 0
    output = capsys.readouterr().out
    assert "the best of 2 other ways of asking (b) reaches 0.90" in output.replace("There", "there")
    assert "control d 0.30" in output
    assert "ways of asking naive, b, c, control d" in output


@pytest.mark.parametrize("way", ["controlnet", "patching", "fine-tuning-held-out", "control on"])
def test_the_role_that_is_said_decides_and_not_the_name(tmp_path, capsys, way):
    rows = f"step,a,{way},d\n" + "".join(f"{s},.1,.9,.2\n" for s in (1, 2, 3))
    flags = ["--naive", "a", "--elicited", way, "--control", "d"]
    assert analyze(tmp_path, rows, *flags) == 0
    output = capsys.readouterr().out
    assert ": yes, from step 1 to 3." in output
    assert f"There {way} reaches 0.90" in output
    assert f"Under {way}, " in output
    assert "by its name" not in output.lower()
    assert analyze(tmp_path, rows, "--naive", "a", "--elicited", "d", "--control", way) == 0
    output = capsys.readouterr().out
    assert ": no." in output
    assert "control at 0.6 or less" in output


LONG = "step,protocol,setting,accuracy\n" + "".join(
    f"{s},{way},{setting},{value}\n"
    for s in (1, 2, 3)
    for way, setting, value in [("plain", "", 0.1), ("few", "quality control on", 0.9)]
)


def test_a_setting_does_not_make_a_control(tmp_path, capsys):
    assert analyze(tmp_path, LONG) == 0
    output = capsys.readouterr().out
    assert ": yes, from step 1 to 3." in output
    assert "No control is in the table" in output


def test_what_only_a_name_says_is_said(tmp_path, capsys):
    renamed = LONG.replace("quality control on", "")
    assert analyze(tmp_path, renamed.replace("few", "controlnet")) == 0
    assert ": yes, from step 1 to 3." in capsys.readouterr().out
    assert analyze(tmp_path, renamed.replace("few", "latent-control-random")) == 0
    assert "- By its name, latent-control-random counts as a control." in capsys.readouterr().out
    assert analyze(tmp_path, renamed.replace("few", "patching")) == 0
    assert "- By its name, patching counts as no other way" in capsys.readouterr().out


LEVELS_BAD = {
    "no accuracy": (["--threshold", "80"], "--threshold is an accuracy above 0, up to 1, not 80"),
    "fails above": (["--threshold", "0.4"], "--fails is an accuracy .* below --threshold 0.4, not"),
    "no columns": (["--elicited", "accuracy"], "--elicited COLUMN needs --naive COLUMN"),
    "two roles": (
        ["--naive", "step", "--elicited", "accuracy", "--control", "accuracy"],
        "named by two flags",
    ),
    "two ways": (["--naive", "accuracy", "--plain", "x"], "in place of --accuracy and --plain"),
    "no such column": (["--naive", "few"], "has no column 'few'; it has step, accuracy"),
}


@pytest.mark.parametrize("case", LEVELS_BAD)
def test_levels_and_roles_that_do_not_fit(tmp_path, capsys, case):
    flags, message = LEVELS_BAD[case]
    assert analyze(tmp_path, PLAIN, *flags) == 2
    error = capsys.readouterr().err
    assert re.search(message, error)
    assert error.count("\n") == 1


def test_the_levels_of_the_flags_are_those_of_the_verdict():
    from conceptspace.analysis.levels import Levels
    from conceptspace.cli.table_flags import LEVELS

    assert Levels(*(level for level, _ in LEVELS.values())) == Levels()


MANY = "step,concept_class,concept,accuracy{}\n" + "".join(
    f"{s},{c},{what},{a}{more}\n"
    for s in (1, 2, 3)
    for c, what, a, more in [
        ("20", "hue", 0.5, "{},.2,.3,.5"),
        ("20", "shape", 0.9, "{},,,"),
        ("01", "hue", 0.7, "{},.7,.1,.2"),
        ("01", "shape", 0.6, "{},,,"),
    ]
)


def coordinates(page):
    (text,) = re.findall(r'id="payload">(.*?)</script>', page.read_text())
    payload = json.loads(text)
    (token,) = payload["trajectory"]
    (naive,) = payload["trajectory"][token]["protocols"]
    (space,) = payload["index"]["spaces"]
    return space["concepts"], naive["classes"]


def test_classes_of_many_values_with_the_probability_of_each(tmp_path):
    page = tmp_path / "page.html"
    content = MANY.replace("{}", ",p0,p1,p2", 1).replace("{}", "")
    assert analyze(tmp_path, content, "-o", str(page)) == 0
    concepts, classes = coordinates(page)
    assert concepts[0] == {"name": "hue", "labels": ["0", "1", "2"], "axis": [0, 1]}
    assert concepts[1] == {"name": "shape", "labels": ["0", "1"], "axis": [0, 1]}
    assert classes["20"]["coordinate"] == [[0.55] * 3, [0.1] * 3]  # (1 + p1 - p0) / 2
    assert classes["01"]["coordinate"] == [[0.2] * 3, [0.6] * 3]
    assert classes["20"]["values"] == {"0": [[0.2] * 3, [0.3] * 3, [0.5] * 3]}


def test_classes_of_many_values_without_them(tmp_path):
    page = tmp_path / "page.html"
    content = re.sub(r"\{\}.*", "", MANY)
    assert analyze(tmp_path, content, "-o", str(page)) == 0
    concepts, classes = coordinates(page)
    assert concepts[0]["asked"]
    assert concepts[0]["labels"] == ["other values", "the value asked for"]
    assert classes["20"]["coordinate"] == [[0.5] * 3, [0.1] * 3]
    assert classes["01"]["coordinate"] == [[0.7] * 3, [0.6] * 3]
    assert "values" not in classes["20"]


def test_the_help_names_what_a_name_alone_does(capsys):
    with pytest.raises(SystemExit):
        main(["analyze", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert "A column valid counts, too" in text
    assert "default: the one called joint" in text
