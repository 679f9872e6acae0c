"""The samplers with exact denoisers: every remaining error is the sampler's own."""

from __future__ import annotations

import pytest
import torch

from conceptspace.diffusion.sampling import gaussian, sample
from oracles import finite_denoiser, gaussian_denoiser

MEAN = torch.tensor([0.5, -1.0, 2.0], dtype=torch.double)
COVARIANCE = torch.tensor([[0.5, 0.2, 0.0], [0.2, 0.3, -0.1], [0.0, -0.1, 0.8]], dtype=torch.double)
MEMBERS = torch.tensor([[1.0, 1.0], [-1.0, 0.5], [0.3, -1.2]], dtype=torch.double)
FREQUENCIES = torch.tensor([0.5, 0.3, 0.2], dtype=torch.double)


def schedule(t):
    return -9.0 + 21.0 * t.double()


def draw(denoiser, dimensions, *, count=20_000, steps=100, sampler="ancestral", seed=0):
    source = torch.Generator().manual_seed(seed)
    return sample(
        denoiser,
        schedule,
        torch.zeros(count, 1),
        steps=steps,
        noise=lambda: torch.randn(count, dimensions, generator=source, dtype=torch.double),
        sampler=sampler,
    )


@pytest.mark.parametrize("sampler", ["ancestral", "ddim"])
class TestGaussianData:
    def test_mean_and_covariance_are_those_of_the_data(self, sampler):
        x = draw(gaussian_denoiser(MEAN, COVARIANCE), 3, count=6000, steps=400, sampler=sampler)
        torch.testing.assert_close(x.mean(0), MEAN, atol=0.03, rtol=0)
        torch.testing.assert_close(torch.cov(x.T), COVARIANCE, atol=0.06, rtol=0)

    def test_error_shrinks_with_steps(self, sampler):
        errors = []
        for steps in (5, 30, 180):
            x = draw(gaussian_denoiser(MEAN, COVARIANCE), 3, sampler=sampler, steps=steps)
            errors.append((torch.cov(x.T) - COVARIANCE).norm().item())
        assert errors[0] > 1.5 * errors[1]
        assert errors[1] > 2 * errors[2]


@pytest.mark.parametrize("sampler", ["ancestral", "ddim"])
def test_finite_data_are_returned_with_their_frequencies(sampler):
    count = 3000
    x = draw(finite_denoiser(MEMBERS, FREQUENCIES), 2, count=count, steps=120, sampler=sampler)
    distances = torch.cdist(x, MEMBERS)
    nearest = distances.argmin(1)
    # DDIM is deterministic: a few trajectories may end on the ridge between two members.
    assert (distances.min(1).values < 0.1).double().mean() > 0.99
    found = torch.bincount(nearest, minlength=3) / count
    torch.testing.assert_close(found.double(), FREQUENCIES, atol=0.04, rtol=0)


def test_ancestral_steps_are_exact_for_a_single_member():
    """Then x is known, and z at each step has the forward process's mean and variance."""
    member = torch.tensor([[0.8]]).double()
    exact = finite_denoiser(member, torch.ones(1).double())
    seen = []

    def denoiser(z, gamma, h):
        seen.append((gamma[0], z.mean(), z.var()))
        return exact(z, gamma, h)

    draw(denoiser, 1, count=40_000, steps=4)
    for gamma, mean, variance in seen:
        a, s = torch.sigmoid(-gamma).sqrt(), torch.sigmoid(gamma).sqrt()
        assert mean.item() == pytest.approx(0.8 * a.item(), abs=0.02)
        assert variance.item() == pytest.approx(s.item() ** 2, rel=0.03)


def test_one_step_gives_the_mean_of_the_data():
    """From pure noise the best guess is the mean, and a single step goes all the way there."""
    for sampler in ("ancestral", "ddim"):
        x = draw(gaussian_denoiser(MEAN, COVARIANCE), 3, count=100, steps=1, sampler=sampler)
        torch.testing.assert_close(x, MEAN.expand(100, 3), atol=0.15, rtol=0)


def test_ddim_is_a_function_of_the_first_noise():
    calls = []

    def noise():
        calls.append(1)
        return torch.randn(4, 3, generator=torch.Generator().manual_seed(1)).double()

    denoiser = gaussian_denoiser(MEAN, COVARIANCE)
    h = torch.zeros(4, 1)
    first = sample(denoiser, schedule, h, steps=10, noise=noise, sampler="ddim")
    assert len(calls) == 1
    again = sample(denoiser, schedule, h, steps=10, noise=noise, sampler="ddim")
    assert torch.equal(first, again)


def test_ancestral_draws_once_per_step_and_none_in_the_last():
    calls = []

    def noise():
        calls.append(1)
        return torch.zeros(4, 3).double()

    sample(gaussian_denoiser(MEAN, COVARIANCE), schedule, torch.zeros(4, 1), steps=10, noise=noise)
    assert len(calls) == 10


def test_ddim_reaches_the_exact_solution_of_the_flow():
    """For one-dimensional Gaussian data the flow maps quantiles to quantiles."""
    mean, variance = torch.tensor([0.7]).double(), torch.tensor([[0.25]]).double()
    start = torch.linspace(-2, 2, 9).double()[:, None]
    x = sample(
        gaussian_denoiser(mean, variance),
        schedule,
        torch.zeros(9, 1),
        steps=800,
        noise=lambda: start,
        sampler="ddim",
    )
    torch.testing.assert_close(x, 0.7 + 0.5 * start, atol=0.02, rtol=0)


def test_denoiser_sees_the_condition_and_the_time_of_each_step():
    h = torch.arange(4.0)[:, None]
    seen = []

    def denoiser(z, gamma, condition):
        assert torch.equal(condition, h)
        seen.append(gamma)
        return z

    sample(
        denoiser,
        schedule,
        h,
        steps=3,
        noise=gaussian((4, 2), torch.Generator().manual_seed(0)),
    )
    assert all(gamma.shape == (4,) for gamma in seen)
    assert [gamma[0].item() for gamma in seen] == pytest.approx([12.0, 5.0, -2.0])


def test_no_gradients_are_kept():
    h = torch.zeros(2, 1, requires_grad=True)
    noise = gaussian((2, 2), torch.Generator().manual_seed(0))
    x = sample(lambda z, g, h: z + h, schedule, h, steps=2, noise=noise)
    assert not x.requires_grad


def test_gaussian_draws_anew_each_time():
    draw_noise = gaussian((200, 3), torch.Generator().manual_seed(0))
    first, second = draw_noise(), draw_noise()
    assert first.shape == (200, 3)
    assert not torch.equal(first, second)
    assert torch.equal(first, gaussian((200, 3), torch.Generator().manual_seed(0))())
