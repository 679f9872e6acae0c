"""A cache at a place that cannot be used is refused in one sentence, before any work."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from conceptspace import cache
from conceptspace.cli import main
from conceptspace.errors import UserError


def in_the_way(folder: Path) -> str:
    (folder / "file").write_text("")
    return str(folder / "file")


def below_a_file(folder: Path) -> str:
    return in_the_way(folder) + "/cache"


def too_long(folder: Path) -> str:
    return str(folder / ("a" * 300))


def nothing(folder: Path) -> str:
    return ""


def blank(folder: Path) -> str:
    return " "


PLACES = [in_the_way, below_a_file, too_long, nothing, blank]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("command", ["info", "quickstart"])
def test_commands_say_so_and_fail(tmp_path, monkeypatch, capsys, place, command):
    monkeypatch.setenv(cache.VARIABLE, place(tmp_path))
    monkeypatch.chdir(tmp_path)
    options = [] if command == "info" else ["--out", str(tmp_path / "run")]
    assert main([command, *options]) != 0
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert cache.VARIABLE in error
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("of", [cache.probe_cache, cache.native_cache])
def test_a_folder_that_cannot_be_written(tmp_path, monkeypatch, of):
    """Root may write anywhere, so the system's answer is put in its place."""
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path / "new" / "cache"))
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(UserError, match="cannot be written; let CONCEPTSPACE_CACHE name"):
        of()


def test_a_place_that_can_be_made_is_not_made_yet(tmp_path, monkeypatch):
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path / "new" / "cache"))
    assert cache.probe_cache() == tmp_path / "new" / "cache" / "probes"
    assert not (tmp_path / "new").exists()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(cache.VARIABLE, "beside")
    assert cache.native_cache() == Path("beside/native")
