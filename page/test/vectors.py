"""Numbers of the Python functions that the page's statistics have to repeat.

``python page/test/vectors.py`` writes ``vectors.json`` beside this file.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from conceptspace.analysis.intervals import wilson
from conceptspace.presentation.series import over_runs

SHARES = [(0.0, 1), (0.0, 24), (0.5, 8), (0.87, 32), (1.0, 24), (1.0, 1000)]
RUNS = [
    [0.2, 0.9],
    [0.1, 0.4, 0.35],
    [0.3, 0.5, 0.45, 0.42],
    [0.0, 0.0, 1.0, 1.0, 0.5],
    list(np.linspace(0.3, 0.6, 12)),
    list(np.linspace(0.1, 0.9, 101)),
]


def vectors() -> dict[str, Any]:
    """``{"wilson": [[share, samples, low, high]], "means": [{values, mean, low, high}]}``."""
    found = []
    for share, samples in SHARES:
        low, high = wilson(np.array([share]), np.array([float(samples)]))
        found.append([share, samples, float(low[0]), float(high[0])])
    means = []
    for values in RUNS:
        low, high = over_runs(np.array(values)[:, None])
        ends = {"low": float(low[0]), "high": float(high[0])}
        means.append({"values": values, "mean": float(np.mean(values))} | ends)
    return {"wilson": found, "means": means}


def text() -> str:
    """The file's content."""
    return json.dumps(vectors(), indent=2) + "\n"


if __name__ == "__main__":
    (Path(__file__).parent / "vectors.json").write_text(text())
