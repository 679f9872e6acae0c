"""Best of a sweep: by hand, and on settings that differ by noise alone."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from tables import scores

from conceptspace.analysis.selection import best_of_sweep
from conceptspace.errors import UserError


def sweep(**accuracy: list[float]) -> dict[str, np.ndarray]:
    return {name: np.stack([values, np.ones(len(values))], 1) for name, values in accuracy.items()}


def test_by_hand() -> None:
    """Even samples choose a (scored 0.2 on odd ones), odd samples choose b (0.3 on even ones)."""
    table = scores(sweep(a=[1.0, 0.2, 0.8, 0.2], b=[0.4, 0.6, 0.2, 0.6]))
    (row,) = best_of_sweep(table).to_dict("records")
    assert row.pop("best") == pytest.approx(0.55)
    assert row.pop("honest") == pytest.approx((0.2 + 0.3) / 2)
    assert row == {
        "run": "run0",
        "seed": 0,
        "step": 100,
        "protocol": "over",
        "concept_class": "11",
        "best_setting": "a",
    }


def test_joint_accuracy_is_the_product_per_sample() -> None:
    found = best_of_sweep(scores({"a": np.array([[1.0, 0.0], [0.0, 1.0]])}))
    assert found["best"][0] == 0


def test_noise_alone_biases_best_but_not_honest() -> None:
    rng = np.random.default_rng(0)
    tables = [
        scores(sweep(**{f"s{i}": rng.binomial(1, 0.5, 16).astype(float) for i in range(8)}), step=k)
        for k in range(150)
    ]
    found = best_of_sweep(pd.concat(tables))
    error = found["honest"].std() / np.sqrt(len(found))
    assert found["best"].mean() > 0.6
    assert abs(found["honest"].mean() - 0.5) < 4 * error < 0.05


def test_a_clearly_best_setting_is_found_by_both() -> None:
    found = best_of_sweep(scores(sweep(bad=[0.1] * 8, good=[0.9] * 8)))
    assert found["best_setting"][0] == "good"
    assert found["best"][0] == pytest.approx(0.9)
    assert found["honest"][0] == pytest.approx(0.9)


def test_settings_with_other_samples_are_refused() -> None:
    table = scores(sweep(a=[0.1] * 4, b=[0.2] * 4))
    with pytest.raises(UserError, match="same samples"):
        best_of_sweep(table.iloc[:-2])
    with pytest.raises(UserError, match="even and an odd"):
        best_of_sweep(table[table["sample"] % 2 == 0])


def test_an_image_that_lacks_a_concept_is_refused() -> None:
    table = scores(sweep(a=[0.1] * 4, b=[0.2] * 4))
    for less in (table.iloc[:-1], table.assign(accuracy=table["accuracy"].mask(table.index == 2))):
        with pytest.raises(UserError, match="same samples"):
            best_of_sweep(less)
