"""The command line of the paper's figures."""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from pathlib import Path

import pytest
import torch

from conceptspace.cache import probe_cache
from conceptspace.cli import main
from conceptspace.experiment import parts
from conceptspace.judges.probe import load_or_train
from conceptspace.paper import settings as plans
from conceptspace.presets import PRESETS
from tiny import tiny_config


@pytest.fixture
def tiny_presets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The quick preset as a run of a second."""
    monkeypatch.setenv("CONCEPTSPACE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setitem(PRESETS, "quick", lambda: tiny_config(train__checkpoint_steps=(4, 9)))
    monkeypatch.setattr(plans, "PRESETS", PRESETS)


def test_a_dry_run_lists_runs_and_their_state(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], tiny_presets: None
) -> None:
    out = tmp_path / "out"
    asked = ["reproduce", "fig10", "fig08", "--dry-run", "--out", str(out), "--device", "cpu"]
    assert main(asked) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len([line for line in lines if " missing " in line]) == 56
    assert any(line.startswith("masked-50/seed-276") and "overprompting" in line for line in lines)
    assert re.fullmatch(r"about .+ at once, besides \d+ seconds for a probe", lines[-1])
    assert not out.exists()
    config = plans.masked("quick", [276], 0.5)[0].config
    load_or_train(parts.world(config.data), parts.probe(config), torch.device("cpu"), probe_cache())
    assert main(asked) == 0
    assert re.fullmatch(r"about .+ at once", capsys.readouterr().out.splitlines()[-1])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fig4"], "there is no figure 'fig4'; did you mean fig04?"),
        ([], "say which figure: all, or some of fig01c"),
        (["fig04", "--jobs", "0"], "--jobs: it takes a whole number from 1, not '0'"),
        (["fig04", "--seeds", "a"], "--seeds: it takes whole numbers like 0,1,2, not 'a'"),
        (["fig04", "--seeds", "-1"], "seed = -1 is not possible"),
        (["fig04", "--seeds", "1" + "0" * 30, "--dry-run"], "less than 2147483648"),
        (["--index", "nowhere"], "nowhere has no folder called quick or paper"),
        (["--index", "x", "--dry-run"], "reproduce --index takes DIR, and no --dry-run"),
        (["fig04", "--index", "x"], "reproduce --index DIR takes no figures"),
    ],
)
def test_mistakes_are_reported_in_one_line(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["reproduce", *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.splitlines()) == 1


def test_a_figure_without_runs_is_drawn_and_checked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["reproduce", "fig02", "--out", str(tmp_path)]) == 0
    assert "fig02-signal: held" in capsys.readouterr().out
    names = {path.name for path in (tmp_path / "fig02").iterdir()}
    assert names == {"fig02.png", "fig02.svg", "ledger.json", "ledger.md", "provenance.json"}


def test_nothing_is_trained_where_that_is_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["reproduce", "fig10", "--no-training", "--out", str(tmp_path)]) == 0
    assert "fig10: not drawn: no run has finished" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_from_nothing_to_a_kept_figure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], tiny_presets: None
) -> None:
    out, kept = tmp_path / "out", tmp_path / "results" / "quick"
    command = ["reproduce", "fig10", "--out", str(out), "--seeds", "0,1", "--jobs", "2"]
    assert main([*command, "--device", "cpu", "--keep", str(kept)]) == 0
    streams = capsys.readouterr()
    assert "fig10-complete: undecided (2 seeds, fewer than 3)" in streams.out
    assert re.search(r"masked-50/seed-1: done in \d+ (seconds|minutes)", streams.err)
    folder = kept / "runs" / "masked-50" / "seed-0"
    assert {p.name for p in folder.iterdir()} == {
        "best.parquet",
        "config.toml",
        "run.json",
        "samples",
        "trajectory.parquet",
    }
    before = (kept / "fig10" / "fig10.png").read_bytes()
    again = ["reproduce", "fig10", "--out", str(kept), "--seeds", "0,1"]
    assert main(again) == 0
    assert "2 runs, 2 exist" in capsys.readouterr().err
    assert (kept / "fig10" / "fig10.png").read_bytes() == before
    assert main(["reproduce", "--index", str(kept.parent)]) == 0
    assert "fig10/fig10.png" in (kept.parent / "README.md").read_text()


def test_ctrl_c_stops_cleanly_and_says_how_to_go_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], tiny_presets: None
) -> None:
    def interrupt() -> None:
        while not list(tmp_path.glob("logs/*.log")):
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    command = ["reproduce", "fig10", "--out", str(tmp_path), "--jobs", "1", "--device", "cpu"]
    assert main(command) == 130
    assert "the same command goes on" in capsys.readouterr().err
