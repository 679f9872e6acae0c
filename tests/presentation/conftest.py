"""Fabricated runs for figures and reports."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pandas as pd
import pytest
from fabricated import PROTOCOLS, make_space, make_table, write_run

from conceptspace.space import ConceptSpace


@pytest.fixture
def space() -> ConceptSpace:
    """Colour and size."""
    return make_space(2)


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two concepts and two protocols; do not write into it."""
    folder = tmp_path_factory.mktemp("runs") / "fabricated"
    write_run(folder, make_space(2))
    return folder


@pytest.fixture(scope="session")
def tables() -> Callable[[int, int], pd.DataFrame]:
    """Trajectories of so many runs over so many concepts; do not change them."""

    @cache
    def build(dimensions: int, runs: int) -> pd.DataFrame:
        space = make_space(dimensions)
        parts = [make_table(space, seed, f"run-{seed}", PROTOCOLS) for seed in range(runs)]
        return pd.concat(parts, ignore_index=True)

    return build
