"""A fit of Lightning's own Trainer is recorded, goes on without asking again, and is reported."""

from __future__ import annotations

import warnings
from pathlib import Path

import pandas as pd
import pytest
import torch
from foreign import SIZE, SPACE, Painter, judge, one_hot, patches
from torch.utils.data import DataLoader, TensorDataset

from conceptspace.cli import main
from conceptspace.errors import UserError
from conceptspace.files import read_record
from conceptspace.recording.recorder import Recorder
from conceptspace.store import Run

lightning = pytest.importorskip(
    "lightning.pytorch", reason="the extra conceptspace[lightning] is not installed"
)
from conceptspace.recording.lightning import LightningRecorder  # noqa: E402

pytestmark = [
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*:lightning.fabric.utilities.warnings.PossibleUserWarning"),
]


class Module(lightning.LightningModule):
    """The painter, with a training step."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.painter = Painter()
        self.modes: list[bool] = []

    def training_step(self, batch, index):
        images, prompts = batch
        drawn = torch.cat([prompts, 0.1 * torch.randn(len(prompts), 8)], dim=1)
        made = self.painter.layers(drawn).view(-1, 3, SIZE, SIZE)
        loss = (made - images).square().mean()
        self.log("light", made.mean())
        return loss

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=0.02)


def data() -> DataLoader:
    images = torch.cat([patches(name, 4) for name in SPACE.train_classes])
    prompts = torch.cat([one_hot(name).expand(4, -1) for name in SPACE.train_classes])
    return DataLoader(TensorDataset(images, prompts), batch_size=4)


def fit(folder: Path, steps: int, module: Module | None = None, *, more=(), **settings) -> Module:
    """Fit and record the steps 0, 2, 4, ...; the module counts how often it was asked."""
    module = module or Module()
    planned = Recorder(folder, SPACE, judge, samples=2, steps=range(0, 100, 2))
    recorder = settings.pop("recorder", planned)

    def model(fitted: Module) -> Painter:
        module.modes.append(fitted.training)
        return fitted.painter

    arguments = {"max_steps": steps, "accelerator": "cpu", "devices": 1, "logger": False}
    quiet = {"enable_progress_bar": False, "enable_model_summary": False}
    path = settings.pop("ckpt_path", None)
    trainer = lightning.Trainer(
        **(arguments | quiet | {"enable_checkpointing": False} | settings),
        callbacks=[*more, LightningRecorder(recorder, model, metrics=["light"])],
    )
    trainer.fit(module, data(), ckpt_path=path)
    module.trainer = trainer
    return module


def test_planned_steps_are_recorded_and_reported(tmp_path, capsys):
    module = fit(tmp_path / "run", 5)
    assert module.modes == [False] * 3
    assert module.training
    run = Run(tmp_path / "run")
    assert sorted(run.trajectory()["step"].unique()) == [0, 2, 4]
    assert run.training()["step"].tolist() == [2, 4]
    assert run.training()[["loss", "light"]].notna().all(None)
    assert run.information()["status"] == "finished"
    assert main(["report", str(run.path)]) == 0
    assert (run.path / "report.html").stat().st_size > 10_000


def test_a_fit_goes_on_from_a_checkpoint_and_repeats_nothing(tmp_path):
    first = fit(tmp_path / "run", 5)
    first.trainer.save_checkpoint(tmp_path / "state.ckpt")
    before = Run(tmp_path / "run").scores()
    second = fit(tmp_path / "run", 9, ckpt_path=tmp_path / "state.ckpt")
    assert second.painter.calls == 2 * len(SPACE.classes)
    after = Run(tmp_path / "run").scores()
    assert sorted(after["step"].unique()) == [0, 2, 4, 6, 8]
    pd.testing.assert_frame_equal(after[after["step"] <= 4].reset_index(drop=True), before)
    assert fit(tmp_path / "run", 9).painter.calls == 0


def test_recording_does_not_change_the_training(tmp_path):
    recorded = fit(tmp_path / "run", 6).state_dict()
    alone = Module()
    lightning.Trainer(
        max_steps=6,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    ).fit(alone, data())
    plain = alone.state_dict()
    assert all(torch.equal(recorded[name], plain[name]) for name in plain)


def test_a_step_is_one_of_the_optimiser_and_its_loss_is_whole(tmp_path):
    fit(tmp_path / "each", 2)
    module = fit(tmp_path / "run", 4, accumulate_grad_batches=3)
    assert module.painter.calls == 3 * len(SPACE.classes)
    losses = Run(tmp_path / "run").training()
    assert losses["step"].tolist() == [2, 4]
    one = Run(tmp_path / "each").training()["loss"].iloc[0]
    assert losses["loss"].iloc[0] == pytest.approx(one, rel=0.5)


def test_averaged_weights_are_asked_and_the_others_trained_on(tmp_path):
    callbacks = lightning.callbacks
    if not hasattr(callbacks, "EMAWeightAveraging"):
        pytest.skip("Lightning averages weights from 2.6 on")
    still = callbacks.EMAWeightAveraging(decay=1.0)
    module = fit(tmp_path / "run", 6, more=[still])
    table = Run(tmp_path / "run").trajectory()
    later = table[table["step"] > 0]  # Lightning's first average is the weights of step 1
    assert (later.groupby(["concept_class", "concept"])["accuracy"].nunique() <= 1).all()
    assert module.painter.calls == 4 * len(SPACE.classes)
    plain = fit(tmp_path / "plain", 6)
    moved = plain.painter.layers[0].weight - Module().painter.layers[0].weight
    assert moved.abs().max() > 0.01


class Manual(Module):
    """Steps its optimiser itself, and returns no loss."""

    def __init__(self, logs: bool) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.logs = logs

    def training_step(self, batch, index):
        loss = super().training_step(batch, index)
        if self.logs:
            self.log("loss", loss)
        self.optimizers().zero_grad()
        self.manual_backward(loss)
        self.optimizers().step()


class Adversaries(Module):
    """Two optimisers, each of which steps once in a batch."""

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False

    def training_step(self, batch, index):
        loss = super().training_step(batch, index)
        for optimizer in self.optimizers():
            optimizer.zero_grad()
        self.manual_backward(loss)
        for optimizer in self.optimizers():
            optimizer.step()

    def configure_optimizers(self):
        return [torch.optim.Adam(self.parameters(), lr=0.01) for _ in range(2)]


def test_planned_steps_that_several_optimizers_pass_over_are_refused(tmp_path):
    fit(tmp_path / "even", 8, Adversaries())
    assert Run(tmp_path / "even").trajectory()["step"].unique().tolist() == [0, 2, 4, 6, 8]
    odd = Recorder(tmp_path / "odd", SPACE, judge, samples=2, steps=(0, 5))
    with pytest.raises(UserError, match=r"step 5 is planned.* from 4 to 6 .*range\(0, N, 2\)"):
        fit(tmp_path / "odd", 8, Adversaries(), recorder=odd)


def test_manual_optimization_keeps_numbers_beside_a_logged_loss(tmp_path):
    fit(tmp_path / "run", 5, Manual(logs=True))
    run = Run(tmp_path / "run")
    assert run.training()["step"].tolist() == [2, 4]
    assert run.training()[["loss", "light"]].notna().all(None)


def test_manual_optimization_without_a_loss_says_once_that_numbers_are_not_kept(tmp_path):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fit(tmp_path / "run", 5, Manual(logs=False))
    said = [str(w.message) for w in caught if "light are not recorded" in str(w.message)]
    assert len(said) == 1
    assert 'log one with self.log("loss", ...)' in said[0]
    assert sorted(Run(tmp_path / "run").trajectory()["step"].unique()) == [0, 2, 4]


def test_a_fit_that_fails_closes_the_recording(tmp_path):
    class Fails(Module):
        def training_step(self, batch, index):
            if self.global_step == 3:
                raise RuntimeError("no more")
            return super().training_step(batch, index)

    with pytest.raises(RuntimeError, match="no more"):
        fit(tmp_path / "run", 9, Fails())
    assert read_record(tmp_path / "run" / "run.json")["status"] == "failed"
    fit(tmp_path / "run", 5)
    assert sorted(Run(tmp_path / "run").trajectory()["step"].unique()) == [0, 2, 4]


def test_a_model_that_is_spread_over_processes_is_refused(tmp_path):
    class FSDPStrategy(lightning.strategies.SingleDeviceStrategy):
        pass

    with pytest.raises(UserError, match="leaves no process with a whole model"):
        fit(tmp_path / "run", 2, strategy=FSDPStrategy("cpu"))
