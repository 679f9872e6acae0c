"""The simulation of a sweep: where the time of workers goes."""

from __future__ import annotations

from dataclasses import astuple
from pathlib import Path

import pytest

from conceptspace.benchmarks.sweeps import simulate, storing

FREE = {"start_up": 0.0, "engine": 0.0, "storage": 0.0}


def test_even_runs_on_as_many_workers_lose_nothing() -> None:
    found = simulate([3600.0] * 8, 8, **FREE)
    assert (found.hours, found.runs, found.stragglers) == (1.0, 1.0, 0.0)


def test_a_last_long_run_keeps_the_others_waiting() -> None:
    found = simulate([1.0, 1.0, 2.0], 2, **FREE)
    assert found.hours * 3600 == pytest.approx(3.0)
    assert found.stragglers == pytest.approx(2 / 6)


def test_all_shares_together_are_the_time_of_the_workers() -> None:
    found = simulate([5.0, 7.0, 11.0] * 9, 4, start_up=6.0, engine=0.01, storage=0.5)
    assert sum(astuple(found)[1:]) == pytest.approx(1.0)
    assert found.start_up == pytest.approx(6.0 / (found.hours * 3600))
    assert found.storage == pytest.approx(27 * 0.5 / (4 * found.hours * 3600))


def test_storing_brings_a_run_there_and_back(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "log").write_text("text")
    assert storing(tmp_path / "run", "memory://benchmark") > 0
    assert (tmp_path / "fetched" / "log").read_text() == "text"
