"""A run that stopped is shown as stopped, one that was killed as silent."""

from __future__ import annotations

import os

import pytest

from conceptspace.presentation.explorer.liveness import PATIENCE, state


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "config.toml").write_text("")
    (tmp_path / "run.json").write_text("{}")
    (tmp_path / "checkpoints").mkdir()
    for place in [*tmp_path.iterdir(), tmp_path]:
        os.utime(place, (1000, 1000))
    return tmp_path


@pytest.mark.parametrize("status", ["stopped", "failed", "finished"])
def test_what_ended_stays_so(folder, status):
    assert state(folder, {"status": status}, now=1e9).status == status


def test_a_run_without_a_record_has_not_started(folder):
    assert state(folder, {}, now=1000.0).status == "not started"


def test_running_turns_silent_after_a_while(folder):
    running = {"status": "running"}
    assert state(folder, running, now=1000 + PATIENCE - 1).status == "running"
    found = state(folder, running, now=1000 + PATIENCE + 1)
    assert (found.status, found.since) == ("silent", 1000)


def test_slow_checkpoints_are_waited_for(folder):
    for step, time in ((1, 0), (2, 500), (3, 1000)):
        path = folder / "checkpoints" / f"step-{step:08d}.json"
        path.write_text("{}")
        os.utime(path, (time, time))
    os.utime(folder / "checkpoints", (1000, 1000))
    running = {"status": "running"}
    assert state(folder, running, now=3400.0).status == "running"
    assert state(folder, running, now=3600.0).status == "silent"


def test_the_version_changes_with_the_files_alone(folder):
    before = state(folder, {}).version
    assert state(folder, {"status": "running"}).version == before
    (folder / "samples" / "naive").mkdir(parents=True)
    between = state(folder, {}).version
    assert between != before
    (folder / "run.json").write_text('{"status": "stopped"}')
    assert state(folder, {}).version not in (before, between)
