"""The examples in docstrings of what the package gives are true."""

from __future__ import annotations

import doctest
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import torch

import conceptspace


def examples() -> dict[str, doctest.DocTest]:
    """Those in the docstrings of the public names and of their methods."""
    finder = doctest.DocTestFinder(exclude_empty=True)
    names = {name: getattr(conceptspace, name) for name in conceptspace.__all__ if shows(name)}
    given = names | {"np": np, "pd": pd, "torch": torch}  # see docs/conf.py
    found = {}
    for name, thing in names.items():
        tests = finder.find(thing, name, module=sys.modules[thing.__module__], globs=dict(given))
        found |= {test.name: test for test in tests if test.examples}
    return found


def shows(name: str) -> bool:
    """Whether there are examples in the module of a public name, which is not imported for it."""
    module = conceptspace._HOMES[name].replace(".", "/")
    return ">>> " in (Path(conceptspace.__path__[0]) / module).with_suffix(".py").read_text()


def test_every_example_says_what_comes_out() -> None:
    found = examples()
    assert {"ConceptSpace", "ArrayWorld", "from_function", "read_trajectory"} <= found.keys()
    failures: list[str] = []
    for test in found.values():
        doctest.DocTestRunner().run(test, out=failures.append)
    assert failures == []
