from __future__ import annotations

import pytest
import torch
from torch import nn

from conceptspace.training.flat import FlatParameters


def module():
    torch.manual_seed(0)
    built = nn.Sequential(nn.Conv2d(3, 4, 3), nn.GroupNorm(2, 4), nn.Conv2d(4, 2, 1))
    return built.to(memory_format=torch.channels_last)


def test_parameters_become_views_with_their_values_and_strides():
    plain, flat_module = module(), module()
    flat = FlatParameters(flat_module)
    assert flat.tensor.numel() == sum(p.numel() for p in plain.parameters())
    for a, b in zip(plain.parameters(), flat_module.parameters(), strict=True):
        assert torch.equal(a, b)
        assert a.stride() == b.stride()
        assert b.untyped_storage().data_ptr() == flat.tensor.untyped_storage().data_ptr()


def test_gradients_arrive_in_one_tensor():
    plain, flat_module = module(), module()
    flat = FlatParameters(flat_module)
    x = torch.randn(2, 3, 6, 6)
    for m in (plain, flat_module):
        m(x).square().sum().backward()
    views = flat.views(flat.tensor.grad)
    for name, p in plain.named_parameters():
        torch.testing.assert_close(views[name], p.grad)


def test_an_optimiser_step_on_the_flat_tensor_is_one_on_every_parameter():
    plain, flat_module = module(), module()
    flat = FlatParameters(flat_module)
    optimizers = [
        torch.optim.AdamW(plain.parameters(), lr=0.1, weight_decay=0.2),
        torch.optim.AdamW([flat.tensor], lr=0.1, weight_decay=0.2),
    ]
    x = torch.randn(2, 3, 6, 6)
    for _ in range(3):
        for m, optimizer in zip((plain, flat_module), optimizers, strict=True):
            optimizer.zero_grad(set_to_none=m is plain)
            m(x).square().sum().backward()
            optimizer.step()
    for a, b in zip(plain.parameters(), flat_module.parameters(), strict=True):
        torch.testing.assert_close(a, b)


def test_parameters_that_are_not_trained_stay_where_they_are():
    frozen = module()
    frozen[0].requires_grad_(False)
    before = [(p, p.data_ptr()) for p in frozen[0].parameters()]
    flat = FlatParameters(frozen)
    assert set(flat.layout) == {"1.weight", "1.bias", "2.weight", "2.bias"}
    assert all(p.data_ptr() == where and p.grad is None for p, where in before)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m.requires_grad_(False), "nothing to train"),
        (
            lambda m: m[2].double(),
            r"2\.weight is torch\.float64 on cpu, 0\.weight is torch\.float32",
        ),
        (lambda m: m[2].to("meta"), r"2\.weight is torch\.float32 on meta"),
        (
            lambda m: widen(m[1]),
            r"fill their memory: 1\.weight, of shape \(4,\), has strides \(0,\)",
        ),
        (lambda m: widen(m[1], 2), r"has strides \(2,\)"),
    ],
    ids=["all frozen", "another type", "another device", "one number for all", "gaps"],
)
def test_what_is_no_block_of_one_type_is_refused(change, message):
    built = module()
    change(built)
    with pytest.raises(ValueError, match=message):
        FlatParameters(built)


def widen(norm, stride=0):
    norm.weight.data = torch.ones(8).as_strided((4,), (stride,))


def test_follows_the_type_of_the_module_and_not_of_the_process():
    torch.set_default_dtype(torch.float64)
    try:
        flat = FlatParameters(module().float())
    finally:
        torch.set_default_dtype(torch.float32)
    assert flat.tensor.dtype == flat.tensor.grad.dtype == torch.float32
