"""40 runs of 60 checkpoints under 4 protocols are drawn in seconds and pointed at in a frame.

The limits leave room for a busy machine; ``measure.py`` prints the times themselves.
"""

from __future__ import annotations

import pytest
from many import write_many
from measure import HOVER, everything, first_picture

pytestmark = pytest.mark.browser


def test_many_runs(page, serve, tmp_path):
    write_many(tmp_path / "runs", runs=40)
    served = serve(tmp_path / "runs")
    first_picture(page, served.url)
    first, _ = first_picture(page, served.url)
    assert first < 4
    page.wait_for_timeout(1000)
    assert everything(page) == 40 * 4 * 4
    page.evaluate(HOVER)
    times = page.evaluate(HOVER)
    assert times[len(times) // 2] < 50
