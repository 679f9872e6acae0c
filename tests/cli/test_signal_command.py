"""The command that measures and draws the concept signal."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from conceptspace.cli import main

SMALL = ["signal", "quick", "--data.resolution", "8", "--out"]


def test_two_settings_in_one_figure_and_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    versus = ["--versus", "data.color-separation=0.6", "--versus", "data.size-separation=0.2"]
    assert main([*SMALL, str(tmp_path), *versus]) == 0
    assert "from_class" in capsys.readouterr().out
    assert (tmp_path / "signal.svg").exists()
    assert (tmp_path / "signal.png").exists()
    table = pd.read_parquet(tmp_path / "signal.parquet").set_index(["setting", "concept"])
    mean = table["distance"].groupby(level=[0, 1]).mean()
    own = "this config"
    (other,) = set(mean.index.get_level_values(0)) - {own}
    assert mean[other, "color"] > 2 * mean[own, "color"]
    assert mean[other, "size"] < mean[own, "size"]
    local = pd.read_parquet(tmp_path / "local.parquet")
    assert set(local["variable"]) == {"x", "y", "color", "size", "background"}
    assert (local["signal"] > 0).all()


def test_another_seed_measures_other_samples(tmp_path: Path) -> None:
    for name, seed in (("a", "1"), ("b", "2"), ("c", "2")):
        assert main([*SMALL, str(tmp_path / name), "--seed", seed]) == 0
    for table in ("signal", "local"):
        a, b, c = (pd.read_parquet(tmp_path / name / f"{table}.parquet") for name in "abc")
        assert not a.equals(b)
        assert b.equals(c)


@pytest.mark.parametrize("text", ["data.colour=1", "data.color-separation", "nonsense=3"])
def test_a_bad_second_setting_is_refused(
    tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*SMALL, str(tmp_path), "--versus", text]) == 2
    assert "--versus takes NAME=VALUE" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
