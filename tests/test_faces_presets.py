"""Presets for a CelebA folder: the paper's numbers, and a smaller one."""

from __future__ import annotations

from pathlib import Path

import pytest

from conceptspace.cli import main
from conceptspace.cli.parser import PRESET_NAMES, START_NAMES
from conceptspace.config import merged, nested
from conceptspace.experiment import parts
from conceptspace.presets import PRESETS, STARTS, faces, faces_night
from faces import write_folder


def test_the_command_line_knows_every_preset() -> None:
    assert tuple(PRESETS) == PRESET_NAMES
    assert tuple(STARTS) == START_NAMES


def test_the_papers_scale() -> None:
    """App. C.3."""
    config = faces()
    assert (config.preset, config.data.kind) == ("faces", "celeba")
    assert (config.data.resolution, config.data.images_per_class) == (64, 30_000)
    assert (config.train.steps, config.train.batch_size) == (1_000_000, 64)
    assert config.probe.agreement == 0.95
    small = faces_night()
    assert small.preset == "faces-night"
    assert small.data.resolution < config.data.resolution
    assert small.train.steps < config.train.steps
    pixels = [of.train.steps * of.data.resolution**2 for of in (small, config)]
    assert pixels[0] < pixels[1] / 2


@pytest.mark.parametrize("name", ["faces", "faces-night"])
def test_they_fit_any_two_attributes(tmp_path: Path, name: str) -> None:
    root = write_folder(tmp_path / "data", 20)
    few = {
        "data.root": str(root),
        "data.attributes": ("Male", "Smiling"),
        "data.images_per_class": 20,
        "probe.images_per_class": 10,
        "probe.held_out_per_class": 10,
    }
    parts.validate(merged(STARTS[name](), nested(few), "test"))


def test_what_is_needed_is_reported_before_any_image_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "faces", "--out", str(tmp_path / "run"), "--dry-run"]) == 2
    assert "data.kind = 'celeba' needs data.root" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_dry_run_tells_time_and_disk(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = write_folder(tmp_path / "data", 20)
    words = f"run faces-night --data.root {root} --data.images-per-class 20 --dry-run"
    words += " --probe.images-per-class 10 --probe.held-out-per-class 10 --model.channels 8,16"
    words += f" --data.resolution 16 --out {tmp_path / 'run'}"
    assert main(words.split()) == 0
    rows = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert rows["training"] == "400000 steps of 64 images"
    assert rows["disk"].startswith("about ")
    assert "from the beginning" in rows["time"]
    assert not (tmp_path / "run").exists()
