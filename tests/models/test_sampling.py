"""The samplers with exact denoisers: every remaining error is the sampler's own."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch

from conceptspace.models.sampling import gaussian, sample
from conceptspace.models.schedule import LinearSchedule
from conceptspace.presets import quick
from oracles import finite_denoiser, gaussian_denoiser

MEAN = torch.tensor([0.5, -1.0, 2.0], dtype=torch.double)
COVARIANCE = torch.tensor([[0.5, 0.2, 0.0], [0.2, 0.3, -0.1], [0.0, -0.1, 0.8]], dtype=torch.double)
MEMBERS = torch.tensor([[1.0, 1.0], [-1.0, 0.5], [0.3, -1.2]], dtype=torch.double)
FREQUENCIES = torch.tensor([0.5, 0.3, 0.2], dtype=torch.double)
FIRST_ORDER = ("ancestral", "ddim")
SECOND_ORDER = ("sde-dpmsolver++", "dpmsolver++")
SAMPLERS = FIRST_ORDER + SECOND_ORDER


def schedule(t):
    return -9.0 + 21.0 * t.double()


def draw(
    denoiser, dimensions, *, count=20_000, steps=100, sampler="ancestral", seed=0, gammas=schedule
):
    source = torch.Generator().manual_seed(seed)
    return sample(
        denoiser,
        gammas,
        torch.zeros(count, 1),
        steps=steps,
        noise=lambda: torch.randn(count, dimensions, generator=source, dtype=torch.double),
        sampler=sampler,
    )


@pytest.mark.parametrize("sampler", SAMPLERS)
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
        assert errors[1] > 1.5 * errors[2]


@pytest.mark.parametrize("steps", [5, 30])
@pytest.mark.parametrize(("first", "second"), list(zip(FIRST_ORDER, SECOND_ORDER, strict=True)))
def test_second_order_is_more_exact_at_the_same_steps(first, second, steps):
    errors = []
    for sampler in (first, second):
        x = draw(gaussian_denoiser(MEAN, COVARIANCE), 3, sampler=sampler, steps=steps)
        errors.append((torch.cov(x.T) - COVARIANCE).norm().item())
    assert errors[0] > 2.5 * errors[1]


class TestQuickPreset:
    """What sampling alone gets wrong in runs of the quick preset: its schedule, sampler, steps."""

    MODEL = quick().model
    EVALUATE = quick().evaluate
    TARGETS = ((0.3, 0.2), (-0.6, 0.05), (0.0, 0.5))

    def draw(self, denoiser, dimensions, sampler):
        gammas = LinearSchedule(self.MODEL.gamma_start, self.MODEL.gamma_end, learned=False)
        steps = self.EVALUATE.sampling_steps
        count = 200_000 if dimensions == 1 else 40_000
        return draw(denoiser, dimensions, count=count, steps=steps, sampler=sampler, gammas=gammas)

    def spread(self, mean, deviation, sampler):
        """Mean, and standard deviation as a share of that of z_0 / alpha_0."""
        target = gaussian_denoiser(
            torch.tensor([mean]).double(), torch.tensor([[deviation**2]]).double()
        )
        x = self.draw(target, 1, sampler)
        exact = math.sqrt(deviation**2 + math.exp(self.MODEL.gamma_start))
        return x.mean().item(), x.std().item() / exact

    @pytest.mark.parametrize(("mean", "deviation"), TARGETS)
    def test_gaussian_data_keep_their_width(self, mean, deviation):
        found, share = self.spread(mean, deviation, self.EVALUATE.sampler)
        assert found == pytest.approx(mean, abs=0.01)
        assert share == pytest.approx(1, abs=0.03)

    @pytest.mark.parametrize(("mean", "deviation"), TARGETS)
    def test_ancestral_samples_vary_too_little(self, mean, deviation):
        """By 10 % and more."""
        _, share = self.spread(mean, deviation, "ancestral")
        assert share < 0.9

    def frequencies(self, sampler):
        x = self.draw(finite_denoiser(MEMBERS, FREQUENCIES), 2, sampler)
        distances, nearest = torch.cdist(x, MEMBERS).min(1)
        assert (distances < 0.25).double().mean() > 0.999
        return torch.bincount(nearest, minlength=3).double() / len(x)

    def test_members_of_a_finite_set_keep_their_frequencies(self):
        found = self.frequencies(self.EVALUATE.sampler)
        torch.testing.assert_close(found, FREQUENCIES, atol=0.01, rtol=0)

    def test_ancestral_samples_favor_the_frequent(self):
        found = self.frequencies("ancestral")
        assert found[0] > FREQUENCIES[0] + 0.015
        assert found[2] < FREQUENCIES[2] - 0.015


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_finite_data_are_returned_with_their_frequencies(sampler):
    count = 3000
    x = draw(finite_denoiser(MEMBERS, FREQUENCIES), 2, count=count, steps=120, sampler=sampler)
    distances = torch.cdist(x, MEMBERS)
    nearest = distances.argmin(1)
    # In a deterministic sampler a few trajectories may end on the ridge between two members.
    assert (distances.min(1).values < 0.1).double().mean() > 0.99
    found = torch.bincount(nearest, minlength=3) / count
    torch.testing.assert_close(found.double(), FREQUENCIES, atol=0.04, rtol=0)


@pytest.mark.parametrize("sampler", ["ancestral", "sde-dpmsolver++"])
def test_stochastic_steps_are_exact_for_a_single_member(sampler):
    """Then x is known, and z at each step has the forward process's mean and variance."""
    member = torch.tensor([[0.8]]).double()
    exact = finite_denoiser(member, torch.ones(1).double())
    seen = []

    def denoiser(z, gamma, h):
        seen.append((gamma[0], z.mean(), z.var()))
        return exact(z, gamma, h)

    draw(denoiser, 1, count=40_000, steps=4, sampler=sampler)
    for gamma, mean, variance in seen:
        a, s = torch.sigmoid(-gamma).sqrt(), torch.sigmoid(gamma).sqrt()
        assert mean.item() == pytest.approx(0.8 * a.item(), abs=0.02)
        assert variance.item() == pytest.approx(s.item() ** 2, rel=0.03)


def test_one_step_gives_the_mean_of_the_data():
    """From pure noise the best guess is the mean, and a single step goes all the way there."""
    for sampler in SAMPLERS:
        x = draw(gaussian_denoiser(MEAN, COVARIANCE), 3, count=100, steps=1, sampler=sampler)
        torch.testing.assert_close(x, MEAN.expand(100, 3), atol=0.15, rtol=0)


@pytest.mark.parametrize("sampler", ["ddim", "dpmsolver++"])
def test_deterministic_samplers_are_functions_of_the_first_noise(sampler):
    calls = []

    def noise():
        calls.append(1)
        return torch.randn(4, 3, generator=torch.Generator().manual_seed(1)).double()

    denoiser = gaussian_denoiser(MEAN, COVARIANCE)
    h = torch.zeros(4, 1)
    first = sample(denoiser, schedule, h, steps=10, noise=noise, sampler=sampler)
    assert len(calls) == 1
    again = sample(denoiser, schedule, h, steps=10, noise=noise, sampler=sampler)
    assert torch.equal(first, again)


@pytest.mark.parametrize("sampler", ["ancestral", "sde-dpmsolver++"])
def test_stochastic_samplers_draw_once_per_step_and_none_in_the_last(sampler):
    calls = []

    def noise():
        calls.append(1)
        return torch.zeros(4, 3).double()

    denoiser, h = gaussian_denoiser(MEAN, COVARIANCE), torch.zeros(4, 1)
    sample(denoiser, schedule, h, steps=10, noise=noise, sampler=sampler)
    assert len(calls) == 10


class TestFlow:
    """For one-dimensional Gaussian data the exact flow maps quantiles of z_1 to those of z_0."""

    MEAN, VARIANCE = 0.7, 0.25
    START = torch.linspace(-2, 2, 9).double()[:, None]

    def error(self, sampler, steps):
        x = sample(
            gaussian_denoiser(
                torch.tensor([self.MEAN]).double(), torch.tensor([[self.VARIANCE]]).double()
            ),
            schedule,
            torch.zeros(9, 1),
            steps=steps,
            noise=lambda: self.START,
            sampler=sampler,
        )
        (low, high) = schedule(torch.tensor([0.0, 1.0])).tolist()
        signal, noise = 1 / (1 + math.exp(high)), 1 / (1 + math.exp(-high))
        quantile = (self.START - math.sqrt(signal) * self.MEAN) / math.sqrt(
            signal * self.VARIANCE + noise
        )
        exact = self.MEAN + quantile * math.sqrt(self.VARIANCE + math.exp(low))
        return (x - exact).abs().max().item()

    @pytest.mark.parametrize("sampler", ["ddim", "dpmsolver++"])
    def test_is_reached(self, sampler):
        assert self.error(sampler, 800) < 0.005

    @pytest.mark.parametrize(("sampler", "factor"), [("ddim", 2), ("dpmsolver++", 4)])
    def test_twice_the_steps_divide_the_error_by_2_to_the_order(self, sampler, factor):
        errors = [self.error(sampler, steps) for steps in (40, 80, 160, 320)]
        ratios = [a / b for a, b in pairwise(errors)]
        assert ratios == pytest.approx([factor] * 3, rel=0.03)

    def test_steps_of_different_lengths_keep_the_order(self):
        """The continuation of x takes the lengths of both steps into account."""
        mean, variance = torch.tensor([self.MEAN]).double(), torch.tensor([[0.25]]).double()
        found = []
        for steps in (100, 200, 400, 1600):
            found.append(
                sample(
                    gaussian_denoiser(mean, variance),
                    lambda t: -9.0 + 21.0 * t.double() ** 1.5,
                    torch.zeros(9, 1),
                    steps=steps,
                    noise=lambda: self.START,
                    sampler="dpmsolver++",
                )
            )
        errors = [(x - found[-1]).abs().max().item() for x in found[:-1]]
        assert errors[0] / errors[1] == pytest.approx(4, rel=0.1)
        assert errors[1] / errors[2] == pytest.approx(4, rel=0.1)


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
