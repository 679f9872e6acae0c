"""Loggers: what reaches them from a run and from a recorder, and the three known ones."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch

from conceptspace import Noise, Recorder, UserError, named_space
from conceptspace.events import Trained
from conceptspace.loggers import KNOWN, Logger, logged, logger, open_loggers
from conceptspace.store import Run
from tiny import TINY, tiny_config, tiny_session


class Kept:
    """A logger of one's own: a list of everything."""

    def __init__(self) -> None:
        self.logged: list[tuple[int, dict[str, float]]] = []
        self.pictures: list[tuple[int, str, tuple[int, ...]]] = []
        self.closed = 0

    def numbers(self, step: int, values: Mapping[str, float]) -> None:
        self.logged.append((step, dict(values)))

    def picture(self, step: int, name: str, pixels: np.ndarray) -> None:
        assert pixels.dtype == np.uint8
        self.pictures.append((step, name, pixels.shape))

    def close(self) -> None:
        self.closed += 1


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, probe_cache_folder: Path) -> tuple[Run, Kept]:
    folder, kept = tmp_path_factory.mktemp("logged") / "run", Kept()
    session = tiny_session(folder, TINY, probe_cache_folder)
    with open_loggers([kept], session.run, folder) as loggers:
        for event in logged(session.execute(), session.run, loggers):
            if isinstance(event, Trained):
                assert float(event.loss) > 0
    return session.run, kept


def test_steps_carry_loss_and_gradient_norm_of_the_training_log(run: tuple[Run, Kept]) -> None:
    stored, kept = run
    assert isinstance(kept, Logger)
    training = stored.training().set_index("step")
    losses = {step: values for step, values in kept.logged if "train/loss" in values}
    assert set(losses) == {1, 9}  # the first and the last; every tenth between
    for step, values in losses.items():
        assert values["train/loss"] == pytest.approx(training.loc[step, "loss"])
        assert values["train/grad_norm"] == pytest.approx(training.loc[step, "grad_norm"])


def test_checkpoints_tell_accuracies_valid_images_and_the_sheet(run: tuple[Run, Kept]) -> None:
    stored, kept = run
    joint = stored.trajectory().query("concept == 'joint'")
    for step in (0, 4, 9):
        (values,) = [v for s, v in kept.logged if s == step and "valid/naive" in v]
        for name, accuracy in (
            joint[joint["step"] == step].set_index("concept_class")["accuracy"].items()
        ):
            assert values[f"accuracy/naive/{name}"] == pytest.approx(accuracy)
    assert [(step, name) for step, name, _ in kept.pictures] == [
        (step, "samples/naive") for step in (0, 4, 9)
    ]
    assert all(shape[2] == 3 and min(shape[:2]) >= 8 for *_, shape in kept.pictures)
    assert kept.closed == 1


def test_numbers_that_are_not_finite_are_left_out(run: tuple[Run, Kept]) -> None:
    kept = Kept()
    list(logged([Trained(10, 20)], run[0], [kept]))
    assert kept.logged == [(10, {})]


def test_a_recorder_feeds_loggers_of_ones_own(tmp_path: Path) -> None:
    space = named_space({"color": ["red", "blue"]}, held_out=[("blue",)])
    kept = Kept()

    def model(prompts: torch.Tensor, noise: Noise) -> torch.Tensor:
        return noise(3, 8, 8).clamp(0, 1)

    def judge(images: torch.Tensor) -> torch.Tensor:
        return torch.full((len(images), 1), 0.5)

    with Recorder(tmp_path / "run", space, judge, samples=2, loggers=[kept]) as recorder:
        recorder.checkpoint(4, model, loss=1.5, grad_norm=0.25)
    assert (4, {"train/loss": 1.5, "train/grad_norm": 0.25}) in kept.logged
    assert any("accuracy/naive/0" in values for _, values in kept.logged)
    assert [name for _, name, _ in kept.pictures] == ["samples/naive"]
    assert kept.closed == 1


def test_an_unknown_or_missing_logger_is_refused(
    run: tuple[Run, Kept], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError, match="there is no logger 'clearml'; they are tensorboard"):
        logger("clearml", run[0], run[0].path)
    monkeypatch.setitem(sys.modules, "conceptspace.loggers.wandb", None)
    with pytest.raises(UserError, match=r"pip install 'conceptspace\[wandb\]'"):
        logger("wandb", run[0], run[0].path)


@pytest.mark.slow
def test_the_three_known_loggers_work_at_once_and_go_on_after_a_stop(tmp_path: Path) -> None:
    pytest.importorskip("wandb")
    pytest.importorskip("mlflow")
    (tmp_path / "tiny.toml").write_text(tiny_config(train__steps=20).to_toml())
    (tmp_path / "sweep.toml").write_text("base = 'tiny.toml'\naxes.seed = [0]\n")
    loggers = [word for name in KNOWN for word in ("--log", name)]
    command = [sys.executable, "-c", "from conceptspace.cli import main; raise SystemExit(main())"]
    command += ["sweep", "sweep.toml", "--out", "out", "--device", "cpu", *loggers]
    for _ in range(2):
        subprocess.run(
            command, cwd=tmp_path, check=True, env=os.environ | {"WANDB_MODE": "offline"}
        )
        trajectory = tmp_path / "out/runs/seed-0/trajectory.parquet"
        trajectory.unlink()  # so that the second call works on the run again
    read = """
import sys
from mlflow.tracking import MlflowClient
client = MlflowClient("sqlite:///out/mlflow.db")
(run,) = client.search_runs([client.get_experiment_by_name("out").experiment_id])
steps = {m.step for m in client.get_metric_history(run.info.run_id, "train/loss")}
assert steps == {1, 10, 20}, steps
assert run.data.metrics["valid/naive"] >= 0
assert [f.path for f in client.list_artifacts(run.info.run_id, "samples/naive")]
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
events = EventAccumulator("out/runs/seed-0/loggers/tensorboard")
events.Reload()
assert {e.step for e in events.Scalars("train/grad_norm")} == {1, 10, 20}
assert events.Images("samples/naive")
"""
    subprocess.run([sys.executable, "-c", read], cwd=tmp_path, check=True)
    assert list(tmp_path.glob("out/runs/seed-0/loggers/wandb/offline-run-*/*.wandb"))
