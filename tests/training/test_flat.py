from __future__ import annotations

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
