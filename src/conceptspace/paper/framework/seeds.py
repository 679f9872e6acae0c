"""Results by seed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

T = TypeVar("T")


def per_seed(levels: Mapping[float, Mapping[int, T]]) -> dict[int, dict[float, T]]:
    """The other way round, for the seeds that every level has."""
    common = set.intersection(*(set(of) for of in levels.values())) if levels else set()
    return {seed: {level: of[seed] for level, of in levels.items()} for seed in sorted(common)}
