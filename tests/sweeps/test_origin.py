"""Which code made a result."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from conceptspace import __version__
from conceptspace.sweeps import origin


def test_the_commit_is_that_of_the_working_copy() -> None:
    head = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=Path(__file__).parent, capture_output=True, text=True
    ).stdout.strip()
    if not head:
        pytest.skip("no working copy")
    told = origin.commit().removesuffix("-dirty")
    assert head.startswith(told.split("-g")[-1])


def test_without_a_working_copy_it_is_the_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    assert origin.commit() == f"conceptspace {__version__}"


def test_the_processor_has_a_name() -> None:
    assert origin.processor().strip()
