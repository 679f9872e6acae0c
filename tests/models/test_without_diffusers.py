"""Without the extra, one sentence says what to install; and importing the package takes no time."""

from __future__ import annotations

import subprocess
import sys

import pytest

import conceptspace as cs
from conceptspace.errors import UserError


def test_a_missing_library_is_one_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "diffusers", None)
    with pytest.raises(UserError, match=r"pip install 'conceptspace\[diffusers\]'"):
        cs.from_diffusers(None, None)


def test_names_are_loaded_when_they_are_used():
    code = (
        "import sys, conceptspace; assert not {'torch', 'pandas'} & set(sys.modules); "
        "conceptspace.Recorder; assert 'torch' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


ALIASES = {"Judge": "Callable", "Protocol": "Asking"}
"""Names of types that are called otherwise where they are made."""


def test_every_name_is_there():
    for name in cs.__all__:
        assert getattr(cs, name).__name__ == ALIASES.get(name, name)
    assert set(cs.__all__) <= set(dir(cs))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = cs.nothing
