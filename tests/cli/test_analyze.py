"""`conceptspace analyze`: from anybody's file to findings and one page."""

from __future__ import annotations

import json
import re

import pytest

from conceptspace.cli.parser import main

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
    told = capsys.readouterr().out.splitlines()
    assert told[0] == '- Hidden window of "add": yes, from step 2 to 4.'
    assert told[1].startswith("- There few reaches 0.93 on average")
    html = page.read_text()
    (text,) = re.findall(r'<script type="application/json" id="payload">(.*?)</script>', html)
    payload = json.loads(text)
    findings = [row["text"] for row in payload["findings"]["*"]["findings"]]
    assert [f"- {text}" for text in findings] == told
    (token,) = payload["trajectory"]
    naive, few = payload["trajectory"][token]["protocols"]
    assert (naive["name"], few["name"]) == ("naive", "few")
    assert few["classes"]["11"]["accuracy"][0] == [0.05, 0.9, 0.95, 0.95, 0.99, 0.99]
    assert naive["classes"]["11"]["joint"] == [None] * 6
    assert payload["details"][token]["provenance"]["file"] == "evals.csv"


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
    "unsaid percent": ("step,accuracy\n1,10\n2,20\n3,30\n", [], "on the command line --percent"),
    "no percent": (PLAIN, ["--percent"], "are no percentages"),
    "no skill": ("step,concept,accuracy\n1,,0.1\n2,a,0.1\n", [], "1 of 2 rows have no concept"),
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
def test_a_bad_table_is_told_of_in_one_sentence(tmp_path, capsys, case):
    content, flags, told = BAD[case]
    page = tmp_path / "page.html"
    assert analyze(tmp_path, content, *flags, "-o", str(page)) == 2
    streams = capsys.readouterr()
    assert told in streams.err
    assert streams.err.startswith("conceptspace: ")
    assert streams.err.count("\n") == 1
    assert streams.out == ""
    assert not page.exists()


def test_the_page_does_not_replace_the_table(tmp_path, capsys):
    path = tmp_path / "evals.csv"
    assert analyze(tmp_path, PLAIN, "-o", str(path)) == 2
    assert "would replace the table" in capsys.readouterr().err
    assert path.read_text() == PLAIN


def test_other_files_are_no_tables(tmp_path, capsys):
    assert analyze(tmp_path, PLAIN, suffix=".txt") == 2
    assert "has to end in .csv or .parquet" in capsys.readouterr().err
    assert analyze(tmp_path, b"none", suffix=".parquet") == 2
    assert main(["analyze", str(tmp_path / "none.csv")]) == 2
