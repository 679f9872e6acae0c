"""Splits in which no two classes differ in one concept alone, or nothing is held out."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from conceptspace.experiment import parts
from conceptspace.presentation.page import write_page
from conceptspace.presentation.signal import write_signal
from tiny import tiny_config, tiny_session

SPLITS = [
    (["00"], [], ["color", "size"]),
    (["00"], ["11"], ["color", "size"]),
    (["0"], [], ["color"]),
    (["000"], ["111"], ["color", "size", "x"]),
]


@pytest.mark.parametrize(("train", "ood", "concepts"), SPLITS)
def test_a_signal_that_is_not_defined_is_left_out_and_said(tmp_path: Path, train, ood, concepts):
    config = tiny_config(
        data__train_classes=train, data__ood_classes=ood, data__concepts=concepts
    )  # fmt: skip
    parts.validate(config)
    table, local = write_signal({"this": parts.rendered(config.data)}, tmp_path)
    assert table.empty
    assert len(local) > 0
    assert pd.read_parquet(tmp_path / "signal.parquet")["distance"].dtype == float
    assert "no two classes differ in one concept alone" in (tmp_path / "signal.svg").read_text()


@pytest.mark.parametrize(("train", "ood", "concepts"), SPLITS[:2])
def test_such_a_run_comes_to_its_page(tmp_path: Path, probe_cache_folder, train, ood, concepts):
    config = tiny_config(
        data__train_classes=train, data__ood_classes=ood, data__concepts=concepts
    )  # fmt: skip
    session = tiny_session(tmp_path / "run", config, probe_cache_folder)
    for _ in session.execute():
        pass
    assert session.run.information()["status"] == "finished"
    write_page([session.run], tmp_path / "report.html")
    assert (tmp_path / "report.html").stat().st_size > 0
