"""How a sweep stands, by planted folders; and the command, from a file to its end."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
import torch

from conceptspace.cli import main
from conceptspace.cli.carry_out import time_in_words
from conceptspace.cli.standing import Standing
from conceptspace.errors import UserError
from conceptspace.presentation.explorer.collected import open_library
from conceptspace.store import Run, open_or_create
from conceptspace.sweeps.cost import TimeLeft, measured, passes
from conceptspace.sweeps.folder import begin, failures, remembered
from conceptspace.sweeps.plan import Plan
from conceptspace.sweeps.progress import Failed, Lost, Started
from conceptspace.sweeps.status import status
from planted import Behavior, plant
from tiny import TINY, tiny_config


@pytest.fixture
def plans() -> list[Plan]:
    return [Plan(f"level/seed-{seed}", tiny_config(seed=seed)) for seed in range(7)]


def test_every_state_is_told_with_its_reason(plans: list[Plan], tmp_path: Path) -> None:
    begin(tmp_path, plans, at_once=2)
    folder = plant(plans[0], tmp_path, Behavior())
    Run(folder).note(status="finished", seconds=7200.0)
    told = {
        1: {"status": "running"},
        2: {"status": "diverged", "reason": "training diverged at step 3"},
        3: {"status": "running"},
        4: {"status": "stopped"},
    }
    for seed, information in told.items():
        open_or_create(plans[seed].folder(tmp_path), plans[seed].config)[0].note(**information)
    long_ago = time.time() - 10_000
    for path in [plans[3].folder(tmp_path), *plans[3].folder(tmp_path).iterdir()]:
        os.utime(path, (long_ago, long_ago))
    events = [Failed(plans[5], "there is no room")]
    assert list(remembered(events, tmp_path)) == events
    found = status(tmp_path)
    assert [run.status for run in found.runs] == [
        *("done", "running", "diverged", "silent", "stopped", "failed", "waiting")
    ]
    assert found.runs[2].reason == "training diverged at step 3"
    assert found.runs[5].reason == "there is no room"
    assert found.counts["waiting"] == 1
    # Four runs are left, two at once, each as long as the one that is done.
    assert found.hours_left == pytest.approx(2 * 2.0)


def test_before_a_run_is_done_the_hours_are_not_known(plans: list[Plan], tmp_path: Path) -> None:
    begin(tmp_path, plans, at_once=2)
    assert status(tmp_path).hours_left is None
    assert status(tmp_path).counts == {"waiting": 7}


def test_a_failure_is_forgotten_when_the_run_begins_again(
    plans: list[Plan], tmp_path: Path
) -> None:
    events = [Failed(plans[0], "why"), Lost(plans[1], "killed"), Started(plans[0], True)]
    kept = [dict(failures(tmp_path)) for _ in remembered(events, tmp_path)]
    assert kept == [{plans[0].name: "why"}, {plans[0].name: "why"}, {}]


def test_two_commands_on_one_sweep_keep_the_failures_of_both(
    plans: list[Plan], tmp_path: Path
) -> None:
    events = [Failed(plans[0], "why"), Started(plans[2], False)]
    mine, others = remembered(events, tmp_path), remembered([Failed(plans[1], "too")], tmp_path)
    next(mine), next(others), next(mine)
    assert failures(tmp_path) == {plans[0].name: "why", plans[1].name: "too"}
    (tmp_path / "failures.json").write_text('{"failures": 3}')
    assert list(remembered([Failed(plans[2], "last")], tmp_path))
    assert failures(tmp_path) == {plans[2].name: "last"}


def test_a_folder_without_a_sweep_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not the folder of a sweep"):
        status(tmp_path)
    begin(tmp_path, [], 1)
    for damaged in ({"runs": []}, {"runs": [[1]], "at_once": 1}, {"runs": [], "at_once": "x"}):
        (tmp_path / "sweep.json").write_text(json.dumps(damaged))
        with pytest.raises(UserError, match="damaged"):
            status(tmp_path)
    (tmp_path / "sweep.json").write_text('{"runs": [["../x", 1, 1]], "at_once": 1}')
    with pytest.raises(UserError, match=r"damaged \(the run ../x would lie outside of it"):
        status(tmp_path)


def test_the_page_is_told_how_a_sweep_stands_and_follows_no_link_that_leads_out(
    plans: list[Plan], tmp_path: Path
) -> None:
    out, other = tmp_path / "out", tmp_path / "other"
    begin(out, plans[:3], at_once=2)
    plant(plans[0], out, Behavior())
    Run(plans[0].folder(out)).note(status="finished", seconds=7200.0)
    assert list(remembered([Failed(plans[1], "there is no room")], out))
    plant(plans[2], other, Behavior())
    plans[2].folder(out).symlink_to(plans[2].folder(other))
    told = open_library([out], standing=Standing([out, other])).index()["sweeps"]
    assert told == [
        {
            "name": "out",
            "summary": "3 runs: 1 done, 2 failed",
            "runs": [
                "level/seed-1: failed, there is no room",
                "level/seed-2: failed, a link that leads out; it is not read",
            ],
        }
    ]
    (out / "failures.json").write_text('{"failures": 3}')
    (told,) = Standing([out])()
    assert "failures.json is damaged" in told["summary"]


def test_the_command_tells_the_cost_runs_the_file_and_says_how_it_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("tiny.toml").write_text(TINY.to_toml())
    Path("sweep.toml").write_text(
        "base = 'tiny.toml'\n[axes]\nseed = [0, 1]\ntrain.clip_norm = [1.0]\n"
    )
    command = ["sweep", "sweep.toml", "--out", "out", "--device", "cpu"]
    assert main([*command, "--dry-run"]) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[:2] == ["seed-0  missing", "seed-1  missing"]
    assert told[2].startswith("2 runs, about ")
    assert told[2].endswith("MB of disk")
    assert not Path("out").exists()
    assert main([*command, "--log", "tensorboard"]) == 0
    assert list(Path("out/runs/seed-1/loggers/tensorboard").glob("events.*"))
    capsys.readouterr()
    assert main(["sweep", "status", "out", "--json"]) == 0
    told_json = json.loads(capsys.readouterr().out)
    assert told_json["counts"] == {"done": 2}
    assert told_json["hours_left"] == 0
    assert main(["sweep", "status", "out"]) == 0
    assert capsys.readouterr().out == "2 runs: 2 done\n"
    assert passes(TINY) > 3 * 9 * 4


MISUSES = {
    "sweep sweep.toml": "--out DIR",
    "sweep status": "name the sweep's folder",
    "sweep sweep.toml more --out out": "unknown argument more",
    "sweep sweep.toml --out out --address auto": "add --engine ray",
    "sweep sweep.toml --out out --gpus-per-run 0.5": "add --engine ray",
    "sweep sweep.toml --out out --cpus-per-run 0": "--cpus-per-run is a number above 0",
    "sweep sweep.toml --out out --gpus-per-run 1.5": "above 1 is a whole number",
    "sweep sweep.toml --out out --retries -1": "--retries",
    "sweep sweep.toml --out out --json": "--json is for sweep status",
    "sweep collect out --dry-run": "sweep collect takes DIR, and no --dry-run",
    "sweep collect out --json": "sweep collect takes DIR, and no --json",
    "sweep status out --dry-run --json": "sweep status takes DIR and --json, and no --dry-run",
    "sweep status out --out other": "sweep status takes DIR and --json, and no --out",
    "sweep fetch file:///x --out out --dry-run": "takes URL and --out DIR, and no --dry-run",
    "sweep fetch file:///x --out out --jobs 2": "takes URL and --out DIR, and no --jobs",
}


@pytest.mark.parametrize("line", MISUSES)
def test_misuse_is_told_in_one_sentence(
    line: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("sweep.toml").write_text("base = 'quick'\naxes.seed = [0]\n")
    assert main(line.split()) == 2
    (sentence,) = capsys.readouterr().err.strip().splitlines()[-1:]
    assert MISUSES[line] in sentence


def test_measured_time_of_an_image_grows_with_the_network() -> None:
    cpu, threads = torch.device("cpu"), torch.get_num_threads()
    networks = [tiny_config(model__channels=[c]) for c in (8, 128)]
    small, large = (min(measured(each, cpu) for _ in range(3)) for each in networks)
    assert 0 < 2 * small < large
    assert torch.get_num_threads() == threads


def test_the_time_that_is_left_is_told_with_that_of_the_probes() -> None:
    assert time_in_words(TimeLeft(2, 90.0, ())) == "90 seconds with 2 at once"
    told = time_in_words(TimeLeft(1, 7200.0, (60.0,)))
    assert told == "2.0 hours with 1 at once, besides 60 seconds for a probe"
    told = time_in_words(TimeLeft(1, 7200.0, (60.0, 120.0)))
    assert told == "2.0 hours with 1 at once, besides 3 minutes for 2 probes"
