"""The three terms of the bound against their analytic values."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.distributions import Normal, kl_divergence

from conceptspace.experiment import parts
from conceptspace.models.sampling import sample
from conceptspace.models.schedule import LinearSchedule
from conceptspace.models.vdm import (
    RECONSTRUCTION_SIGMA,
    VDM,
    prior_loss,
    reconstruction_loss,
    stratified_times,
)
from oracles import OracleNetwork, gaussian_denoiser, gaussian_diffusion_loss
from tiny import random_examples, tiny_config

BITS = math.log(2)


def oracle_model(function, start=-4.0, end=6.0, pixel_range=(0.0, 1.0)):
    return VDM(OracleNetwork(function), LinearSchedule(start, end, learned=False), pixel_range)


def test_diffusion_loss_of_a_network_that_predicts_zero():
    """1/2 (gamma_1 - gamma_0) per dimension times the mean square of the noise."""
    model = oracle_model(lambda z, gamma, h: torch.zeros_like(z))
    images = torch.rand(8, 3, 4, 4)
    noise = torch.randn(8, 3, 4, 4)
    loss = model.loss(images, torch.zeros(8, 1), noise, stratified_times(8))
    expected = 0.5 * 10.0 * noise.square().mean().item() / BITS
    assert loss.diffusion.item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("pixel_range", [(0.0, 1.0), (-1.0, 1.0)])
def test_diffusion_loss_of_the_ideal_denoiser(pixel_range):
    """Gaussian images: the closed-form integral over gamma, in bits per dimension."""
    torch.manual_seed(0)
    factor = torch.tensor([[0.3, 0, 0, 0], [0.2, 0.1, 0, 0], [0, 0.1, 0.2, 0], [0, 0, 0, 0.05]])
    scale = pixel_range[1] - pixel_range[0]
    covariance = (factor @ factor.T * scale**2).double()
    mean = torch.full((4,), 0.5 * scale + pixel_range[0]).double()
    model = oracle_model(gaussian_denoiser(mean, covariance), pixel_range=pixel_range)
    count = 60_000
    images = (0.5 + torch.randn(count, 4) @ factor.T).view(count, 1, 2, 2)
    noise = torch.randn(count, 1, 2, 2)
    times = stratified_times(count)[torch.randperm(count)]
    loss = model.loss(images, torch.zeros(count, 1), noise, times)
    expected = gaussian_diffusion_loss(torch.linalg.eigvalsh(covariance), -4.0, 6.0) / 4 / BITS
    assert loss.diffusion.item() == pytest.approx(expected, rel=0.02)


def test_no_denoiser_beats_the_ideal_one():
    torch.manual_seed(0)
    count = 20_000
    images = (0.5 + 0.2 * torch.randn(count, 4)).view(count, 1, 2, 2)
    noise, times = torch.randn(count, 1, 2, 2), stratified_times(count)

    def loss(mean, variance):
        denoiser = gaussian_denoiser(
            torch.full((4,), mean).double(), variance * torch.eye(4).double()
        )
        return oracle_model(denoiser).loss(images, torch.zeros(count, 1), noise, times).diffusion

    best = loss(0.5, 0.04)
    assert all(best < loss(*other) for other in ((0.6, 0.04), (0.5, 0.08), (0.5, 0.02)))


@given(st.floats(-8, 12), st.integers(0, 1000))
def test_prior_is_the_kl_divergence(gamma, seed):
    x = torch.randn(3, 2, 2, 2, generator=torch.Generator().manual_seed(seed)).double()
    g = torch.tensor(gamma).double()
    z = Normal(torch.sigmoid(-g).sqrt() * x, torch.sigmoid(g).sqrt())
    expected = kl_divergence(z, Normal(0.0, 1.0)).flatten(1).sum(1).mean()
    torch.testing.assert_close(prior_loss(x, g), expected)


@pytest.mark.parametrize("gamma", [-14.0, -12.0])
def test_reconstruction_is_an_expected_log_density(gamma):
    source = torch.Generator().manual_seed(0)
    x = torch.rand(2, 3, 2, 2, generator=source).double()
    g = torch.tensor(gamma).double()
    a, s = torch.sigmoid(-g).sqrt(), torch.sigmoid(g).sqrt()
    noise = torch.randn(20_000, *x.shape, generator=source, dtype=torch.double)
    z = a * x + s * noise
    density = Normal(z / a, RECONSTRUCTION_SIGMA).log_prob(x)
    expected = -density.flatten(2).sum(2).mean()
    torch.testing.assert_close(reconstruction_loss(x, g), expected, rtol=0.01, atol=0)


def test_terms_are_in_bits_per_dimension_and_add_up():
    model = oracle_model(lambda z, gamma, h: torch.zeros_like(z))
    x = torch.rand(4, 3, 4, 4)
    loss = model.loss(x, torch.zeros(4, 1), torch.randn_like(x), stratified_times(4))
    dimensions = 48
    prior = prior_loss(x, torch.tensor(6.0)) / dimensions / BITS
    reconstruction = reconstruction_loss(x, torch.tensor(-4.0)) / dimensions / BITS
    torch.testing.assert_close(loss.prior, prior)
    torch.testing.assert_close(loss.reconstruction, reconstruction)
    assert loss.total.item() == pytest.approx(
        loss.diffusion.item() + prior.item() + reconstruction.item(), rel=1e-5
    )


def test_network_sees_the_noised_image_and_its_gamma():
    seen = {}

    def network(z, gamma, h):
        seen.update(z=z, gamma=gamma, h=h)
        return torch.zeros_like(z)

    x, noise = torch.rand(2, 3, 4, 4), torch.randn(2, 3, 4, 4)
    h = torch.randn(2, 5)
    model = oracle_model(network, -4.0, 6.0, (-1.0, 1.0))
    model.loss(x, h, noise, torch.tensor([0.25, 0.75]))
    torch.testing.assert_close(seen["gamma"], torch.tensor([-1.5, 3.5]))
    assert torch.equal(seen["h"], h)
    a = torch.sigmoid(-seen["gamma"]).sqrt()[:, None, None, None]
    s = torch.sigmoid(seen["gamma"]).sqrt()[:, None, None, None]
    torch.testing.assert_close(seen["z"], a * (2 * x - 1) + s * noise)


@pytest.mark.parametrize("pixel_range", [(0.0, 1.0), (-1.0, 1.0)])
def test_decode_undoes_encode_and_clips(pixel_range):
    model = oracle_model(lambda z, gamma, h: z, pixel_range=pixel_range)
    x = torch.rand(2, 3, 4, 4)
    encoded = model.encode(x)
    torch.testing.assert_close(model.decode(encoded), x)
    low, high = pixel_range
    ends = model.encode(torch.tensor([0.0, 1.0]))
    assert ends.tolist() == [low, high]
    assert model.decode(torch.tensor([low - 1, high + 1])).tolist() == [0.0, 1.0]


def test_learned_schedule_stays_monotone_in_training():
    model = parts.model(tiny_config(model__schedule="learned_linear"))
    optimizer = torch.optim.AdamW(model.parameters(), lr=3.0)
    examples = random_examples(4)
    t = torch.linspace(0, 1, 5)
    for step in range(12):
        source = torch.Generator().manual_seed(step)
        noise = torch.randn(examples.images.shape, generator=source)
        loss = model.loss(examples.images, examples.h, noise, stratified_times(4, source))
        optimizer.zero_grad()
        loss.total.backward()
        assert model.schedule.w.grad is not None
        optimizer.step()
        assert (model.schedule(t).diff() >= 0).all()


def test_a_float32_model_in_a_process_that_works_in_float64():
    """Noise, times and the sampler's steps are float64 then; loss, gradients and images follow."""
    model = parts.model(tiny_config())
    images, h, noise = torch.rand(2, 3, 8, 8), torch.rand(2, 11), torch.randn(2, 3, 8, 8)
    h = h[:, : model.network.block_condition.hidden.in_features]
    times = torch.tensor([0.25, 0.75])

    def outcome(*given):
        model.zero_grad()
        loss = model.loss(*given).total
        loss.backward()
        source = torch.Generator().manual_seed(0)

        def draw():
            return torch.randn(2, 3, 8, 8, generator=source, dtype=noise.dtype)

        made = sample(model, model.schedule, h, steps=3, noise=draw)
        return [loss, made, *(p.grad for p in model.parameters())]

    expected = outcome(images, h, noise, times)
    torch.set_default_dtype(torch.float64)
    try:
        found = outcome(images, h, noise.double(), times.double())
    finally:
        torch.set_default_dtype(torch.float32)
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a.float(), b, atol=1e-4, rtol=1e-3)
