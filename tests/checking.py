"""Types of every call are checked in the tests; shapes where a module names them."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import jaxtyping
from beartype import BeartypeConf
from beartype.claw import beartype_package

PACKAGE = "conceptspace"
SHAPED = ("jaxtyping", "TYPE_CHECKING", "async def")
"""Words of modules that name shapes, whose annotations name what they do not import, or whose
functions have to stay coroutines: those that jaxtyping looks after."""

SWITCHED = ("recording/recorder.py", "protocols/naive.py")
"""Further ones that a test calls with the checks switched off, which only jaxtyping's can be."""


def install() -> None:
    """Before anything imports the package.

    jaxtyping compares shapes across a call, which takes 50 microseconds even where there are none;
    beartype alone, which checks the same types, takes one.
    """
    jaxtyping.install_import_hook(list(_shaped()), "beartype.beartype")
    if not jaxtyping.config.jaxtyping_disable:
        beartype_package(PACKAGE, conf=BeartypeConf(claw_is_pep526=False))


def _shaped() -> Iterator[str]:
    """Names of the modules that jaxtyping looks after; packages would bring all below them."""
    found = importlib.util.find_spec(PACKAGE)
    assert found is not None
    assert found.origin is not None
    root = Path(found.origin).parent
    for path in sorted(root.rglob("*.py")):
        place, text = path.relative_to(root), path.read_text()
        shaped = any(word in text for word in SHAPED) or place.as_posix() in SWITCHED
        if shaped and path.name != "__init__.py":
            yield ".".join((PACKAGE, *place.with_suffix("").parts))
