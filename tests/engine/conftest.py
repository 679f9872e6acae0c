from __future__ import annotations

import jaxtyping
import pytest

from conceptspace.engine import fusible
from fused import KERNELS


@pytest.fixture
def kernels(monkeypatch):
    """The kernels of this machine, with matrix tiles wherever they can run."""
    monkeypatch.setattr(fusible, "native", lambda: KERNELS)


@pytest.fixture
def untyped():
    """Without the checks of the tests, which see other shapes and wrapped tensors sooner."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)
