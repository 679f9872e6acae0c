"""The estimate of memory and disk, and what is refused by it before a folder is made."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import pytest
import torch

from conceptspace.cli import main
from conceptspace.config import merged, nested
from conceptspace.errors import UserError
from conceptspace.experiment import needs, parts
from conceptspace.experiment.needs import Needs
from conceptspace.presets import PRESETS, paper, quick
from conceptspace.worlds.shapes.readout import AnalyticReadout, templates
from tiny import CPU, tiny_config, tiny_session, tiny_world

GIGABYTE = 10**9


def changed(**changes: object) -> Needs:
    flat = {name.replace("__", "."): value for name, value in changes.items()}
    return needs.needs(merged(paper(), nested(flat), "test"))


@pytest.mark.parametrize("name", PRESETS)
def test_the_model_is_counted(name):
    config = PRESETS[name]()
    made = sum(parameter.numel() for parameter in parts.model(config).parameters())
    assert needs.parameters(config) == made


def test_a_large_model_is_checked_without_being_made():
    large = merged(paper(), nested({"model.channels": [8192] * 4}), "test")
    assert all(weights.is_meta for weights in parts.outline(large).parameters())
    assert not any(weights.is_meta for weights in parts.outline(quick()).parameters())
    with pytest.raises(UserError, match=r"multiples of model\.groups"):
        parts.outline(merged(large, nested({"model.groups": 7}), "test"))


def test_presets_fit_a_small_machine():
    for preset in (quick, paper):
        found = needs.needs(preset())
        assert found.program + found.tensors < 8 * GIGABYTE
        assert found.disk < 8 * GIGABYTE


@pytest.mark.parametrize(
    ("changes", "part", "least"),
    [
        ({"model__channels": [8192] * 4}, "program", 500 * GIGABYTE),
        ({"train__batch_size": 65536}, "tensors", 500 * GIGABYTE),
        ({"data__images_per_class": 10**7}, "tensors", 700 * GIGABYTE),
        ({"probe__images_per_class": 10**7}, "tensors", 900 * GIGABYTE),
        ({"data__resolution": 512}, "tensors", 1000 * GIGABYTE),
        ({"evaluate__samples": 10**5}, "tensors", 5 * GIGABYTE),
        ({"evaluate__samples": 10**5}, "disk", 50 * GIGABYTE),
        ({"train__checkpoints": 10**5, "train__steps": 10**6}, "disk", 1000 * GIGABYTE),
        ({"train__steps": 10**9}, "disk", 50 * GIGABYTE),
    ],
)
def test_what_is_large_needs_much(changes, part, least):
    assert getattr(changed(**changes), part) > least


@pytest.mark.parametrize(
    "changes",
    [
        {"train__batch_size": 128},
        {"data__images_per_class": 4096},
        {"model__channels": [64, 128, 512]},
        {"model__blocks": 3},
        {"evaluate__samples": 64},
        {"evaluate__protocols": ["overprompting-color", "latent-intervention", "patching"]},
        {"data__concepts": ["shape", "color", "size"]},
    ],
)
def test_more_of_anything_needs_more(changes):
    more, less = changed(**changes), needs.needs(paper())
    assert more.program + more.tensors + more.disk > less.program + less.tensors + less.disk


def test_the_judge_keeps_as_many_masks_as_it_is_said_to():
    for world in (tiny_world(), tiny_world(concepts=["shape", "x"], resolution=16)):
        assert templates(world) == len(AnalyticReadout(world).grid)


def test_the_disk_of_a_run_is_estimated(tmp_path: Path, probe_cache_folder):
    """But for the page, whose share is a constant, within a factor of three."""
    config = tiny_config(evaluate__protocols=["overprompting-color"])
    session = tiny_session(tmp_path / "run", config, probe_cache_folder)
    for _ in session.execute():
        pass
    weights = sum(f.stat().st_size for f in (tmp_path / "run" / "checkpoints").iterdir())
    states = sum(f.stat().st_size for f in (tmp_path / "run" / "resume").iterdir())
    estimate = needs.needs(config).disk - needs.PAGE
    assert (weights + states) / 3 < estimate < (weights + states) * 3


MEASURED = """
import resource, sys
from conceptspace.cli import main
status = main(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
sys.exit(status)
"""


@pytest.mark.slow
def test_the_memory_of_a_run_is_estimated(tmp_path: Path, probe_cache_folder):
    """Of the whole command, page included: at most a tenth too low, and not twice too high."""
    file, config = tmp_path / "tiny.toml", tiny_config()
    file.write_text(config.to_toml())
    asked = ["run", "--config", file, "--out", tmp_path / "run", "--device", "cpu"]
    ended = subprocess.run(
        [sys.executable, "-c", MEASURED, *asked], capture_output=True, text=True, check=True
    )
    peak, found = int(ended.stdout.split()[-1]), needs.needs(config)
    assert 0.9 * peak < found.program + found.tensors < 2 * peak
    written = sum(f.stat().st_size for f in (tmp_path / "run").rglob("*") if f.is_file())
    assert written < found.disk < written + needs.PAGE


FAMOUS = [
    ["--train.batch-size", "65536", "--model.channels", "1024,1024"],
    ["--data.images-per-class", "10000000"],
    ["--model.channels", "8192,8192,8192"],
    ["--data.resolution", "512"],
]


@pytest.mark.parametrize("flags", FAMOUS)
def test_a_run_beyond_the_machine_is_refused_before_its_folder_is_made(
    tmp_path, capsys, monkeypatch, flags
):
    monkeypatch.setattr(needs, "_memory", lambda: 64 * GIGABYTE)
    assert main(["run", "paper", "--device", "cpu", "--out", str(tmp_path / "run"), *flags]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "of memory, and this machine has 64 GB" in error
    assert not (tmp_path / "run").exists()


def test_a_gpu_of_apple_shares_the_computers_memory(tmp_path, monkeypatch):
    config, mps = tiny_config(), torch.device("mps")
    needs.require(config, tmp_path, mps)
    found = needs.needs(config)
    assert found.memory(mps) == found.memory(CPU) == found.program + found.tensors
    monkeypatch.setattr(needs, "_memory", lambda: found.program + found.tensors // 2)
    with pytest.raises(UserError, match="of memory, and this machine has"):
        needs.require(config, tmp_path, mps)


def test_two_processes_need_the_memory_of_two(tmp_path, monkeypatch):
    config = tiny_config()
    found = needs.needs(config)
    monkeypatch.setattr(needs, "_memory", lambda: found.program + found.tensors)
    needs.require(config, tmp_path, CPU)
    with pytest.raises(UserError, match="of memory, and this machine has"):
        needs.require(config, tmp_path, CPU, processes=2)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--train.batch-size", "100000000000"], "less than or equal to 65536"),
        (["--train.checkpoints", "100000000"], "less than or equal to 100000"),
        (["--data.images-per-class", "1000000000000"], "less than or equal to 10000000"),
        (["--model.channels", "80000000"], "80000000 is not possible: 1 to 8192"),
        (["--train.learning-rate", "nan"], "input should be a finite number"),
        (["--data.edge-blur", "inf"], "input should be a finite number"),
        (["--seed", "-1"], "greater than or equal to 0"),
        (["--protocols.fine-tuning.steps", "1" + "0" * 30], "is not possible: 1 to 1000000"),
    ],
)
def test_what_no_machine_has_is_out_of_bounds(tmp_path, capsys, flags, message):
    assert main(["run", "quick", "--out", str(tmp_path / "run"), *flags]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_full_disk_is_reported(tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda place: usage(10**9, 10**9, 10**6))
    with pytest.raises(UserError, match=r"of disk, and at .* is free 1 MB; take fewer") as error:
        needs.require(quick(), tmp_path / "new" / "run", CPU)
    assert "\n" not in str(error.value)


def test_what_a_run_holds_already_is_not_asked_for_again(tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda place: usage(10**9, 10**9, 10**6))
    with (tmp_path / "whole").open("wb") as file:
        file.truncate(needs.needs(quick()).disk)
    needs.require(quick(), tmp_path, CPU)


def test_a_small_gpu_is_reported(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (0, 10**9))
    with pytest.raises(UserError, match="of GPU memory, and the GPU has 1 GB"):
        needs.require(paper(), tmp_path, torch.device("cuda"))


def test_the_limit_of_a_container_counts(tmp_path, monkeypatch):
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(needs, "CGROUP", limit)
    without = needs._memory()
    limit.write_text("max\n")
    assert needs._memory() == without
    limit.write_text("1000000\n")
    assert needs._memory() == 10**6
