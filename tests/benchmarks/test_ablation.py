from __future__ import annotations

import numpy as np
import pytest

from conceptspace.benchmarks.ablation import VARIANTS, WHOLE, Ratio, ablation, comparison
from tiny import tiny_config


def test_ratios_are_taken_within_rounds():
    """A machine that is three times slower in every other round changes no ratio."""
    factors = np.array([8.0, 4, 4, 2, 1, 1, 1.25])
    slow = np.array([1.0, 3, 1, 3, 1])
    table = {row.name: row for row in comparison(1e-3 * slow[:, None] * factors)}
    assert table[WHOLE].plain == Ratio(8.0, 8.0, 8.0)
    assert table[WHOLE].gain == Ratio(2.0, 2.0, 2.0)
    assert table["with norms and GELU"].gain.median == 1
    assert table["all but thin convolutions"].gain.median == 0.8
    assert table["plain float32"].milliseconds == 8


def test_the_spread_is_the_middle_half():
    took = np.ones((5, len(VARIANTS)))
    took[:, 0] = [1, 2, 3, 4, 5]
    assert comparison(took)[1].plain == Ratio(3.0, 2.0, 4.0)


def test_every_variant_trains():
    table = ablation(tiny_config(model__channels=(32,), model__heads=1), rounds=1)
    assert [row.name for row in table] == [variant.name for variant in VARIANTS]
    assert all(row.milliseconds > 0 for row in table)


def test_what_each_is_compared_with_differs_in_one_thing():
    known = {variant.name: variant for variant in VARIANTS}
    for variant in VARIANTS[1:]:
        other = known[variant.beside]
        kinds = set(variant.kinds) ^ set(other.kinds)
        assert len(kinds) + (variant.precision != other.precision) == 1


@pytest.mark.parametrize("device", ["cuda", "mps"])
def test_elsewhere_than_on_a_cpu_there_is_none(device, capsys, monkeypatch):
    from conceptspace.cli import main

    monkeypatch.setattr(
        f"torch.{'cuda' if device == 'cuda' else 'backends.mps'}.is_available", lambda: True
    )
    assert main(["bench", "--ablation", "quick", "--device", device]) == 2
    assert "kernels for CPUs; take --device cpu" in capsys.readouterr().err
