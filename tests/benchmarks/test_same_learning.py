from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from conceptspace.benchmarks import same_learning
from conceptspace.benchmarks.same_learning import compare
from tiny import tiny_config


def curves(gain, seeds=5, noise=0.05):
    source = np.random.default_rng(0)
    rows = []
    for kind, seed, step in [(k, s, t) for k in ("reference", "engine") for s in range(seeds)
                             for t in range(100, 1100, 100)]:  # fmt: skip
        value = step / 1000 + gain * (kind == "engine") + noise * source.normal()
        rows.append({"kind": kind, "seed": seed, "step": step, "concept_class": "11",
                     "accuracy": value})  # fmt: skip
    return pd.DataFrame(rows)


def test_equal_trainers_are_not_told_apart():
    (row,) = compare(curves(0.0)).to_dict("records")
    assert row["low"] < 0 < row["high"]
    assert row["p"] > 0.1


def test_a_trainer_that_learns_more_is():
    (row,) = compare(curves(0.2)).to_dict("records")
    assert row["difference"] == pytest.approx(0.2, abs=0.05)
    assert row["low"] > 0
    assert row["p"] == pytest.approx(2 / 32), "the least that five seeds can give"


def test_learns_keeps_and_goes_on(tmp_path, monkeypatch, capsys):
    config = tiny_config()
    monkeypatch.setitem(same_learning.PRESETS, "quick", lambda: config)
    same_learning.main(["--out", str(tmp_path), "--seeds", "0"])
    assert sorted(p.name for p in tmp_path.glob("*.parquet")) == [
        "engine-seed-0.parquet",
        "reference-seed-0.parquet",
    ]
    assert "written" in capsys.readouterr().out
    same_learning.main(["--out", str(tmp_path), "--seeds", "0"])
    told = capsys.readouterr().out
    assert "written" not in told
    assert "difference" in told
