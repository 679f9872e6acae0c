from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from conceptspace.errors import UserError
from conceptspace.models.schedule import LinearSchedule, alpha, sigma
from conceptspace.models.vdm import stratified_times


@given(st.floats(-20, 20))
def test_variance_is_preserved_and_gamma_is_the_negative_log_snr(value):
    gamma = torch.tensor(value, dtype=torch.double)
    a, s = alpha(gamma), sigma(gamma)
    assert (a**2 + s**2).item() == pytest.approx(1)
    assert (2 * (s / a).log()).item() == pytest.approx(value, abs=1e-6)


@pytest.mark.parametrize("learned", [False, True])
def test_endpoints_and_slope(learned):
    schedule = LinearSchedule(-5.0, 10.0, learned=learned)
    gammas = schedule(torch.tensor([0.0, 0.5, 1.0]))
    torch.testing.assert_close(gammas.detach(), torch.tensor([-5.0, 2.5, 10.0]))
    assert schedule.slope().item() == 15
    assert len(list(schedule.parameters())) == (2 if learned else 0)
    assert set(schedule.state_dict()) == {"b", "w"}


@given(st.integers(0, 2**31))
def test_stays_monotone_whatever_is_learned(seed):
    """Wild steps on b and w never turn time around."""
    schedule = LinearSchedule(-5.0, 10.0, learned=True)
    source = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.SGD(schedule.parameters(), lr=10.0)
    t = torch.linspace(0, 1, 11)
    for _ in range(5):
        optimizer.zero_grad()
        (schedule(t) * torch.randn(11, generator=source)).sum().backward()
        optimizer.step()
        assert (schedule(t).diff() >= 0).all()
        assert schedule.slope() >= 0


@pytest.mark.parametrize(("start", "end"), [(1.0, 1.0), (2.0, -2.0)])
def test_a_schedule_that_does_not_increase_is_refused(start, end):
    with pytest.raises(UserError, match="gamma must increase"):
        LinearSchedule(start, end, learned=False)


@given(st.integers(1, 100), st.integers(0, 2**31))
def test_times_cover_the_unit_interval_evenly(batch, seed):
    times = stratified_times(batch, torch.Generator().manual_seed(seed))
    assert times.shape == (batch,)
    assert times.min() >= 0
    assert times.max() <= 1
    gaps = times.sort().values.diff()
    assert torch.allclose(gaps, torch.full_like(gaps, 1 / batch), atol=1e-5)


def test_times_are_uniform_over_draws():
    source = torch.Generator().manual_seed(0)
    first = torch.stack([stratified_times(4, source)[0] for _ in range(2000)])
    quantiles = first.quantile(torch.tensor([0.25, 0.5, 0.75]))
    torch.testing.assert_close(quantiles, torch.tensor([0.25, 0.5, 0.75]), atol=0.04, rtol=0)
