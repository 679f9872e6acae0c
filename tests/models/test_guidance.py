from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from conceptspace.models.guidance import NULL_VALUE, GuidedDenoiser, drop_condition


def denoiser(z, gamma, h):
    return z.tanh() * gamma[:, None].cos() + h.square().sum(1, keepdim=True) + h[:, :1]


Z, GAMMA, H = torch.randn(5, 3), torch.randn(5), torch.rand(5, 11)
NULL = torch.full_like(H, -1.0)


def test_the_null_condition_is_minus_one():
    assert NULL_VALUE == -1


def test_weight_one_is_the_conditional_prediction():
    torch.testing.assert_close(
        GuidedDenoiser(denoiser, 1.0)(Z, GAMMA, H), denoiser(Z, GAMMA, H), atol=1e-5, rtol=0
    )


def test_weight_zero_ignores_the_condition():
    torch.testing.assert_close(GuidedDenoiser(denoiser, 0.0)(Z, GAMMA, H), denoiser(Z, GAMMA, NULL))


@given(st.floats(-2, 8))
def test_linear_in_the_weight(weight):
    conditional, null = denoiser(Z, GAMMA, H), denoiser(Z, GAMMA, NULL)
    torch.testing.assert_close(
        GuidedDenoiser(denoiser, weight)(Z, GAMMA, H),
        null + weight * (conditional - null),
        atol=1e-4,
        rtol=1e-4,
    )


def test_dropped_rows_become_null_and_no_others():
    dropped = torch.tensor([1.0, 0.0, 1.0, 0.0, 0.0])
    h = drop_condition(H, dropped)
    assert (h[[0, 2]] == -1).all()
    assert torch.equal(h[[1, 3, 4]], H[[1, 3, 4]])
