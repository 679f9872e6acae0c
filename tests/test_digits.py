"""The example with real handwritten digits runs as it stands, and is short."""

from __future__ import annotations

import json
import re
import runpy
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from conceptspace.analysis.verdict import accuracies, windows

SCRIPT = Path(__file__).parent.parent / "docs" / "digits.py"


def test_it_has_at_most_sixty_lines() -> None:
    assert len(SCRIPT.read_text().splitlines()) <= 60


@pytest.mark.slow
def test_from_strokes_to_a_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With so few steps nothing is learned, but everything is used."""
    pytest.importorskip("mlxtend")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), "7", "1"])
    runpy.run_path(str(SCRIPT), run_name="__main__")
    output = capsys.readouterr().out
    assert re.search(
        r"^- Hidden capability: (no\. At no 3|cannot be decided\.)", output, re.MULTILINE
    )
    assert "blue thin zero" in output
    assert (tmp_path / "runs/seed-7/report.html").stat().st_size > 100_000
    with np.load(tmp_path / "digits.npz") as stored:
        images, thick, blue = (
            stored["images"],
            stored["thickness"] == "thick",
            stored["color"] == "blue",
        )
    assert images.shape == (4000, 16, 16, 3)
    ink = 255 - images.astype(float)
    assert ink[thick].mean() > 1.5 * ink[~thick].mean()
    assert (ink[blue][..., 0].mean() - ink[blue][..., 2].mean()) > 0
    judge = json.loads((tmp_path / "runs/seed-7/run.json").read_text())["judge"]
    assert judge["share"] == 0.95


def test_the_page_says_what_the_kept_runs_say() -> None:
    """No seed hides the class; the table's numbers are those of the last step."""
    kept = sorted((SCRIPT.parent.parent / "results/digits").glob("seed-*"))
    best = pd.concat([pd.read_parquet(run / "best.parquet") for run in kept])
    assert sorted(best["seed"].unique()) == list(range(300, 306))
    assert not any(window.found for window in windows(best, "110"))
    wide = accuracies(best, "110")
    last = wide[wide.index.get_level_values("step") == 4200].droplevel("step")
    columns = ["naive", "overprompting-color", "latent-intervention", "latent-control-random"]
    page = SCRIPT.with_suffix(".md").read_text()
    for seed, row in last[columns].iterrows():
        assert f"| {seed} | " + " | ".join(f"{value:.2f}" for value in row) in page
