"""Run-time type checking of the whole package, one thread, and a cache of its own."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import checking

checking.install()

import hypothesis  # noqa: E402
from filelock import FileLock  # noqa: E402

hypothesis.settings.register_profile("quick", max_examples=25, deadline=None, derandomize=True)
hypothesis.settings.load_profile("quick")


def pytest_configure(config: pytest.Config) -> None:
    """No flush to the disk: no test cuts the power but by a disk of its own."""
    os.fsync = lambda descriptor: None


def pytest_collection(session: pytest.Session) -> None:
    """One thread. The process that hands tests to workers collects none, and needs no torch."""
    import torch

    torch.set_num_threads(1)


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("gpu"):
        import torch

        if not torch.cuda.is_available():
            pytest.skip("PyTorch finds no CUDA device")


@pytest.fixture
def own_protocols(monkeypatch: pytest.MonkeyPatch) -> None:
    """Protocols that a test registers are gone after it."""
    from conceptspace.protocols import registry

    registry.families()
    monkeypatch.setattr(registry, "_registered", dict(registry._registered))


@pytest.fixture
def unrendered(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests of the texts beside the figures."""
    from undrawn import leave_undrawn

    leave_undrawn(monkeypatch)


@pytest.fixture(scope="session", autouse=True)
def probe_cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Trained probes are shared by the workers of a session and never touch the user's cache.

    Kernels that the user has compiled before are taken from there, as copies.
    """
    from conceptspace.cache import native_cache

    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "cache"
    folder.mkdir(exist_ok=True)
    compiled = native_cache()
    with FileLock(folder / ".kernels"):
        if compiled.is_dir() and not (folder / "native").exists():
            shutil.copytree(compiled, folder / "native")
    before = os.environ.get("CONCEPTSPACE_CACHE")
    os.environ["CONCEPTSPACE_CACHE"] = str(folder)
    yield folder / "probes"
    if before is None:
        del os.environ["CONCEPTSPACE_CACHE"]
    else:
        os.environ["CONCEPTSPACE_CACHE"] = before
