"""A run whose numbers are not finite ends as diverged, and is reported as such."""

from __future__ import annotations

import json

from conceptspace.cli import main
from tiny import tiny_config


def test_a_run_that_diverges_says_so(tmp_path, capsys):
    folder, file = tmp_path / "run", tmp_path / "config.toml"
    config = tiny_config(
        train__learning_rate=1000.0,
        train__clip_norm=1e9,
        train__steps=200,
        train__checkpoint_steps=(200,),
    )
    file.write_text(config.to_toml())
    assert main(["run", "--config", str(file), "--out", str(folder)]) == 1
    error = capsys.readouterr().err
    assert "conceptspace: training diverged at step" in error
    assert "smaller train.learning_rate than 1000" in error
    assert "Traceback" not in error
    assert json.loads((folder / "run.json").read_text())["status"] == "diverged"
    assert main(["info", str(folder)]) == 0
    assert "diverged" in capsys.readouterr().out
