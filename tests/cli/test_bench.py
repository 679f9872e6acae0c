from __future__ import annotations

import json

import pytest

from conceptspace.cli import main
from conceptspace.cli.bench import bench


@pytest.mark.slow
def test_smallest_measures_every_work(tmp_path, capsys):
    path = tmp_path / "bench.json"
    assert main(["bench", "--smallest", "--device", "cpu", "-o", str(path)]) == 0
    report = json.loads(path.read_text())
    assert {"processor", "threads", "torch", "precision", "operations"} <= set(report["machine"])
    assert set(report["peak_gflops"]) == {"float32", "bfloat16"}
    works = [row["work"].split(",")[0] for row in report["compared"]]
    assert works == ["quick step", "paper step", "quick sampling", "paper sampling"]
    for row in report["compared"]:
        assert row["ratio"] > 0
        assert row["share"] == pytest.approx(
            row["gflops"] / report["peak_gflops"][report["machine"]["precision"]]
        )
    assert all(work in capsys.readouterr().out for work in works[:1])
    assert any("first step" in name for name in report["others"])
    assert report["quick_step_ms"]["other convolutions, backward"] > 0
    assert len(report["growth"]) == 9


def test_an_existing_file_is_kept(tmp_path, capsys):
    path = tmp_path / "bench.json"
    path.write_text("precious")
    assert main(["bench", "--smallest", "-o", str(path)]) == 2
    assert "exists" in capsys.readouterr().err
    assert path.read_text() == "precious"


def test_repeats_must_be_a_number(capsys):
    assert main(["bench", "--repeats", "0"]) == 2
    assert "'0'" in capsys.readouterr().err
    assert callable(bench)


def test_the_ablation_is_printed_and_written(tmp_path, capsys):
    path = tmp_path / "ablation.json"
    command = ["bench", "--ablation", "quick", "--smallest", "--device", "cpu", "-o", str(path)]
    assert main(command) == 0
    report = json.loads(path.read_text())
    assert report["preset"] == "quick"
    assert {"processor", "operations"} <= set(report["machine"])
    assert set(report["ablation"][0]) == {"name", "milliseconds", "plain", "beside", "gain"}
    assert "with norms and GELU" in capsys.readouterr().out
