"""The same work on a CUDA device; skipped where there is none."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from conceptspace.cache import probe_cache
from conceptspace.engine.cuda_graph import Replayed
from conceptspace.engine.precision import Precision
from conceptspace.experiment import parts
from conceptspace.experiment.session import Session
from conceptspace.seeding import generator
from conceptspace.store import open_or_create
from conceptspace.training.loop import Trainer
from tiny import random_examples, tiny_config

pytestmark = pytest.mark.gpu


def test_renders_like_the_cpu() -> None:
    world = parts.world(tiny_config().data)
    z = world.sample("01", 16, generator(0, "gpu"))
    torch.testing.assert_close(world.render(z.cuda()).cpu(), world.render(z), atol=1e-5, rtol=0)


def test_predicts_like_the_cpu() -> None:
    model = parts.model(tiny_config())
    z, gamma, h = torch.randn(4, 3, 8, 8), torch.linspace(-5, 5, 4), torch.rand(4, 11)
    with torch.no_grad():
        expected = model(z, gamma, h)
        found = model.cuda()(z.cuda(), gamma.cuda(), h.cuda()).cpu()
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_a_run_from_config_to_trajectory(tmp_path: Path) -> None:
    run, _ = open_or_create(tmp_path / "run", tiny_config())
    for _ in Session(run, torch.device("cuda"), probe_cache()).execute():
        pass
    assert sorted(run.trajectory()["step"].unique()) == [0, 4, 9]
    assert run.information()["status"] == "finished"


def trainer(device: str, precision: Precision, dropout: float = 0.0) -> Trainer:
    config = tiny_config(model__dropout=dropout, train__weight_average=0.9)
    model = parts.model(config, torch.device(device))
    examples = random_examples(16).to(torch.device(device))
    return Trainer(model, examples, parts.optimization(config), 0, precision)


def test_recorded_steps_train_like_the_cpu() -> None:
    ours, theirs = trainer("cuda", "float32"), trainer("cpu", "float32")
    found = [r.loss.total.item() for r in ours.run(20)]
    assert ours.update.active, ours.update.note
    assert found == pytest.approx([r.loss.total.item() for r in theirs.run(20)], rel=1e-3)
    for key, value in theirs.sampling_weights().items():
        torch.testing.assert_close(ours.sampling_weights()[key].cpu(), value, atol=2e-3, rtol=1e-2)


def test_a_recorded_trainer_goes_on_from_a_saved_state() -> None:
    whole, first, second = (trainer("cuda", "bfloat16") for _ in range(3))
    losses = [r.loss.total.item() for r in whole.run(12)]
    for _ in first.run(6):
        pass
    for _ in second.run(2):  # recorded already when the state arrives
        pass
    second.restore(6, first.state())
    assert [r.loss.total.item() for r in second.run(12)] == pytest.approx(losses[6:], rel=1e-5)


def test_recorded_dropout_differs_between_steps() -> None:
    drop = Replayed(lambda x: torch.nn.functional.dropout(x, 0.5), torch.device("cuda"))
    x = torch.ones(1000, device="cuda")
    torch.cuda.manual_seed(0)
    first, second = drop(x), drop(x)
    assert not torch.equal(first, second)
    torch.cuda.manual_seed(0)
    assert torch.equal(drop(x), first)


def test_recorded_denoiser_follows_its_weights() -> None:
    model = parts.model(tiny_config(), torch.device("cuda")).eval()
    denoise = Replayed(model.denoise, torch.device("cuda"))
    z, gamma = torch.randn(4, 3, 8, 8, device="cuda"), torch.zeros(4, device="cuda")
    with torch.no_grad():
        for _ in range(2):
            conditions = model.embed_condition(torch.rand(4, 11, device="cuda"))
            expected = model.denoise(z, gamma, conditions)
            torch.testing.assert_close(denoise(z, gamma, conditions), expected)
            for p in model.parameters():
                p.add_(0.1)
    assert denoise.active, denoise.note


def test_warming_up_draws_no_random_numbers() -> None:
    x = torch.ones(1000, device="cuda")
    torch.cuda.manual_seed(0)
    expected = torch.nn.functional.dropout(x, 0.5)
    after = torch.cuda.get_rng_state()
    drop = Replayed(lambda x: torch.nn.functional.dropout(x, 0.5), torch.device("cuda"))
    torch.cuda.manual_seed(0)
    assert torch.equal(drop(x), expected)
    assert torch.equal(torch.cuda.get_rng_state(), after)


def test_the_first_step_after_a_resume_drops_what_it_would_have_dropped() -> None:
    whole, first, second = (trainer("cuda", "float32", dropout=0.3) for _ in range(3))
    losses = [r.loss.total.item() for r in whole.run(6)]
    for _ in first.run(4):
        pass
    second.restore(4, first.state())
    assert [r.loss.total.item() for r in second.run(6)] == pytest.approx(losses[4:], rel=1e-5)


def test_training_leaves_the_random_numbers_as_they_were() -> None:
    ours = trainer("cuda", "float32", dropout=0.3)
    before = torch.cuda.get_rng_state(), torch.get_rng_state()
    for _ in ours.run(3):
        pass
    assert torch.equal(torch.cuda.get_rng_state(), before[0])
    assert torch.equal(torch.get_rng_state(), before[1])
