from __future__ import annotations

import pytest
import torch

from conceptspace.engine import precision
from conceptspace.engine.precision import LoweredModel, fastest_precision
from conceptspace.errors import UserError
from conceptspace.experiment import parts
from tiny import tiny_config


def model():
    built = parts.model(tiny_config())
    source = torch.Generator().manual_seed(0)
    for p in built.parameters():
        p.data += 0.05 * torch.randn(p.shape, generator=source)
    return built


def batch():
    source = torch.Generator().manual_seed(1)
    images = torch.rand(4, 3, 8, 8, generator=source).contiguous(memory_format=torch.channels_last)
    noise = torch.randn(images.shape, generator=source)
    return images, torch.rand(4, 11, generator=source), noise, torch.rand(4, generator=source)


def test_float32_is_the_model_itself():
    built = model()
    assert LoweredModel(built, "float32").fast is built


def test_only_wide_convolutions_are_lowered():
    lowered = LoweredModel(model(), "bfloat16")
    wide = {id(p) for layer in lowered.fast.network.trunk.wide_layers() for p in layer.parameters()}
    for name, p in lowered.fast.named_parameters():
        assert p.dtype == (torch.bfloat16 if id(p) in wide else torch.float32), name
        if id(p) not in wide:
            assert p is lowered.model.get_parameter(name), "shared"
    weights = sum(p.numel() for p in lowered.fast.parameters() if p.ndim == 4)
    low = sum(p.numel() for p in lowered.fast.parameters() if p.ndim == 4 and id(p) in wide)
    assert low > 0.9 * weights


def test_loss_and_gradients_are_close():
    built = model()
    exact = built.loss(*batch()).total
    gradients = dict(
        zip(
            [name for name, _ in built.named_parameters()],
            torch.autograd.grad(exact, list(built.parameters())),
            strict=True,
        )
    )
    for p in built.parameters():
        p.grad = torch.zeros_like(p)
    lowered = LoweredModel(built, "bfloat16")
    loss = lowered.fast.loss(*batch()).total
    loss.backward()
    lowered.collect_gradients()
    assert loss.item() == pytest.approx(exact.item(), rel=1e-2)
    found = torch.cat([p.grad.flatten() for p in built.parameters()])
    expected = torch.cat([g.flatten() for g in gradients.values()])
    assert torch.cosine_similarity(found, expected, dim=0) > 0.999
    assert (found - expected).norm() < 0.03 * expected.norm()


def test_refresh_follows_the_model_and_loading_both():
    lowered = LoweredModel(model(), "bfloat16")
    with torch.no_grad():
        for p in lowered.model.parameters():
            p.mul_(2)
    lowered.refresh()
    for high, low in lowered.pairs:
        assert torch.equal(low, high.to(torch.bfloat16))
    other = parts.model(tiny_config(seed=5))
    lowered.load_state_dict(other.state_dict())
    assert all(torch.equal(low, high.to(low.dtype)) for high, low in lowered.pairs)
    assert torch.equal(
        lowered.model.state_dict()["network.time.0.weight"], other.network.time[0].weight
    )


def test_weights_of_another_model_are_refused_in_one_sentence():
    weights = parts.model(tiny_config()).state_dict()
    weights["network.old"] = weights.pop("network.time.0.bias")
    with pytest.raises(
        UserError, match=r"do not fit the model .*network\.old.* train the run again"
    ):
        LoweredModel(model(), "float32").load_state_dict(weights)


def test_first_gradient_of_the_copy_is_not_the_sum_of_two():
    built = model()
    for p in built.parameters():
        p.grad = torch.zeros_like(p)
    lowered = LoweredModel(built, "bfloat16")
    name = "network.trunk.middle.0.conv1.weight"
    seen = []
    for _ in range(2):
        lowered.fast.loss(*batch()).total.backward()
        lowered.collect_gradients()
        seen.append(built.get_parameter(name).grad.clone())
    assert torch.equal(*seen)


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [
        ({"avx2": True}, "float32"),
        ({"amx_bf16": True}, "bfloat16"),
        ({"avx512_bf16": True}, "bfloat16"),
    ],
)
def test_processor_decides(monkeypatch, capabilities, expected):
    monkeypatch.setattr(precision.torch.cpu, "get_capabilities", lambda: capabilities)
    assert fastest_precision(torch.device("cpu")) == expected


def test_other_devices_compute_in_float32():
    assert fastest_precision(torch.device("mps")) == "float32"


def test_hooks_that_come_later_see_the_copy():
    lowered = LoweredModel(model(), "bfloat16")
    layer, seen = lowered.model.get_submodule("network.trunk.middle.0.conv1"), []
    hook = layer.register_forward_hook(lambda *_, **given: seen.append(1), with_kwargs=True)
    before = layer.register_forward_pre_hook(lambda *_: seen.append(0))
    images, h, noise, times = batch()
    lowered.fast.loss(images, h, noise, times)
    assert seen == [0, 1]
    hook.remove()
    before.remove()
    lowered.fast.loss(images, h, noise, times)
    assert seen == [0, 1]


def test_making_one_touches_no_random_numbers():
    built, before = model(), torch.get_rng_state()
    LoweredModel(built, "bfloat16")
    assert torch.equal(torch.get_rng_state(), before)
