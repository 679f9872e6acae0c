"""The same work on a CUDA device; skipped where there is none."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from conceptspace import build
from conceptspace.cache import probe_cache
from conceptspace.data.seeding import generator
from conceptspace.pipeline import Session
from conceptspace.store import open_or_create
from tiny import tiny_config

pytestmark = pytest.mark.gpu


def test_renders_like_the_cpu() -> None:
    world = build.world(tiny_config().data)
    z = world.sample("01", 16, generator(0, "gpu"))
    torch.testing.assert_close(world.render(z.cuda()).cpu(), world.render(z), atol=1e-5, rtol=0)


def test_predicts_like_the_cpu() -> None:
    model = build.model(tiny_config())
    z, gamma, h = torch.randn(4, 3, 8, 8), torch.linspace(-5, 5, 4), torch.rand(4, 11)
    with torch.no_grad():
        expected = model(z, gamma, h)
        found = model.cuda()(z.cuda(), gamma.cuda(), h.cuda()).cpu()
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_a_run_from_config_to_trajectory(tmp_path: Path) -> None:
    run, _ = open_or_create(tmp_path / "run", tiny_config())
    for _ in Session(run, torch.device("cuda"), probe_cache()).execute():
        pass
    assert sorted(run.trajectory()["step"].unique()) == [0, 4, 9]
    assert run.information()["status"] == "finished"
