"""Flipped bits in every file of a finished run: refused or without effect, never another number."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from conceptspace.contact_sheet import read_sheet
from conceptspace.errors import UserError
from conceptspace.recording.space import read_space
from conceptspace.store import Run, read_scores
from conceptspace.training import checkpoint
from tiny import tiny_config, tiny_session

SAMPLE, ALL = 12, 250
"""Bits that are flipped in each file, in ``make test`` and in ``make test-faults``."""


@pytest.fixture(scope="module")
def run(tmp_path_factory, probe_cache_folder):
    folder = tmp_path_factory.mktemp("flips") / "run"
    session = tiny_session(folder, tiny_config(), probe_cache_folder)
    list(session.execute())
    return session.run


def reader(path: Path) -> Callable[[], Any] | None:
    """How the package reads a file of a run; None for what it only writes."""
    folder = next(p for p in path.parents if p.name == "run")
    kind = path.relative_to(folder).parts[0]
    match kind, path.suffix:
        case ("config.toml", _):
            return lambda: Run(folder).config
        case ("run.json", _):
            return lambda: Run(folder).information()
        case ("space.json", _):
            return lambda: read_space(folder)
        case ("trajectory.parquet", _):
            return lambda: Run(folder).trajectory()
        case ("training.parquet", _):
            return lambda: Run(folder).training()
        case ("scores", ".parquet"):
            return lambda: read_scores(path)
        case ("samples", ".png"):
            return lambda: (read_sheet(path), read_sheet(path)[1].content(), pixels(path))
        case ("checkpoints" | "resume", _):
            step = int(path.stem.removeprefix("step-"))
            return lambda: checkpoint.load(path.parent, step)
    return None


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def same(a: Any, b: Any) -> bool:
    if hasattr(a, "equals"):
        return bool(a.equals(b))
    if isinstance(a, dict) and any(hasattr(v, "numpy") for v in a.values()):
        return a.keys() == b.keys() and all(np.array_equal(a[k], b[k], equal_nan=True) for k in a)
    if isinstance(a, dict):  # a flipped bit in a name makes another name
        return all(b.get(k, v) == v for k, v in a.items())
    if isinstance(a, tuple):
        return all(same(x, y) for x, y in zip(a, b, strict=True))
    return bool(np.array_equal(a, b)) if isinstance(a, np.ndarray) else bool(a == b)


def flip(run: Run, number: int) -> dict[str, int]:
    """Flip bits of every file, one at a time; returns how many were tried, and how many refused."""
    source, tried, read_files = random.Random(0), 0, 0
    sentences = []
    for path in sorted(p for p in run.path.rglob("*") if p.is_file()):
        read = reader(path)
        if read is None:
            assert path.name == ".lock", f"nobody reads {path}"
            continue
        whole, content = read(), path.read_bytes()
        read_files += 1
        for _ in range(number):
            bit = source.randrange(8 * len(content))
            flipped = bytearray(content)
            flipped[bit // 8] ^= 1 << bit % 8
            path.write_bytes(flipped)
            tried += 1
            try:
                assert same(whole, read()), f"bit {bit} of {path} gives something else"
            except UserError as error:
                sentences.append(str(error))
        path.write_bytes(content)
    assert not [sentence for sentence in sentences if "\n" in sentence]
    return {"files": read_files, "tried": tried, "refused": len(sentences)}


def test_some_flipped_bits(run):
    found = flip(run, SAMPLE)
    assert found["files"] >= 20
    assert found["refused"] > 0.6 * found["tried"]


@pytest.mark.faults
def test_many_flipped_bits(run, record_property):
    found = flip(run, ALL)
    for name, value in found.items():
        record_property(name, value)
    print(found)
    assert found["refused"] > 0.6 * found["tried"]
