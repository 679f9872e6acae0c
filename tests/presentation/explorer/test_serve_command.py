"""The command: prints an address, serves until it is stopped, refuses what is unsafe."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from fabricated import make_space, write_run

import conceptspace.cli.commands  # noqa: F401  (compiled here, not deep in a test)
from conceptspace.cli import main
from conceptspace.errors import UserError
from conceptspace.presentation.explorer.discover import runs_in


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("runs")
    for seed in (0, 1):
        write_run(root / f"seed-{seed}", make_space(2), seed, {"naive": {"": 900.0}})
    return root


def test_it_serves_until_it_is_interrupted(folder):
    program = Path(sys.executable).with_name("conceptspace")
    before = sorted(folder.rglob("*"))
    serving = subprocess.Popen(
        [program, "serve", folder, "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    try:
        assert serving.stdout is not None
        url = serving.stdout.readline().strip()
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", url)
        with urllib.request.urlopen(url + "api/index") as answer:
            assert b"seed-1" in answer.read()
        serving.send_signal(signal.SIGINT)
        _, errors = serving.communicate(timeout=60)
    finally:
        serving.kill()
    assert serving.returncode == 0
    assert "Traceback" not in errors
    assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--bind", "0.0.0.0"], "would show the runs to other machines"),
        (["--bind", "0.0.0.0", "--token", "short"], "16 or more letters"),
        (["--port", "99999"], "choose another --port"),
    ],
)
def test_what_is_refused(folder, capsys, monkeypatch, arguments, message):
    monkeypatch.delenv("CONCEPTSPACE_TOKEN", raising=False)
    assert main(["serve", str(folder), *arguments]) == 2
    assert message in capsys.readouterr().err
    assert main(["serve", str(folder / "none")]) == 2
    assert "is not a folder" in capsys.readouterr().err


def test_runs_are_named_one_by_one_or_by_their_folder(folder, tmp_path):
    runs, left_out = runs_in([folder])
    assert ([run.name for run in runs], left_out) == (["seed-0", "seed-1"], [])
    runs, _ = runs_in([folder / "seed-1", folder / "seed-0"])
    assert [run.name for run in runs] == ["seed-1", "seed-0"]
    with pytest.raises(UserError, match="is not a run and holds none"):
        runs_in([tmp_path])
    with pytest.raises(UserError, match="is not a run: it has no config"):
        runs_in([tmp_path / "none"])
