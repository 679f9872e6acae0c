"""The tutorial runs as it stands, and is short."""

from __future__ import annotations

import re
import runpy
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent.parent / "docs" / "tutorial.py"


def run(steps: int, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), str(steps)])
    runpy.run_path(str(SCRIPT), run_name="__main__")


def test_it_has_less_than_sixty_lines() -> None:
    assert len(SCRIPT.read_text().splitlines()) < 60


def test_from_a_concept_space_to_sentences(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With so few steps nothing is learned, but everything is used."""
    run(2, tmp_path, monkeypatch)
    signal, *lines = capsys.readouterr().out.splitlines()
    assert set(eval(signal)) == {"color", "size", "shape"}
    assert [line[:3] for line in lines] == ["011", "101", "110", "111"]
    assert all(re.search(r"taken for [01]{3} at \d+ checkpoints; joint accuracy", t) for t in lines)
    assert (tmp_path / "tutorial.png").stat().st_size > 50_000
    assert (tmp_path / "tutorial.svg").exists()
