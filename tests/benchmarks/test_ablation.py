from __future__ import annotations

import numpy as np
import pytest

from conceptspace.benchmarks.ablation import WHOLE, Ratio, ablation, comparison, variants
from conceptspace.engine.precision import Precision
from tiny import tiny_config

LOWERED = variants("bfloat16")
PRECISIONS: tuple[Precision, ...] = ("bfloat16", "float32")


def test_ratios_are_taken_within_rounds():
    """A machine that is three times slower in every other round changes no ratio."""
    factors = np.array([8.0, 4, 4, 2, 2.5])
    slow = np.array([1.0, 3, 1, 3, 1])
    table = {row.name: row for row in comparison(LOWERED, 1e-3 * slow[:, None] * factors)}
    assert table[WHOLE].plain == Ratio(4.0, 4.0, 4.0)
    assert table[WHOLE].gain == Ratio(2.0, 2.0, 2.0)
    assert table["with norms and GELU"].gain.median == 1
    assert table["all but norms and GELU"].gain.median == 0.8
    assert table["plain float32"].milliseconds == 8


def test_the_spread_is_the_middle_half():
    took = np.ones((5, len(LOWERED)))
    took[:, 0] = [1, 2, 3, 4, 5]
    assert comparison(LOWERED, took)[1].plain == Ratio(3.0, 2.0, 4.0)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_every_variant_trains(precision: Precision):
    table = ablation(tiny_config(model__channels=(32,), model__heads=1), 1, precision)
    assert [row.name for row in table] == [variant.name for variant in variants(precision)]
    assert all(row.milliseconds > 0 for row in table)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_what_each_is_compared_with_differs_in_one_thing(precision: Precision):
    known = {variant.name: variant for variant in variants(precision)}
    for variant in list(known.values())[1:]:
        other = known[variant.beside]
        kinds = set(variant.kinds) ^ set(other.kinds)
        assert len(kinds) + (variant.precision != other.precision) == 1


def test_where_nothing_is_lowered_no_variant_is():
    assert {variant.precision for variant in variants("float32")} == {"float32"}


@pytest.mark.parametrize("device", ["cuda", "mps"])
def test_elsewhere_than_on_a_cpu_there_is_none(device, capsys, monkeypatch):
    from conceptspace.cli import main

    monkeypatch.setattr(
        f"torch.{'cuda' if device == 'cuda' else 'backends.mps'}.is_available", lambda: True
    )
    assert main(["bench", "--ablation", "quick", "--device", device]) == 2
    assert "kernels for CPUs; take --device cpu" in capsys.readouterr().err
