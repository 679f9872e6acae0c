"""Ledgers of claims become rows of text, whatever they hold."""

from __future__ import annotations

import json

from conceptspace.presentation.explorer.ledger import ledger_table

ROW = {
    "claim": "Overprompting reaches 11 earlier",
    "figure": "6",
    "effect": 612.51234,
    "unit": "steps",
    "interval": [130.0, None],
    "criterion": "the interval lies above 0",
    "verdict": "held",
    "reason": "",
    "seeds": 5,
}


def read(tmp_path, content):
    path = tmp_path / "ledger.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return ledger_table("fig06/ledger.json", path)


def test_rows_in_words(tmp_path):
    ledger = read(tmp_path, [ROW])
    assert ledger == {
        "name": "fig06/ledger.json",
        "rows": [
            {
                "claim": "Overprompting reaches 11 earlier",
                "figure": "6",
                "effect": "612.5 steps",
                "interval": "130 to unbounded",
                "criterion": "the interval lies above 0",
                "verdict": "held",
            }
        ],
        "problem": "",
    }


def test_an_object_with_rows_and_a_reason(tmp_path):
    row = {"claim": "c", "effect": None, "verdict": "undecided", "reason": "too few seeds"}
    ledger = read(tmp_path, {"number": "15", "rows": [row]})
    assert ledger["rows"][0]["figure"] == "15"
    assert ledger["rows"][0]["effect"] == "–"
    assert ledger["rows"][0]["reason"] == "too few seeds"


def test_damaged_and_foreign_ledgers_are_named(tmp_path):
    assert "cannot be read" in read(tmp_path, '[{"claim": "half')["problem"]
    assert read(tmp_path, {"rows": 3})["problem"] == "the ledger is no list of claims"
    assert read(tmp_path, ["a", "b"])["rows"] == []
    assert "cannot be read" in ledger_table("x", tmp_path / "gone.json")["problem"]
