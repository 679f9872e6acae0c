"""The table that the module prints."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tables import trajectory

from conceptspace.analysis.theory import eq1
from conceptspace.files import write_table
from conceptspace.paper.fig05.report import HEADING, main

STEPS = list(range(100, 2100, 100))


def test_a_line_for_each_seed_and_the_mean(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    times = np.array(STEPS) / 120
    curve = eq1(times, (0.3, 0.3), biased=(1, 0), asymmetry=0.6, switch=7.0)
    seeds = curve + 0.02 * np.random.default_rng(0).standard_normal((2, len(STEPS), 2))
    write_table(tmp_path / "t.parquet", trajectory(seeds, STEPS))
    assert main([str(tmp_path / "t.parquet")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == HEADING.splitlines()
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines[2:]]
    assert [row[0] for row in cells] == ["seed 0", "seed 1", "mean of 2"]
    assert {row[1] for row in cells} == {"10"}
    assert {len(row) for row in cells} == {HEADING.splitlines()[1].count("---")}
    assert float(cells[2][2].split()[0]) == pytest.approx(0.6, abs=0.1)


def test_a_file_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "absent.parquet")]) == 2
    assert capsys.readouterr().err == f"error: there is no file {tmp_path / 'absent.parquet'}\n"
