"""The list of faults that were found names tests that exist."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

TESTS = Path(__file__).parent
PAGE = TESTS / "faults" / "found.md"
NAMED = re.compile(r"`([\w/]+\.py)::((?:\w+::)?test_\w+)`")


@cache
def names(file: Path) -> set[str]:
    """``test_x`` and ``TestY::test_z`` of a file of tests, which is not run."""
    found = set()
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.FunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.ClassDef):
            methods = [item.name for item in node.body if isinstance(item, ast.FunctionDef)]
            found |= {f"{node.name}::{method}" for method in methods}
    return found


def test_every_test_of_the_table_exists():
    named = NAMED.findall(PAGE.read_text())
    assert len(named) > 60
    missing = [f"{file}::{name}" for file, name in named if name not in names(TESTS / file)]
    assert not missing


def test_a_test_that_does_not_exist_is_seen():
    assert NAMED.findall("`test_config.py::TestBounds::test_none`") == [
        ("test_config.py", "TestBounds::test_none")
    ]
    own = names(Path(__file__))
    assert "test_every_test_of_the_table_exists" in own
    assert "test_none" not in own
