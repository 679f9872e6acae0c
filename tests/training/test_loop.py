from __future__ import annotations

import pytest
import torch

from conceptspace.errors import Diverged
from conceptspace.experiment import parts
from conceptspace.training.loop import Optimization, Trainer
from conceptspace.worlds.dataset import Examples
from tiny import random_examples, tiny_config


def trainer(examples=None, seed=0, config=None, **settings):
    model = parts.model(config or tiny_config())
    settings = {"batch_size": 4, "clip_norm": 1.0} | settings
    return Trainer(model, examples or random_examples(10), Optimization(**settings), seed)


def run(t, last):
    return list(t.run(last))


def recorded(t, monkeypatch):
    """What the loss is asked for at each step: (images, h, noise, times)."""
    seen, loss = [], t.model.loss

    def record(*arguments):
        seen.append(tuple(a.clone() for a in arguments))
        return loss(*arguments)

    monkeypatch.setattr(t.model, "loss", record)
    return seen


@pytest.mark.parametrize("batch_size", [4, 10, 17, 25])
def test_every_epoch_visits_every_image_once(monkeypatch, batch_size):
    count = 10
    images = (torch.arange(count) / count).view(-1, 1, 1, 1).expand(-1, 3, 8, 8).clone()
    t = trainer(Examples(images, torch.zeros(count, 11)), batch_size=batch_size)
    seen = recorded(t, monkeypatch)
    run(t, 3 * count // batch_size + 1)
    assert all(len(images) == batch_size for images, *_ in seen)
    visited = (torch.cat([images[:, 0, 0, 0] for images, *_ in seen]) * count).round().int()
    epochs = [e.tolist() for e in visited.split(count) if len(e) == count]
    assert len(epochs) >= 3
    assert all(sorted(epoch) == list(range(count)) for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2], "in another order"


def test_draws_depend_on_seed_and_step_alone(monkeypatch):
    def draws(seed, consume):
        t = trainer(seed=seed)
        seen = recorded(t, monkeypatch)
        for _ in t.run(3):
            torch.rand(consume)
        return seen

    first, again, other = draws(0, 1), draws(0, 7), draws(1, 1)
    for a, b in zip(first, again, strict=True):
        assert all(torch.equal(x, y) for x, y in zip(a, b, strict=True))
    for a, b in zip(first, other, strict=True):
        assert not torch.equal(a[2], b[2])
    assert not torch.equal(first[0][2], first[1][2]), "every step has noise of its own"
    assert not torch.equal(first[0][3], first[1][3])


def test_noise_and_times_are_what_the_loss_needs(monkeypatch):
    t = trainer(random_examples(64), batch_size=64)
    seen = recorded(t, monkeypatch)
    run(t, 4)
    noise = torch.cat([s[2] for s in seen])
    assert noise.mean().abs() < 0.03
    assert noise.std().item() == pytest.approx(1, abs=0.03)
    for *_, times in seen:
        gaps = times.sort().values.diff()
        torch.testing.assert_close(gaps, torch.full_like(gaps, 1 / 64), atol=1e-5, rtol=0)


def test_conditions_are_dropped_at_the_given_rate(monkeypatch):
    examples = random_examples(64)
    t = trainer(examples, batch_size=64, condition_dropout=0.25)
    seen = recorded(t, monkeypatch)
    run(t, 6)
    h = torch.cat([s[1] for s in seen])
    null = (h == -1).all(1)
    assert null.float().mean().item() == pytest.approx(0.25, abs=0.08)
    known = (h[~null][:, None] == examples.h).all(2).any(1)
    assert known.all(), "all others are kept as they are"
    assert (examples.h != -1).any(1).all(), "the data set itself is left alone"


def test_conditions_are_kept_without_dropout(monkeypatch):
    t = trainer()
    seen = recorded(t, monkeypatch)
    run(t, 3)
    assert not any((s[1] == -1).all(1).any() for s in seen)


def test_records_tell_what_happened():
    t = trainer(config=tiny_config(model__schedule="learned_linear"), learning_rate=0.01)
    records = run(t, 3)
    assert [r.step for r in records] == [1, 2, 3]
    assert records[0].gamma_0.item() == -5
    assert records[0].gamma_1.item() == 10
    assert records[1].gamma_0.item() != -5, "the learned schedule moves"
    assert not records[0].loss.total.requires_grad
    assert all(r.grad_norm > 0 for r in records)


def test_gradient_is_clipped_to_the_norm(monkeypatch):
    config = tiny_config(model__schedule="learned_linear")
    t = trainer(config=config, clip_norm=0.01)
    norms, step = [], t.optimizer.step

    def look():
        squares = [p.grad.square().sum() for p in t.model.parameters() if p.grad is not None]
        norms.append(torch.stack(squares).sum().sqrt().item())
        return step()

    monkeypatch.setattr(t.optimizer, "step", look)
    records = run(t, 3)
    assert all(r.grad_norm.item() > 1 for r in records), "the recorded norm is the one before"
    assert norms == pytest.approx([0.01] * 3, rel=1e-3)


def test_first_step_is_adamw():
    """Adam's first step is the learning rate times the sign, plus decay of the weights."""
    t = trainer(learning_rate=1e-3, weight_decay=0.1, clip_norm=1e9)
    parameters = dict(t.model.named_parameters())
    before = {k: p.detach().clone() for k, p in parameters.items()}
    run(t, 1)
    checked = 0
    for name, p in parameters.items():
        gradient = p.grad
        clear = gradient.abs() > 1e-4
        expected = before[name] * (1 - 1e-3 * 0.1) - 1e-3 * gradient.sign()
        torch.testing.assert_close(p.detach()[clear], expected[clear], atol=2e-6, rtol=1e-3)
        checked += int(clear.sum())
    assert checked > 50


def test_loss_decreases_on_a_tiny_data_set():
    t = trainer(random_examples(4), batch_size=16, learning_rate=3e-3)
    losses = [r.loss.diffusion.item() for r in run(t, 80)]
    assert sum(losses[-10:]) < 0.85 * sum(losses[:10])


class TestWeightAverage:
    def test_is_the_exponential_average(self):
        t = trainer(weight_average=0.9, learning_rate=0.01)
        name = "network.trunk.conv_out.weight"
        parameter = t.model.get_parameter(name)
        average = parameter.detach().clone()
        for record in t.run(20):
            decay = min(0.9, record.step / (record.step + 9))
            average = decay * average + (1 - decay) * parameter.detach()
        torch.testing.assert_close(t.sampling_weights()[name], average)
        assert not torch.equal(parameter, average)

    def test_without_it_the_weights_themselves_are_sampled(self):
        t = trainer()
        run(t, 3)
        weights = t.sampling_weights()
        assert set(weights) == set(t.model.state_dict())
        assert all(torch.equal(weights[k], v) for k, v in t.model.state_dict().items())


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("settings", [{}, {"weight_average": 0.9, "condition_dropout": 0.3}])
def test_a_restored_trainer_goes_on_exactly(settings, channels_last):
    config = tiny_config(model__dropout=0.2, model__schedule="learned_linear")

    def start():
        t = trainer(config=config, learning_rate=0.01, **settings)
        if channels_last:
            t.model.to(memory_format=torch.channels_last)
            t = Trainer(t.model, t.examples, t.optimization, t.seed)
        return t

    whole = start()
    run(whole, 4)
    state = {k: v.detach().clone().contiguous() for k, v in whole.state().items()}
    rest = run(whole, 8)
    resumed = start()
    resumed.restore(4, state)
    assert resumed.step == 4
    rest_resumed = run(resumed, 8)
    assert [r.loss.total.item() for r in rest] == [r.loss.total.item() for r in rest_resumed]
    for k, v in whole.state().items():
        assert torch.equal(v, resumed.state()[k]), k


def test_state_holds_every_moment_of_the_optimiser():
    t = trainer()
    run(t, 2)
    parameters = [name for name, _ in t.model.named_parameters()]
    for key in ("exp_avg", "exp_avg_sq"):
        assert {f"optimizer.{key}.{p}" for p in parameters} <= set(t.state())
    fresh = trainer()
    fresh.restore(2, t.state())
    old, new = (x.optimizer.state[x.flat.tensor] for x in (t, fresh))
    assert set(new) == {"step", "exp_avg", "exp_avg_sq"}
    for key, value in new.items():
        assert torch.equal(value, old[key])
        assert value.data_ptr() != old[key].data_ptr(), "they share no memory"


def test_state_of_one_optimiser_entry_per_parameter_is_read_too():
    """As runs of version 0.1 saved it: the step under every parameter's name."""
    t = trainer()
    run(t, 2)
    state = t.state()
    step = state.pop("optimizer.step.")
    state |= {f"optimizer.step.{name}": step for name, _ in t.model.named_parameters()}
    fresh = trainer()
    fresh.restore(2, state)
    assert [r.loss.total.item() for r in run(fresh, 4)] == [r.loss.total.item() for r in run(t, 4)]


def test_saved_state_does_not_change_afterwards():
    t = trainer()
    run(t, 2)
    other = trainer()
    other.restore(2, t.state())
    before = {k: v.clone() for k, v in other.state().items()}
    run(t, 4)
    assert all(torch.equal(v, before[k]) for k, v in other.state().items())


def test_a_loss_that_is_not_finite_ends_training_at_its_step():
    t = trainer(learning_rate=1000.0, clip_norm=1e9)
    with pytest.raises(Diverged, match=r"training diverged at step \d+: .* train.learning_rate"):
        run(t, 200)
    assert t.step < 200


def test_frozen_parameters_stay_as_they_are():
    t = trainer()
    model = t.model
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    for parameter in model.network.block_condition.parameters():
        parameter.requires_grad_(True)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    again = Trainer(model, t.examples, t.optimization, 0)
    run(again, 3)
    for name, parameter in model.named_parameters():
        moved = not torch.equal(parameter, before[name])
        assert moved == parameter.requires_grad, name
    state = again.sampling_weights()
    assert state.keys() == model.state_dict().keys()


def test_training_leaves_the_random_numbers_as_they_were():
    config = tiny_config(model__dropout=0.2)
    torch.manual_seed(5)
    before = torch.get_rng_state()
    trainer = Trainer(parts.model(config), random_examples(8), parts.optimization(config), 0)
    for _ in trainer.run(2):
        pass
    assert torch.equal(torch.get_rng_state(), before)


def test_dropout_on_mps_is_seeded_by_the_step_and_leaves_its_numbers_as_they_were(monkeypatch):
    """There is no MPS here: its generator is one of the CPU's."""
    of_mps = torch.Generator().manual_seed(7)
    for name in ("manual_seed", "get_rng_state", "set_rng_state"):
        monkeypatch.setattr(torch.mps, name, getattr(of_mps, name.replace("rng_", "")))
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    config = tiny_config(model__dropout=0.2)
    trainer = Trainer(parts.model(config), random_examples(8), parts.optimization(config), 0)
    trainer.device = torch.device("mps")
    drawn = []
    for trainer.step in (3, 4, 3):
        before = of_mps.get_state()
        with trainer._dropout():
            drawn.append(torch.rand(4, generator=of_mps))
        assert torch.equal(of_mps.get_state(), before)
    assert torch.equal(drawn[0], drawn[2])
    assert not torch.equal(drawn[0], drawn[1])
