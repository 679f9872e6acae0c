"""A whole run by the command line."""

from __future__ import annotations

import re
import signal
import subprocess

import pandas as pd
import pytest
import torch
from asked import PROGRAM, contents, environment, tiny_file

from conceptspace.cli import main
from conceptspace.engine.native.compiling import native
from conceptspace.engine.precision import fastest_precision
from conceptspace.store import Run, open_or_create
from conceptspace.training import checkpoint
from tiny import TINY


class TestRun:
    def test_from_config_to_page_and_again(self, tmp_path, capsys, monkeypatch):
        path, folder = tiny_file(tmp_path), tmp_path / "r"
        assert main(["run", "--config", str(path), "--out", str(folder)]) == 0
        err = capsys.readouterr().err
        assert "joint accuracy" in err
        assert str(folder / "report.html") in err
        page = (folder / "report.html").read_text()
        assert "<html" in page
        assert not re.search(r"""(src|href)=["']https?://[^"']*\.(js|css|png)""", page)
        run = Run(folder)
        assert run.config == TINY
        assert sorted(run.trajectory()["step"].unique()) == [0, 4, 9]
        pages = []
        monkeypatch.setattr("conceptspace.cli.commands._report", lambda *a: pages.append(a[1]))
        before = contents(folder / "checkpoints") | contents(folder / "scores")
        times = {p: p.stat().st_mtime_ns for p in (folder / "checkpoints").iterdir()}

        assert main(["run", "--out", str(folder)]) == 0
        err = capsys.readouterr().err
        assert f"continuing the run in {folder}" in err
        assert "resuming at step 9" in err
        assert "joint accuracy" not in err, "nothing is scored again"
        assert contents(folder / "checkpoints") | contents(folder / "scores") == before
        assert {p: p.stat().st_mtime_ns for p in times} == times, "nothing is trained again"

        assert main(["evaluate", str(folder), "--protocol", "naive"]) == 0
        some = ["evaluate", str(folder), "--protocol", "overprompting-color", "--steps"]
        capsys.readouterr()
        assert main([*some, "9,4", "--dry-run"]) == 0
        assert "images at steps 4 and 9" in capsys.readouterr().out
        assert main([*some, "4"]) == 0
        asked = Run(folder).trajectory().query("protocol == 'overprompting-color'")
        assert set(asked["step"]) == {4}
        for flags in ([], ["--dry-run"]):
            assert main([*some, "4,5", *flags]) == 2
            refused = f"{folder} has no checkpoint of step 5; it has those of 0, 4, 9"
            assert refused in capsys.readouterr().err
        assert main(["info", str(folder)]) == 0
        assert "finished" in capsys.readouterr().out
        other = tmp_path / "page.html"
        assert main(["report", str(folder), "-o", str(other)]) == 0
        assert pages == [folder / "report.html", other]

    @pytest.mark.parametrize("precision", ["float32", "bfloat16"])
    def test_the_precision_asked_for_is_used_and_noted(self, tmp_path, monkeypatch, precision):
        path, folder = tiny_file(tmp_path), tmp_path / "r"
        monkeypatch.setattr("conceptspace.cli.commands._report", lambda *a: None)
        asked = ["--precision", precision]
        assert main(["run", "--config", str(path), "--out", str(folder), *asked]) == 0
        information = Run(folder).information()
        assert information["precision"] == precision
        assert information["operations"]

    def test_report_of_several_runs_needs_a_place(self, tmp_path, capsys):
        for name in ("a", "b"):
            open_or_create(tmp_path / name, TINY)
        assert main(["report", str(tmp_path / "a"), str(tmp_path / "b")]) == 2
        assert "-o FILE" in capsys.readouterr().err

    def test_ctrl_c_stops_cleanly_and_the_run_goes_on(self, tmp_path, capsys, monkeypatch):
        monkeypatch.setattr("conceptspace.cli.commands._report", lambda *a: None)
        changes = {"train__steps": 120, "train__checkpoint_steps": [1, 120]}
        path, folder = tiny_file(tmp_path, **changes), tmp_path / "r"
        process = subprocess.Popen(
            [*PROGRAM, "run", "--config", str(path), "--out", str(folder)],
            stderr=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment(),
        )
        lines = []
        for line in process.stderr:
            lines.append(line)
            if line.startswith("step "):
                process.send_signal(signal.SIGINT)
                break
        rest = process.communicate(timeout=60)[1]
        assert process.returncode == 130
        assert "Traceback" not in rest
        stopped = re.search(r"stopped at step (\d+); go on with: conceptspace (.*)\n", rest)
        assert stopped
        step, command = int(stopped[1]), stopped[2]
        assert 1 <= step < 120
        assert checkpoint.saved_steps(folder / "resume")[-1] == step

        assert command == f"run --out {folder}"
        assert main(command.split()) == 0
        assert f"resuming at step {step}" in capsys.readouterr().err
        assert checkpoint.saved_steps(folder / "checkpoints") == [1, 120]
        log = pd.read_parquet(folder / "training.parquet")
        assert list(log["step"]) == list(range(1, 121)), "every step once"
        assert not list(folder.rglob(".*.tmp"))


def test_info_describes_the_installation(capsys, probe_cache_folder):
    assert main(["info"]) == 0
    out = capsys.readouterr().out
    assert torch.__version__ in out
    assert str(probe_cache_folder) in out
    assert "quick, paper" in out
    assert f"operations    {native().reason}\n" in out
    assert f"precision     {fastest_precision(torch.device('cpu'))}\n" in out
