"""The engine computes what the plain reference computes: forward, gradients, 200 steps."""

from __future__ import annotations

import copy

import pytest
import torch

from conceptspace.benchmarks.reference import Diffusion, training, weights_from, weights_to
from conceptspace.experiment import parts
from conceptspace.training.loop import Trainer
from conceptspace.worlds.dataset import split_dataset
from tiny import random_examples, tiny_config

SETTINGS = [{}, {"model__schedule": "learned_linear"}, {"model__norm": "layer"}]


def pair(**settings):
    config = tiny_config(model__dropout=0.0, **settings)
    model, reference = parts.model(config), Diffusion(config)
    source = torch.Generator().manual_seed(0)
    for p in model.parameters():
        if p.ndim > 0:
            p.data += 0.05 * torch.randn(p.shape, generator=source)
    weights_from(model.state_dict(), reference)
    return config, model, reference


def batch(count=6, resolution=8):
    source = torch.Generator().manual_seed(1)
    images = torch.rand(count, 3, resolution, resolution, generator=source)
    noise = torch.randn(images.shape, generator=source)
    return (
        images,
        torch.rand(count, 11, generator=source),
        noise,
        torch.rand(count, generator=source),
    )


@pytest.mark.parametrize("settings", SETTINGS)
def test_loss_and_gradients_equal_the_reference(settings):
    _, model, reference = pair(**settings)
    images, h, noise, t = batch()
    expected = reference.loss(images, h, noise, t)
    expected.backward()
    loss = model.loss(images.contiguous(memory_format=torch.channels_last), h, noise, t).total
    loss.backward()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    of = {"network.trunk.conv_in.weight": "network.conv_in.weight",
          "network.trunk.down.0.0.norm2.weight": "network.down.0.0.norm2.weight",
          "network.trunk.up.1.0.conv1.weight": "network.up.1.0.conv1.weight",
          "network.trunk.attention.qkv.weight": "network.attention.qkv.weight",
          "network.time.0.weight": "network.time.0.weight"}  # fmt: skip
    for ours, theirs in of.items():
        a, b = model.get_parameter(ours).grad, reference.get_parameter(theirs).grad
        assert (a - b).norm() <= 1e-4 * b.norm(), ours


def test_steps_on_the_same_batches_and_noise_give_the_same_weights():
    """Ten steps of the optimiser, averaged weights included."""
    config, model, reference = pair(train__weight_average=0.9)
    examples = random_examples(32)
    trainer = Trainer(model, examples, parts.optimization(config), 0, "float32")
    given = []
    update = trainer.update.function

    def listen(*inputs):
        given.append(inputs)
        return update(*inputs)

    trainer.update.function = listen
    train = config.train
    optimizer = torch.optim.AdamW(
        reference.parameters(), lr=train.learning_rate, weight_decay=train.weight_decay
    )
    average = copy.deepcopy(reference)
    for record in trainer.run(10):
        images, h, noise, times, decay = given[-1]
        loss = reference.loss(images.contiguous(), h, noise, times)
        assert record.loss.total.item() == pytest.approx(loss.item(), rel=1e-5)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(reference.parameters(), train.clip_norm)
        optimizer.step()
        with torch.no_grad():
            for a, p in zip(average.parameters(), reference.parameters(), strict=True):
                a.lerp_(p, 1 - decay)
    for ours, theirs in ((model.state_dict(), reference), (trainer.sampling_weights(), average)):
        for name, expected in weights_to(theirs, model.state_dict()).items():
            # The first steps of AdamW turn the smallest gradients into whole steps.
            assert (ours[name] - expected).norm() <= 2e-3 * expected.norm() + 1e-5, name


@pytest.fixture(scope="module")
def losses():
    """Diffusion loss of 200 steps of the reference, and of the engine from the same weights.

    gamma is fixed, so the other terms of the reference's loss are the engine's.
    """
    config, model, reference = pair()
    examples, _ = split_dataset(
        parts.world(config.data), parts.conditioning(config.data), images_per_class=64,
        validation_share=0.0, seed=0, masking=None,
    )  # fmt: skip
    torch.manual_seed(0)
    steps = training(config, reference, examples)
    plain = [next(steps) for _ in range(200)]
    weights = {key: value.clone() for key, value in model.state_dict().items()}
    found = {}
    for precision in ("float32", "bfloat16"):
        model.load_state_dict(weights)
        trainer = Trainer(model, examples, parts.optimization(config), 0, precision)
        records = list(trainer.run(200))
        found[precision] = torch.tensor([record.loss.diffusion.item() for record in records])
    others = (records[0].loss.prior + records[0].loss.reconstruction).item()
    return {"reference": torch.tensor(plain) - others, **found}


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_200_steps_learn_as_much_as_the_reference(losses, precision):
    """Data order and noise differ, so the averages of the ends are compared, within 10 %."""
    plain, fast = losses["reference"], losses[precision]
    start, end = plain[:10].mean(), plain[-50:].mean()
    assert end < 0.7 * start, "there is something to learn"
    assert fast[-50:].mean().item() == pytest.approx(end.item(), rel=0.1)


@pytest.mark.parametrize("settings", SETTINGS)
def test_weights_there_and_back(settings):
    _, model, reference = pair(**settings)
    weights = model.state_dict()
    back = weights_to(reference, weights)
    assert back.keys() == weights.keys()
    assert all(torch.equal(back[key], value) for key, value in weights.items())


def test_reference_samples():
    config, _, reference = pair()
    images = reference.sample(torch.rand(3, 11), config.data.resolution, 4)
    assert images.shape == (3, 3, config.data.resolution, config.data.resolution)
    assert images.isfinite().all()
