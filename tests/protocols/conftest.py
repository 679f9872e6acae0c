"""The world that protocols are asked in."""

from __future__ import annotations

import pytest

from conceptspace.experiment import parts
from conceptspace.worlds.shapes.config import ShapesData
from conceptspace.worlds.shapes.world import ShapesWorld


@pytest.fixture(scope="module")
def world() -> ShapesWorld:
    return parts.world(ShapesData(resolution=16, position_range=0.25))
